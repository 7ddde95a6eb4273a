"""First uses are announced: which kernel, and once to the user if it takes long."""

import logging
import os
import stat
import tempfile
from pathlib import Path

import numba
import pytest
from numba.core import event

import skatom._runtime.compilation as compilation
import skatom.featurizers


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """An empty cache, and a listener that has told nothing yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    usual, listener = compilation._listener(), compilation.Announcer()
    monkeypatch.setattr(compilation, "_listener", lambda: listener)
    event.unregister("numba:compile", usual)
    event.register("numba:compile", listener)
    yield
    event.unregister("numba:compile", listener)
    event.register("numba:compile", usual)


def made(module="skatom.made_up"):
    def double(x):
        return 2 * x

    double.__module__ = module
    return compilation.kernel(double)


def told(caplog, level):
    return [r.getMessage() for r in caplog.records if r.levelno == level]


def test_the_user_is_told_once_where_compiling_takes_long(
    monkeypatch, caplog, tmp_path
):
    monkeypatch.setattr(compilation, "PATIENCE", 0.0)
    with caplog.at_level(logging.WARNING, "skatom"):
        double = made()
        assert double(1) == 2
        assert double(1.5) == 3.0
    (text,) = told(caplog, logging.WARNING)
    assert "at its first use only" in text
    assert str(tmp_path) in text


def test_nobody_is_told_where_compiling_is_quick(monkeypatch, caplog):
    monkeypatch.setattr(compilation, "PATIENCE", 1000.0)
    with caplog.at_level(logging.WARNING, "skatom"):
        made()(1)
    assert not told(caplog, logging.WARNING)


def test_patience_is_shared_by_all_kernels(monkeypatch, caplog):
    monkeypatch.setattr(compilation, "PATIENCE", 1000.0)
    made()(1)
    monkeypatch.setattr(compilation, "PATIENCE", 1e-9)
    with caplog.at_level(logging.WARNING, "skatom"):
        made()(1.0)
    assert len(told(caplog, logging.WARNING)) == 1


def test_what_is_compiled_is_logged_and_what_is_read_is_not(caplog):
    with caplog.at_level(logging.INFO, "skatom"):
        made()(1)
        assert "Compiled skatom.made_up.made.<locals>.double in" in caplog.text
        caplog.clear()
        made()(1)
    assert not caplog.records


def test_kernels_of_others_are_not_announced(monkeypatch, caplog):
    monkeypatch.setattr(compilation, "PATIENCE", 0.0)
    with caplog.at_level(logging.INFO, "skatom"):
        made("another.package")(1)
    assert not caplog.records


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose kernel takes a helper from a helper in another folder."""
    files = {
        "fast/__init__.py": "",
        "fast/_row/__init__.py": "",
        "fast/_simd/__init__.py": "",
        "fast/_row/values.py": "from fast._row import pairs\nimport numpy.linalg",
        "fast/_row/pairs.py": "from fast._simd.lanes import add",
        "fast/_row/other.py": "",
        "fast/_simd/lanes.py": "def add(): pass",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(compilation, "_imported", compilation._imported.__wrapped__)
    return tmp_path / "fast"


@pytest.mark.parametrize("changed", ["_row/values", "_row/pairs", "_simd/lanes"])
def test_a_change_of_anything_imported_compiles_anew(package, changed):
    before = compilation.stamp_of(package / "_row/values.py")
    with (package / f"{changed}.py").open("a") as file:
        file.write("\n1")
    assert compilation.stamp_of(package / "_row/values.py") != before


def test_a_change_of_what_is_not_imported_keeps_the_machine_code(package):
    before = compilation.stamp_of(package / "_row/values.py")
    (package / "_row/other.py").write_text("1")
    assert compilation.stamp_of(package / "_row/values.py") == before


def test_kernels_of_acsf_are_stale_when_the_vector_instructions_change():
    featurizers = Path(skatom.featurizers.__file__).parent
    reached = compilation.reached_from(featurizers / "_acsf/values.py")
    assert featurizers / "_simd/lanes.py" in reached


# -- where compiled code is kept ---------------------------------------------------------

# A file that exists in a folder that nobody can write to, not even the superuser.
READ_ONLY = "/proc/self/status"


@pytest.fixture
def read_only(monkeypatch, tmp_path):
    """Neither source nor home can be written; the temporary folder is this test's."""
    if not Path(READ_ONLY).exists():
        pytest.skip("needs a folder that nobody can write to")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/nope")
    (tmp_path / "tmp").mkdir(mode=0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    compilation.temporary_folder.cache_clear()
    yield tmp_path / "tmp"
    compilation.temporary_folder.cache_clear()


def from_read_only():
    scope = {}
    exec(compile("def double(x):\n    return 2 * x\n", READ_ONLY, "exec"), scope)
    scope["double"].__module__ = "skatom.made_up"
    return compilation.kernel(scope["double"])


def test_kernels_are_kept_in_a_temporary_folder_where_nothing_else_can_be_written(
    read_only,
):
    assert from_read_only()(2) == 4
    (folder,) = read_only.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbc"))
    again = from_read_only()
    assert again(3) == 6
    assert again.stats.cache_hits
    assert not numba.config.CACHE_DIR


@pytest.mark.parametrize("planted", ["open", "link", "file"])
def test_no_code_is_read_from_a_folder_that_others_could_write_to(
    read_only, planted, caplog, tmp_path
):
    folder = read_only / f"skatom-kernels-{os.getuid()}"
    if planted == "open":
        folder.mkdir()
        folder.chmod(0o777)
    elif planted == "link":
        (tmp_path / "others").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "others")
    else:
        folder.write_bytes(b"")
    assert from_read_only()(2) == 4
    assert "not a folder of yours alone" in caplog.text
    assert not list(folder.rglob("*.nbc")) + list(tmp_path.glob("others/*"))
    assert stat.S_IMODE(compilation.temporary_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("temporary", ["/proc/nope", None])
def test_kernels_work_where_nothing_can_be_written(
    read_only, temporary, monkeypatch, caplog
):
    def nowhere():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "tempdir", temporary)
    if temporary is None:
        monkeypatch.setattr(compilation, "gettempdir", nowhere)
    monkeypatch.setattr(compilation, "PATIENCE", 0.0)
    assert from_read_only()(2) == 4
    assert "No folder can be written to keep them: set NUMBA_CACHE_DIR" in caplog.text

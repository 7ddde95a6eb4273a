"""First uses are announced: which kernel, and once to the user if it takes long."""

import logging
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

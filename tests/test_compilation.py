"""First uses are announced: which kernel, and once to the user if it takes long."""

import logging

import numba
import pytest
from numba.core import event

import skatom._compilation as compilation


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


def test_a_change_of_any_file_of_the_folder_compiles_anew(tmp_path):
    (tmp_path / "one.py").write_text("1")
    stamp = compilation._folder_stamp.__wrapped__
    before = stamp(tmp_path)
    (tmp_path / "two.py").write_text("2")
    assert stamp(tmp_path) != before

"""Threads and their progress; BLAS is kept quiet for small systems."""

import io
import re

import numpy as np
import pytest
from radial import RadialSums
from threadpoolctl import threadpool_info

from skatom._runtime.threads import (
    ATOMS_WORTH_A_THREAD,
    Progress,
    few_blas_threads,
    run_chunks,
)


def test_small_systems_keep_blas_to_one_thread():
    np.ones((2, 2)) @ np.ones((2, 2))  # BLAS is loaded

    def blas_threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    before = blas_threads()
    with few_blas_threads(9):
        assert blas_threads() == {1}
    assert blas_threads() == before
    with few_blas_threads(ATOMS_WORTH_A_THREAD):
        assert blas_threads() == before


# -- progress ------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_counts_every_centre_once_and_changes_nothing(n_jobs, capsys):
    weights, n_atoms = np.arange(30_001), 30_000
    done = np.zeros(n_atoms, dtype=int)

    def task(start, stop):
        done[start:stop] += 1

    with Progress("ACSF", n_atoms) as progress:
        run_chunks(task, weights, n_jobs, progress)
    assert (done == 1).all()
    assert progress._done == n_atoms
    assert re.fullmatch(r"ACSF: 30000 atoms in \d\.\d s\n", capsys.readouterr().err)


def test_a_terminal_sees_one_line_that_is_rewritten(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("skatom._runtime.threads.SECONDS_BETWEEN_UPDATES", 0.0)
    with Progress("SOAP", 4, "structures") as progress:
        for _ in range(4):
            progress.advance(1)
    lines = screen.getvalue().split("\r")[1:]
    assert "100% of 4 structures, 0 s left" in lines[3]
    assert lines[4].startswith("SOAP: 4 structures in ")
    assert lines[0].startswith("SOAP [######                  ]  25% of 4 structures, ")
    assert screen.getvalue().count("\n") == 1


def test_an_error_starts_on_a_line_of_its_own(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with pytest.raises(ZeroDivisionError), Progress("SOAP", 1):
        1 / 0  # noqa: B018
    assert screen.getvalue() == "\n"


def test_verbose_featurizers_tell_what_they_do(capsys, water):
    quiet, loud = RadialSums(), RadialSums()
    loud.verbose = 1
    values = loud.fit_transform([water]).values
    assert "RadialSums: 3 atoms in" in capsys.readouterr().err
    np.testing.assert_array_equal(quiet.fit_transform([water]).values, values)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("n_atoms", [3, 5000])
def test_zero_jobs_are_refused_for_systems_of_any_size(n_atoms):
    weights = np.arange(n_atoms + 1)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        run_chunks(lambda start, stop: None, weights, 0)

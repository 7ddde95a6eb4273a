"""The progress bar, on terminals and in log files."""

import io
import re

import numpy as np
import pytest
from radial import RadialSums

from skatom._runtime.progress import Progress, clock
from skatom._runtime.threads import run_chunks


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    def isatty(self):
        return True


def terminal(monkeypatch) -> Terminal:
    """Write to a terminal that shows every step."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("skatom._runtime.progress.SECONDS_BETWEEN_REDRAWS", 0.0)
    return screen


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_counts_every_centre_once_and_changes_nothing(n_jobs, capsys):
    weights, n_atoms = np.arange(30_001), 30_000
    done = np.zeros(n_atoms, dtype=int)

    def task(start, stop):
        done[start:stop] += 1

    with Progress("ACSF", n_atoms) as progress:
        run_chunks(task, weights, n_jobs, progress)
    assert (done == 1).all()
    assert progress.done == n_atoms
    assert re.fullmatch(r"ACSF: 30000 atoms in \d\.\d s\n", capsys.readouterr().err)


def test_a_terminal_sees_one_line_that_is_rewritten(monkeypatch):
    screen = terminal(monkeypatch)
    with Progress("SOAP", 4, "structures") as progress:
        for _ in range(4):
            progress.advance(1)
    lines = screen.getvalue().split("\r\x1b[K")[1:]
    assert lines[0].startswith("SOAP [######                  ] 1/4 structures  ")
    assert lines[3].endswith("] 4/4 structures  0.0 s left")
    assert lines[4].startswith("SOAP: 4 structures in ")
    assert screen.getvalue().count("\n") == 1


def test_a_log_file_gets_whole_lines_now_and_then(monkeypatch, capsys):
    with Progress("SOAP", 4, "structures") as progress:
        progress.advance(1)  # a moment after the beginning: nothing is said
        monkeypatch.setattr("skatom._runtime.progress.SECONDS_BETWEEN_LINES", 0.0)
        progress.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "] 2/4 structures  " in lines[0]
    assert lines[1].startswith("SOAP: 2 structures in ")


def test_a_silent_bar_counts_and_says_nothing(monkeypatch):
    screen = terminal(monkeypatch)
    with Progress("SOAP", 2, shown=False) as progress:
        progress.advance(2)
    with pytest.raises(ZeroDivisionError), Progress("SOAP", 1, shown=False):
        1 / 0  # noqa: B018
    assert progress.done == 2
    assert screen.getvalue() == ""


def test_steps_of_before_do_not_make_a_resumed_job_look_fast(monkeypatch):
    screen = terminal(monkeypatch)
    now = iter([0.0, 10.0, 20.0, 20.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    progress = Progress("training", 100, "epochs")
    progress.reach(91, "loss 2")  # 10 s for the first epoch of this run
    progress.reach(92, "loss 1")
    progress.close()
    first, second, last = screen.getvalue().split("\r\x1b[K")[1:]
    assert first.endswith("] 91/100 epochs  loss 2  1:30 left")
    assert second.endswith("] 92/100 epochs  loss 1  1:20 left")
    assert last == "training: 92 epochs in 20 s  loss 1\n"


def test_an_error_starts_on_a_line_of_its_own(monkeypatch):
    screen = terminal(monkeypatch)
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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.96, "10 s"),
        (59.7, "1:00"),
        (725.0, "12:05"),
        (3723.4, "1:02:03"),
    ],
)
def test_durations_are_written_as_people_do(seconds, text):
    assert clock(seconds) == text


def test_a_long_job_is_announced_and_a_short_one_is_not(capsys):
    with Progress("ridge", 1, "labels", expected=90.0):
        pass
    assert capsys.readouterr().err.startswith("ridge: about 1:30 expected\n")
    with Progress("ridge", 1, "labels", expected=1.0):
        pass
    assert "expected" not in capsys.readouterr().err

"""A few mutations of model files and stores; `fuzz_files.py` makes as many as one likes."""

import os
import time

import pytest
from fuzz_files import BAD, FILES, fuzz, outcome_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_no_mutated_file_ends_a_process_or_goes_unnoticed():
    ends = fuzz(25, models=[FILES / "AtomicRidge.skatom"])
    assert not {kind: ends[kind] for kind in BAD if kind in ends}
    assert len(ends["refused"]) > 10


@pytest.mark.parametrize(
    ("use", "raw", "kind"),
    [
        (lambda path: os.abort(), True, "signal"),
        (lambda path: time.sleep(9), True, "hang"),
        (lambda path: str(len(bytearray(2**31))), True, "memory"),
        (lambda path: "other", True, "unnoticed"),
        (lambda path: "other", False, "harmless"),
        (lambda path: "same", True, "harmless"),
        (lambda path: [][0], True, "bare error"),
        (lambda path: int("x"), True, "refused"),
    ],
)
def test_the_ends_of_a_process_are_told_apart(use, raw, kind, tmp_path):
    assert outcome_of(use, tmp_path, "same", raw, seconds=0.5)[0] == kind

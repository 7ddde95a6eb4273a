"""Amounts of memory: read, written, and refused."""

import os

import pytest

from skatom._runtime.memory import (
    UNKNOWN_MEMORY,
    amount,
    memory_limit,
    parse_bytes,
    refuse_too_much,
)
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge
from skatom.preprocessing import CachedFeaturizer


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("8GB", 8e9), ("1.5 MB", 1.5e6), ("20k", 2e4), (512, 512.0)]
)
def test_amounts_of_memory_are_read(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["many", "0 GB", "3 PB", "", "-1GB"])
@pytest.mark.parametrize(
    "fit",
    [
        lambda text, X: ACSF(max_memory=text).fit_transform(X),
        lambda text, X: CachedFeaturizer(ACSF(), max_memory=text).fit(X),
        lambda text, X: AtomicKernelRidge(max_memory=text).fit([[0.0], [1.0]], [0, 1]),
    ],
    ids=["featurizer", "cache", "kernel model"],
)
def test_what_is_no_amount_of_memory_is_refused(fit, text, water):
    with pytest.raises(
        ValueError, match=r"max_memory=.* is no amount of memory: give bytes, or a text"
    ):
        fit(text, [water])


def test_amounts_are_written_for_people():
    assert [amount(b) for b in (12, 1.5e3, 2e9)] == ["12 bytes", "1.5 kB", "2 GB"]


def test_no_limit_is_that_of_the_machine(monkeypatch):
    assert memory_limit(None) == os.sysconf("SC_PAGE_SIZE") * os.sysconf(
        "SC_PHYS_PAGES"
    )
    monkeypatch.delattr("os.sysconf")  # as on Windows
    assert memory_limit(None) == UNKNOWN_MEMORY
    refuse_too_much(UNKNOWN_MEMORY, None, "A matrix", "Take a smaller one.")
    with pytest.raises(
        MemoryError,
        match=r"^A matrix would take 17 GB, more than the 16 GB of this machine\. Take a",
    ):
        refuse_too_much(17e9, None, "A matrix", "Take a smaller one.")

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skatom.uncertainty._conformal.rankings import Ranking
from skatom.uncertainty._conformal.ranks import (
    conformal_quantile,
    conformal_rank,
    grouped_quantile,
    structures_needed,
)


def of_structures(groups):
    """Flat scores of several structures, and the structure of each."""
    flat = np.concatenate([np.ravel(g) for g in groups])
    return flat, np.repeat(np.arange(len(groups)), [np.size(g) for g in groups])


@pytest.mark.parametrize(
    ("n", "level", "k"),
    [
        (19, 0.9, 18),
        (9, 0.9, 9),
        (8, 0.9, 9),
        (99, 0.07, 7),
        (99, 0.29, 29),
        (1, 0.5, 1),
    ],
)
def test_rank_is_the_smallest_integer_above_the_decimal_level(n, level, k):
    # 100 * 0.07 is 7.000000000000001 in floating point, whose ceiling is 8
    assert conformal_rank(n, level) == k


@given(st.integers(1, 999))
def test_structures_needed_is_the_first_number_with_a_finite_quantile(thousandths):
    level = thousandths / 1000
    n = structures_needed(level)
    assert conformal_rank(n, level) <= n
    assert n == 1 or conformal_rank(n - 1, level) == n


def test_quantile_is_an_order_statistic_and_infinite_beyond_the_last():
    scores = np.arange(1.0, 20.0)
    assert conformal_quantile(scores, 0.9) == 18.0
    assert conformal_quantile(scores, 0.95) == 19.0
    assert conformal_quantile(scores, 0.96) == np.inf


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.8, 0.9]),
    st.integers(0, 2**31),
)
def test_grouped_quantile_is_the_smallest_score_that_controls_the_risk(
    sizes, level, seed
):
    """Brute force in exact arithmetic over every candidate threshold."""
    rng = np.random.default_rng(seed)
    groups = [rng.integers(0, 6, size=(m, 3)).astype(float) for m in sizes]

    def risk(t):
        missed = sum(Fraction(int((g > t).sum()), g.size) for g in groups)
        return (missed + 1) / (len(groups) + 1)

    allowed = 1 - Fraction(repr(level))
    good = [
        t for t in np.unique(np.concatenate(groups, axis=None)) if risk(t) <= allowed
    ]
    found = Ranking.of(*of_structures(groups)).quantile(level)
    assert found == (good[0] if good else np.inf)


@given(st.integers(1, 60), st.sampled_from([0.07, 0.5, 0.9, 0.95]))
def test_groups_of_one_score_give_the_plain_quantile(n, level):
    scores = np.sort(np.random.default_rng(n).exponential(size=n))
    mass = np.arange(1.0, n + 1)
    assert grouped_quantile(scores, mass, n, level) == conformal_quantile(scores, level)


def test_simultaneous_quantile_ranks_the_largest_error_of_each_structure():
    groups = [np.full((s + 1, 3), 0.0) for s in range(9)]
    for s, group in enumerate(groups):
        group[0, 0] = s + 1.0
    scores = Ranking.largest(*of_structures(groups))
    assert scores.quantile(0.8) == 8.0
    assert scores.quantile(0.95) == np.inf


def test_large_structures_weigh_as_much_as_small_ones():
    """One big bad structure among ten cannot push the quantile beyond its own share."""
    rng = np.random.default_rng(0)
    small = [rng.uniform(0, 1, size=(1, 3)) for _ in range(19)]
    big = [rng.uniform(10, 11, size=(1000, 3))]
    pooled = np.sort(np.concatenate([s.ravel() for s in small + big]))
    scores = Ranking.of(*of_structures(small + big))
    assert scores.quantile(0.8) < 1.0
    assert pooled[ceil(0.8 * len(pooled)) - 1] > 10.0  # what flattening would give

"""Which atoms stand for the others."""

import numpy as np
import pytest

from skatom.models._kernel_ridge.choose_references import (
    central_points,
    choose_references,
    farthest_points,
    leverage_points,
)

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(40, 3))
KINDS = np.repeat([1, 6, 8], [30, 8, 2])


def chosen(n, selection="fps", kinds=KINDS, values=VALUES):
    return choose_references(values, kinds, n, selection, np.random.RandomState(0))


def test_farthest_points_are_greedy():
    points = np.array([[0.0], [1.0], [4.0], [10.0]])
    # 10 is farthest from the mean, then 0; 4 is farther from both than 1
    assert farthest_points(points, 3).tolist() == [3, 0, 2]


def test_farthest_points_match_a_search_over_all_distances():
    picked = farthest_points(VALUES, 12)
    for k in range(1, 12):
        distances = np.linalg.norm(VALUES[:, None] - VALUES[picked[:k]], axis=2)
        assert picked[k] == np.argmax(distances.min(axis=1))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_copies_are_not_picked(offset):
    # distances of 1 between numbers of 1e6 lose digits, but stay distances
    points = np.repeat(np.arange(5.0)[:, None], 4, axis=0) + offset
    assert sorted(points[farthest_points(points, 20)].ravel() - offset) == list(
        range(5)
    )


@pytest.mark.parametrize("selection", ["fps", "cur", "random"])
def test_kinds_share_by_their_counts_and_each_has_one(selection):
    counts = {int(z): int(np.sum(KINDS[chosen(12, selection)] == z)) for z in (1, 6, 8)}
    assert counts == {1: 9, 6: 2, 8: 1}


@pytest.mark.parametrize("selection", ["fps", "cur", "random"])
def test_more_than_there_are_gives_all(selection):
    assert chosen(1000, selection).tolist() == list(range(40))


def test_fewer_than_kinds_still_gives_one_each():
    assert len(chosen(1)) == 3


def test_random_choice_follows_its_seed():
    assert chosen(10, "random").tolist() == chosen(10, "random").tolist()
    other = choose_references(VALUES, KINDS, 10, "random", np.random.RandomState(1))
    assert other.tolist() != chosen(10, "random").tolist()


def test_leverage_finds_what_nothing_else_stands_for():
    """One row alone in its direction has leverage one of three."""
    values = np.column_stack([RNG.normal(size=(200, 2)), np.zeros(200)])
    values[7, 2] = 5.0
    draws = [leverage_points(values, 3, np.random.RandomState(s)) for s in range(20)]
    # uniform draws would find it with a chance of 3 in 200
    assert sum(7 in picked for picked in draws) > 8


def test_centres_are_of_all_clusters():
    centres = 10.0 * np.arange(6)
    values = (centres[:, None] + 0.1 * RNG.normal(size=(6, 30))).reshape(-1, 1)
    picked = central_points(values, 6, np.random.RandomState(0))
    assert sorted(np.round(values[picked, 0] / 10.0)) == list(range(6))


@pytest.mark.parametrize("selection", ["cur", "kmeans", "random"])
def test_asking_for_all_gives_all(selection):
    assert chosen(10**4, selection).tolist() == list(range(40))


def test_rows_of_zeros_are_drawn_at_random():
    picked = leverage_points(np.zeros((9, 2)), 3, np.random.RandomState(0))
    assert len(set(picked.tolist())) == 3

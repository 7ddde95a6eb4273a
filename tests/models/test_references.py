"""Which atoms stand for the others."""

import numpy as np
import pytest

from skatom.models._kernel.references import choose_references, farthest_points

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


@pytest.mark.parametrize("selection", ["fps", "random"])
def test_kinds_share_by_their_counts_and_each_has_one(selection):
    counts = {int(z): int(np.sum(KINDS[chosen(12, selection)] == z)) for z in (1, 6, 8)}
    assert counts == {1: 9, 6: 2, 8: 1}


@pytest.mark.parametrize("selection", ["fps", "random"])
def test_more_than_there_are_gives_all(selection):
    assert chosen(1000, selection).tolist() == list(range(40))


def test_fewer_than_kinds_still_gives_one_each():
    assert len(chosen(1)) == 3


def test_random_choice_follows_its_seed():
    assert chosen(10, "random").tolist() == chosen(10, "random").tolist()
    other = choose_references(VALUES, KINDS, 10, "random", np.random.RandomState(1))
    assert other.tolist() != chosen(10, "random").tolist()

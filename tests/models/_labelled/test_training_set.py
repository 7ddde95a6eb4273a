"""What closed-form models are fitted to: checked in one order, taken apart and weighted."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled

from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.models._labelled.training_set import (
    ENERGY,
    FORCE,
    VIRIAL,
    every_force,
    training_set,
)
from skatom.structures import read_energies

COPPER = bulk("Cu", cubic=True)
FRAMES = [labelled(rattled(COPPER, seed), stress=seed > 1) for seed in range(4)]
FRAMES.append(rattled(molecule("H2O"), 0))
FRAMES[-1].calc = None
Y = np.append(read_energies(FRAMES[:4]), -3.0)
SAMPLES = np.array([1.0, 2.0, 0.5, 3.0, 1.0])


@pytest.fixture
def given():
    model = AtomicRidge(force_weight=0.3, stress_weight=0.2, stress="auto")
    X = ACSF(4.0).fit_transform(FRAMES)
    return training_set(model, X, Y, SAMPLES)


def test_labels_are_counted_and_weighted(given):
    table = given.table()
    assert given.n_labels == len(table.owners) == 5 + 4 * 12 + 2 * 6
    np.testing.assert_array_equal(np.bincount(table.kinds), [5, 48, 12])
    forces = table.kinds == FORCE
    np.testing.assert_allclose(table.weights[forces], np.repeat(0.3 * SAMPLES[:4], 12))
    virials = table.kinds == VIRIAL
    np.testing.assert_allclose(
        table.weights[virials], np.repeat(0.2 * SAMPLES[2:4] / 4, 6)
    )
    np.testing.assert_array_equal(table.owners[virials], np.repeat([2, 3], 6))
    energies = table.weights[table.kinds == ENERGY]
    np.testing.assert_allclose(energies, SAMPLES / [4, 4, 4, 4, 3])


def test_parts_keep_the_labels_of_their_structures(given):
    part = given.take(np.array([1, 3]))
    np.testing.assert_array_equal(part.y, Y[[1, 3]])
    np.testing.assert_array_equal(part.samples, SAMPLES[[1, 3]])
    np.testing.assert_array_equal(
        part.labels.forces[4:], FRAMES[3].calc.results["forces"]
    )
    assert part.n_labels == 2 + 2 * 12 + 6
    assert given.take(np.array([4])).labels is None


def test_a_baseline_is_fitted_on_what_is_kept_and_subtracted(given):
    numbers = np.array([1, 8, 29])
    keep = np.array([True, False, False, False, True])
    baseline = given.baseline(numbers, keep)
    left = given.above(baseline, numbers).y
    np.testing.assert_allclose(left[keep], 0.0, atol=1e-9)
    np.testing.assert_allclose(left[1], Y[1] - Y[0], atol=1e-9)
    assert given.above(np.zeros(3), numbers) is given


def test_means_are_weighted_as_means(given):
    means = given.as_means()
    np.testing.assert_allclose(means.y, Y * [4, 4, 4, 4, 3])
    np.testing.assert_allclose(means.energy_weights, SAMPLES / [16, 16, 16, 16, 9])


def test_every_force_is_zero_and_counts_alike(given):
    asked = every_force(given.X)
    assert asked.n_labels == 5 + 3 * 19
    assert not asked.labels.forces.any()


@pytest.mark.parametrize(
    ("y", "samples", "forces", "message"),
    [
        (None, None, None, "requires y to be passed"),
        (Y[:3], np.ones(2), None, "y has"),
        (Y, np.ones(2), np.zeros((1, 3)), "sample_weight"),
        (Y, None, [np.zeros((4, 3))], "forces"),
        (7.0 * Y, None, None, "times the energies stored"),
    ],
)
def test_what_is_wrong_is_told_in_one_order(y, samples, forces, message):
    X = ACSF(4.0).fit_transform(FRAMES)
    with pytest.raises(ValueError, match=message):
        training_set(AtomicKernelRidge(), X, y, samples, forces)


def test_targets_without_slopes_read_no_labels():
    X = ACSF(4.0).fit_transform(FRAMES)
    assert training_set(AtomicRidge(target="sum"), X, 7.0 * Y).labels is None

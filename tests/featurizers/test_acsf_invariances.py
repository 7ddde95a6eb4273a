"""ACSF of random clusters and crystals does not know how a structure was put down."""

import numpy as np
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from skatom.featurizers import ACSF, acsf_grid

ANGULAR = acsf_grid([0.05, 0.3], [1, 4], [-1, 1])
SEEDS = st.integers(0, 2**32 - 1)
CELL = np.array([[4.5, 0.0, 0.0], [0.7, 4.2, 0.0], [-0.4, 0.9, 4.9]])


def features(atoms):
    """Values of all kinds of functions, with both ways to sum G5 in use."""
    acsf = ACSF(4.0, g2=[[1.0, 0.0], [4.0, 2.0]], g4=ANGULAR, g5=ANGULAR)
    acsf.set_params(species=["H", "C", "O"])
    return acsf.fit([atoms]).transform([atoms])


def put_down(rng, n, periodic):
    """Atoms of up to three species, none closer than 0.7 Å."""
    points = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) / 3
    points = rng.permutation(points)[:n] @ CELL + rng.uniform(-0.2, 0.2, (n, 3))
    symbols = rng.choice(["H", "C", "O"], n)
    return Atoms(symbols, points, cell=CELL if periodic else None, pbc=periodic)


@st.composite
def structures(draw):
    """Up to 16 atoms in a cluster or in a crystal."""
    rng = np.random.default_rng(draw(SEEDS))
    return put_down(rng, draw(st.integers(1, 16)), draw(st.booleans()))


def check_same(moved, features_before, order=slice(None)):
    expected = features_before.values[order]
    # sums of up to a few hundred terms of order one and slope ten, positions of order
    # ten: 1e-14 times what they add up to
    scale = max(1.0, np.abs(expected).max())
    assert_allclose(features(moved).values, expected, rtol=0, atol=1e-12 * scale)


@given(structures(), SEEDS)
def test_acsf_is_invariant_to_rotation_and_reflection(atoms, seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1.0, 1.0])
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T
    moved.cell = atoms.cell.array @ turn.T
    check_same(moved, features(atoms))


@given(structures(), st.lists(st.floats(-10, 10), min_size=3, max_size=3))
def test_acsf_is_invariant_to_translation_and_wrapping(atoms, shift):
    moved = atoms.copy()
    moved.translate(shift)
    if atoms.pbc.any():
        moved.wrap()
    check_same(moved, features(atoms))


@given(structures(), SEEDS)
def test_acsf_follows_the_order_of_atoms(atoms, seed):
    order = np.random.default_rng(seed).permutation(len(atoms))
    check_same(atoms[order], features(atoms), order)


@given(structures(), SEEDS)
def test_gradients_of_acsf_have_no_net_force_and_turn_with_the_structure(atoms, seed):
    before = features(atoms)
    g = np.random.default_rng(seed).normal(size=before.values.shape)
    forces = before.pairs.forces(before.pullback(g))
    turn = Rotation.random(random_state=seed).as_matrix()
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T
    moved.cell = atoms.cell.array @ turn.T
    after = features(moved)
    turned = after.pairs.forces(after.pullback(g))
    # sums of a few thousand terms of order ten
    scale = max(1.0, np.abs(forces).max())
    assert_allclose(turned, forces @ turn.T, rtol=0, atol=1e-11 * scale)
    assert_allclose(forces.sum(axis=0), 0.0, rtol=0, atol=1e-11 * scale)


def test_structures_of_this_file_use_both_ways_to_sum_g5():
    rng = np.random.default_rng(0)
    cluster, crystal = (features(put_down(rng, 12, pbc)) for pbc in (False, True))
    most = crystal.steps[0]._angular[1][2][-1]
    assert np.diff(cluster.pairs.offsets).max() <= most
    assert np.diff(crystal.pairs.offsets).max() > most

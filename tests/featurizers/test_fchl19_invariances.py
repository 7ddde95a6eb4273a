"""FCHL19 of random clusters and crystals does not know how a structure was put down."""

import numpy as np
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from skatom.featurizers import FCHL19

SEEDS = st.integers(0, 2**32 - 1)
CELL = np.array([[4.5, 0.0, 0.0], [0.7, 4.2, 0.0], [-0.4, 0.9, 4.9]])


def features(atoms):
    """Values and derivatives of two orders of the Fourier series."""
    fchl = FCHL19(4.5, r_cut_angular=4.0, n_angular=6, n_fourier=2, zeta=0.7)
    fchl.set_params(species=["H", "C", "O"])
    return fchl.fit([atoms]).transform([atoms])


@st.composite
def structures(draw):
    """Up to 12 atoms, none closer than 0.7 Å, in a cluster or in a crystal."""
    rng = np.random.default_rng(draw(SEEDS))
    n, periodic = draw(st.integers(1, 12)), draw(st.booleans())
    points = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) / 3
    points = rng.permutation(points)[:n] @ CELL + rng.uniform(-0.2, 0.2, (n, 3))
    symbols = rng.choice(["H", "C", "O"], n)
    return Atoms(symbols, points, cell=CELL if periodic else None, pbc=periodic)


def check_same(moved, before, order=slice(None)):
    expected = before.values[order]
    # sums of up to a few thousand terms: 1e-14 times what they add up to
    scale = max(1.0, np.abs(expected).max())
    assert_allclose(features(moved).values, expected, rtol=0, atol=1e-12 * scale)


@given(structures(), SEEDS)
def test_fchl19_is_invariant_to_rotation_and_reflection(atoms, seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1.0, 1.0])
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T
    moved.cell = atoms.cell.array @ turn.T
    check_same(moved, features(atoms))


@given(structures(), st.lists(st.floats(-10, 10), min_size=3, max_size=3))
def test_fchl19_is_invariant_to_translation_and_wrapping(atoms, shift):
    moved = atoms.copy()
    moved.translate(shift)
    if atoms.pbc.any():
        moved.wrap()
    check_same(moved, features(atoms))


@given(structures(), SEEDS)
def test_fchl19_follows_the_order_of_atoms(atoms, seed):
    order = np.random.default_rng(seed).permutation(len(atoms))
    check_same(atoms[order], features(atoms), order)


@given(structures(), SEEDS)
def test_gradients_of_fchl19_have_no_net_force_and_turn_with_the_structure(atoms, seed):
    before = features(atoms)
    g = np.random.default_rng(seed).normal(size=before.values.shape)
    forces = before.pairs.forces(before.pullback(g))
    turn = Rotation.random(random_state=seed).as_matrix()
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T
    moved.cell = atoms.cell.array @ turn.T
    after = features(moved)
    turned = after.pairs.forces(after.pullback(g))
    # sums of a few ten thousand terms of order ten
    scale = max(1.0, np.abs(after.pullback(g)).max(initial=0.0))
    assert_allclose(turned, forces @ turn.T, rtol=0, atol=1e-10 * scale)
    assert_allclose(forces.sum(axis=0), 0.0, rtol=0, atol=1e-11 * scale)


def test_a_supercell_has_the_features_of_its_cell():
    rng = np.random.default_rng(7)
    atoms = Atoms("HCO", rng.uniform(0, 1, (3, 3)) @ CELL, cell=CELL, pbc=True)
    check_same(atoms * (2, 1, 2), features(atoms), np.tile(np.arange(3), 4))

"""Rigid motions are counted and left out for atoms, dimers, rods and molecules."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF
from skatom.models import AtomicGaussianProcessRegressor
from skatom.models._labelled.rigid_motions import (
    count_rigid_motions,
    internal_directions,
)

ROD = np.array([[0.0, 0.0, -1.2], [0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])
TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


@pytest.mark.parametrize(
    ("positions", "n_rigid"),
    [
        (np.ones((1, 3)), 3),
        (ROD[:2], 5),
        (ROD, 5),
        (ROD @ TURN + 7.0, 5),
        (ROD + 1e-17 * np.arange(9.0).reshape(3, 3), 5),  # rounding is no direction
        (molecule("H2O").positions, 6),
        (molecule("CH4").positions + 50.0, 6),
    ],
)
def test_as_many_directions_are_rigid_as_there_are(positions, n_rigid):
    rigid, internal = internal_directions(positions)
    assert rigid.shape[1] == n_rigid == count_rigid_motions(positions)
    both = np.hstack([rigid, internal])
    assert_allclose(both.T @ both, np.eye(positions.size), atol=1e-12)
    spin = np.cross([0.3, -0.2, 0.9], positions).ravel()
    assert_allclose(internal.T @ spin, 0.0, atol=1e-6 * np.abs(spin).max())


def test_noise_of_forces_is_not_hidden_by_rigid_motions_of_dimers():
    rng, frames, energies, forces = np.random.default_rng(0), [], [], []
    for _ in range(60):
        atoms = molecule("CO")
        stretch = rng.uniform(-0.15, 0.15)
        atoms.positions *= 1.0 + stretch
        bond = atoms.positions[1] - atoms.positions[0]
        longer = stretch * np.linalg.norm(bond) / (1.0 + stretch)
        axis = bond / np.linalg.norm(bond)
        pull = 40.0 * longer * np.array([axis, -axis])
        internal = internal_directions(atoms.positions)[1]  # as forces of energies are
        noise = internal @ rng.normal(scale=0.1, size=internal.shape[1])
        energies.append(20.0 * longer**2 + rng.normal(scale=3e-3))
        forces.append(pull + noise.reshape(-1, 3))
        frames.append(atoms)
    process = AtomicGaussianProcessRegressor(random_state=0)
    model = make_pipeline(ACSF(4.0, n_radial=4, g4=None), process)
    model.fit(frames, energies, atomicgaussianprocessregressor__forces=forces)
    assert process.noise_forces_ == pytest.approx(0.1, rel=0.2)


def test_single_atoms_with_forces_take_part():
    frames = [Atoms("H"), *(molecule("H2") for _ in range(4))]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    forces = [np.zeros((len(a), 3)) for a in frames]
    process = AtomicGaussianProcessRegressor(optimizer=None)
    model = make_pipeline(ACSF(3.0, n_radial=3, g4=None), process)
    model.fit(
        frames, np.arange(5.0) * 1e-3, atomicgaussianprocessregressor__forces=forces
    )
    assert np.isfinite(model.predict(frames)).all()

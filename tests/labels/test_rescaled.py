"""Rescaled targets are refused, baselines are not."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skatom.labels._rescaled import judge_scale
from skatom.structures import Structures, read_energies


def refuse_rescaled_targets(y, X) -> None:
    """Raise what fits raise."""
    for finding in judge_scale(np.asarray(y, dtype=np.float64), X):
        raise ValueError(str(finding))


@pytest.fixture(scope="module")
def one_compound():
    return Structures([labelled(rattled(bulk("Cu", cubic=True), k)) for k in range(12)])


@pytest.fixture(scope="module")
def compounds():
    names = ["H2O", "CH4", "CH3OH", "C2H6", "H2O2", "CO2", "H2CO", "C2H4"] * 2
    return Structures([labelled(rattled(molecule(n), k)) for k, n in enumerate(names)])


def test_stored_energies_pass(one_compound, compounds):
    for X in (one_compound, compounds):
        y = read_energies(X)
        refuse_rescaled_targets(y, X)
        refuse_rescaled_targets(y.astype(np.float32), X)


def test_baselines_pass(one_compound, compounds):
    for X in (one_compound, compounds):
        y = read_energies(X)
        refuse_rescaled_targets(y - y.mean(), X)
        refuse_rescaled_targets(y - 3.1 * X.n_atoms, X)
        elements = np.array([np.sum(1.7 * a.numbers) for a in X])
        refuse_rescaled_targets(y - elements, X)


def test_another_level_of_theory_passes(compounds):
    rng = np.random.default_rng(0)
    y = read_energies(compounds)
    refuse_rescaled_targets(1.3 * y + 0.02 * rng.normal(size=len(y)), compounds)


def test_another_property_passes(compounds):
    refuse_rescaled_targets(np.random.default_rng(0).normal(size=16), compounds)


def test_scaled_targets_are_refused(one_compound, compounds):
    for X in (one_compound, compounds):
        y = read_energies(X)
        with pytest.raises(ValueError, match="TransformedTargetRegressor"):
            refuse_rescaled_targets((y - y.mean()) / y.std(), X)
        with pytest.raises(ValueError, match=r"y is 23\.1 times the energies"):
            refuse_rescaled_targets(23.06 * y, X)
        with pytest.raises(ValueError, match=r"y is 0\.5 times"):
            refuse_rescaled_targets(0.5 * y - 2 * X.n_atoms, X)


def test_energies_per_atom_are_refused(compounds):
    with pytest.raises(ValueError, match="y holds energies per atom"):
        refuse_rescaled_targets(read_energies(compounds) / compounds.n_atoms, compounds)


def test_energies_in_info_count_too(one_compound):
    frames = [a.copy() for a in one_compound]
    for atoms, e in zip(frames, read_energies(one_compound)):
        atoms.info["energy"] = e
    with pytest.raises(ValueError, match="y is 2 times"):
        refuse_rescaled_targets(2 * read_energies(one_compound), Structures(frames))


def test_without_stored_energies_nothing_is_refused(one_compound):
    bare = Structures([a.copy() for a in one_compound])
    bare[0].info["energy"] = "unknown"
    refuse_rescaled_targets(2 * read_energies(one_compound), bare)


def test_too_few_energies_show_no_slope(one_compound):
    refuse_rescaled_targets(2 * read_energies(one_compound[:3]), one_compound[:3])


def test_energies_that_follow_from_composition_show_no_slope():
    frames = [molecule(n) for n in ("H2", "O2", "H2O", "H2O2", "O3", "H2", "O2", "OH")]
    for atoms in frames:
        atoms.info["energy"] = -1.5 * len(atoms)
    refuse_rescaled_targets(read_energies(frames) * 2, Structures(frames))


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_scaled_targets_are_known_without_stored_energies(scaler):
    X = Structures([bulk("Cu", a=a) for a in (3.5, 3.6, 3.7, 3.8)])
    y = np.array([-3.3, -3.5, -3.4, -3.2])
    scaled = scaler.fit_transform(y[:, None])[:, 0]
    with pytest.raises(ValueError, match="y has been scaled to"):
        refuse_rescaled_targets(scaled, X)
    refuse_rescaled_targets(y, X)
    refuse_rescaled_targets(y - y.mean(), X)

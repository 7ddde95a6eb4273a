"""CompositionBaseline against energies known by hand."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from radial import RadialSums
from sklearn.base import clone

from skatom.models import CompositionBaseline, input_gradient

NAMES = ["H2", "H2O", "CH4", "CO2", "CH3OH"]
TRUE = {"H": -13.6, "C": -1030.0, "O": -2040.0}


@pytest.fixture
def frames():
    return [molecule(n) for n in NAMES]


@pytest.fixture
def y(frames):
    return np.array([sum(TRUE[s] for s in atoms.symbols) for atoms in frames])


def test_finds_the_energies_of_elements(frames, y):
    found = CompositionBaseline().fit(frames, y)
    assert list(found.energies_) == ["H", "C", "O"]
    assert found.energies_ == pytest.approx(TRUE, rel=1e-12)
    np.testing.assert_allclose(found.predict(frames), y, rtol=1e-12)


def test_takes_the_smallest_energies_where_one_composition_leaves_them_open():
    water = [molecule("H2O")] * 2
    found = CompositionBaseline().fit(water, [-10.0, -10.0])
    # smallest norm: proportional to the counts, 2 and 1
    assert found.energies_ == pytest.approx({"H": -4.0, "O": -2.0})


def test_weights_count_like_repeated_structures(frames, y):
    y = y + np.array([0.1, -0.2, 0.3, 0.0, 0.2])
    weighted = CompositionBaseline().fit(frames, y, sample_weight=[1, 2, 1, 3, 1])
    repeat = [0, 1, 1, 2, 3, 3, 3, 4]
    repeated = CompositionBaseline().fit([frames[k] for k in repeat], y[repeat])
    assert weighted.energies_ == pytest.approx(repeated.energies_, rel=1e-10)


def test_given_energies_are_used_without_targets(frames, y):
    found = CompositionBaseline(TRUE).fit(frames)
    np.testing.assert_allclose(found.predict(frames), y)


def test_same_from_features_as_from_structures(frames, y):
    features = RadialSums().fit_transform(frames)
    found = CompositionBaseline().fit(features, y)
    np.testing.assert_array_equal(
        found.predict(features), CompositionBaseline().fit(frames, y).predict(frames)
    )
    assert not input_gradient(found, features).any()


def test_energies_of_atoms_sum_and_forces_are_zero(frames, y):
    found = CompositionBaseline().fit(frames, y)
    atoms = found.predict_atomic_energies(frames)
    np.testing.assert_allclose([e.sum() for e in atoms], found.predict(frames))
    assert [f.shape for f in found.predict_forces(frames)] == [
        (len(a), 3) for a in frames
    ]
    assert not np.concatenate(found.predict_forces(frames)).any()
    crystal = CompositionBaseline({"Cu": -3.0}).fit([bulk("Cu")])
    np.testing.assert_array_equal(
        crystal.predict_stress([bulk("Cu")]), np.zeros((1, 6))
    )


def test_no_structures_give_no_energies(frames, y):
    found = CompositionBaseline().fit(frames, y)
    assert found.predict([]).shape == (0,)
    assert found.predict_atomic_energies([]) == []


def test_clone_keeps_the_given_energies():
    assert clone(CompositionBaseline(TRUE)).energies == TRUE


def test_an_element_without_energy_is_named(frames, y):
    found = CompositionBaseline().fit(frames[:3], y[:3])
    with pytest.raises(
        ValueError, match=r"Structure 1, atom 0 is Cu, .* knows H, C, O only\."
    ):
        found.predict([frames[0], bulk("Cu")])


def test_given_energies_must_cover_the_training_structures(frames):
    with pytest.raises(
        ValueError, match="is O, but CompositionBaseline knows H, C only"
    ):
        CompositionBaseline({"H": -13.6, "C": 0.0}).fit(frames)


def test_a_symbol_that_is_no_element_is_refused(frames):
    with pytest.raises(ValueError, match=r"'Hx', which is no .* Did you mean 'H'\?"):
        CompositionBaseline({"Hx": -13.6}).fit(frames)


@pytest.mark.parametrize("energy", [np.nan, "-13.6", None])
def test_an_energy_that_is_no_finite_number_is_refused(energy, frames):
    with pytest.raises(
        ValueError, match=f"energy of H in energies is {energy!r}: give"
    ):
        CompositionBaseline({"H": energy}).fit(frames)


def test_targets_are_needed_to_fit(frames):
    with pytest.raises(ValueError, match="requires y"):
        CompositionBaseline().fit(frames)

"""Dipole moments and charges from the calculator, in the units of ASE."""

import pickle

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from sklearn.linear_model import Ridge

pytest.importorskip("torch")

from skatom.base import Target
from skatom.calculator import SkatomCalculator
from skatom.featurizers import ACSF
from skatom.models import (
    AtomicRidge,
    NeuralNetworkRegressor,
    SchNetRegressor,
)
from skatom.potential import make_potential
from skatom.preprocessing import Pool
from skatom.structures import read_energies
from skatom.structures._samples import with_labels
from skatom.uncertainty import ConformalRegressor

pytestmark = pytest.mark.filterwarnings("ignore:.*is ignored")

SMALL = {"max_epochs": 2, "random_state": 0, "dtype": "float64"}
DEBYE = Target("moment", "Debye", "vector")


def molecules():
    frames = [molecule(("H2O", "NH3")[k % 2]) for k in range(8)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
        charges = np.where(atoms.numbers == 1, 0.3, 0.3 * (1 - len(atoms)))
        atoms.info["dipole"] = charges @ atoms.positions
        atoms.info["moment"] = charges @ atoms.positions / units.Debye
        atoms.arrays["charges"] = charges
    return with_labels(frames)


FRAMES = molecules()
Y = read_energies(FRAMES)
MOMENTS = np.array([a.info["dipole"] for a in FRAMES])


def behind_features(model):
    return make_potential(ACSF(4.0, n_radial=3, g4=None), model)


@pytest.fixture(scope="module")
def several():
    target = ["energy", DEBYE, "charges"]
    return behind_features(NeuralNetworkRegressor((4,), target=target, **SMALL)).fit(
        FRAMES, Y
    )


@pytest.fixture(scope="module")
def energies():
    return behind_features(AtomicRidge()).fit(FRAMES, Y)


@pytest.fixture(scope="module")
def moments():
    network = NeuralNetworkRegressor((4,), target="dipole", **SMALL)
    return behind_features(network).fit(FRAMES, MOMENTS)


def test_a_network_of_several_targets_gives_them(several):
    atoms = FRAMES[0].copy()
    atoms.calc = SkatomCalculator(several)
    expected = several.predict_targets(FRAMES[:1])
    np.testing.assert_allclose(
        atoms.get_dipole_moment(), expected["moment"][0] * units.Debye, rtol=1e-12
    )
    np.testing.assert_allclose(atoms.get_charges(), expected["charges"][0], rtol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(expected["energy"][0])
    assert {"dipole", "charges"} <= set(atoms.calc.implemented_properties)
    assert "dipole" not in SkatomCalculator.implemented_properties


def test_networks_of_structures_and_intervals_around_them_give_them():
    model = SchNetRegressor(
        r_cut=3.0, n_features=4, n_interactions=1, n_basis=4,
        target=["energy", "dipole"], **SMALL,
    )  # fmt: skip
    model = ConformalRegressor(model, calibration_size=3, random_state=0).fit(FRAMES, Y)
    atoms = FRAMES[0].copy()
    atoms.calc = SkatomCalculator(model)
    expected = model.estimator_.predict_targets(FRAMES[:1])["dipole"][0]
    np.testing.assert_allclose(atoms.get_dipole_moment(), expected, rtol=1e-9)


def test_another_model_gives_what_the_first_has_not(energies, moments, several):
    atoms = FRAMES[1].copy()
    beside = {"dipole": moments, "charges": several}
    atoms.calc = SkatomCalculator(energies, properties=beside)
    np.testing.assert_allclose(atoms.get_dipole_moment(), moments.predict([atoms])[0])
    expected = several.predict_targets([atoms])["charges"][0]
    np.testing.assert_allclose(atoms.get_charges(), expected)
    np.testing.assert_allclose(atoms.get_forces(), energies.predict_forces([atoms])[0])
    copy = pickle.loads(pickle.dumps(atoms.calc))
    np.testing.assert_array_equal(
        copy.get_property("dipole", atoms), atoms.get_dipole_moment()
    )


def test_another_model_comes_before_the_own(several, moments):
    calc = SkatomCalculator(several, properties={"dipole": moments})
    expected = moments.predict(FRAMES[:1])[0]
    np.testing.assert_allclose(calc.get_property("dipole", FRAMES[0]), expected)


def test_moments_follow_the_charge_of_an_ion(moments, energies):
    atoms = FRAMES[0].copy()
    atoms.calc = SkatomCalculator(energies, properties={"dipole": moments})
    before = atoms.get_dipole_moment()
    atoms.info["charge"] = 1
    np.testing.assert_allclose(atoms.get_dipole_moment(), moments.predict([atoms])[0])
    assert not np.allclose(before, atoms.get_dipole_moment())


def test_what_no_model_predicts_is_refused(energies, moments):
    atoms = FRAMES[0].copy()
    atoms.calc = SkatomCalculator(energies)
    with pytest.raises(
        PropertyNotImplementedError,
        match=r"properties=\{'dipole': model\} with target",
    ):
        atoms.get_dipole_moment()
    with pytest.raises(ValueError, match=r"holds 'dipol'\. Did you mean 'dipole'"):
        SkatomCalculator(energies, properties={"dipol": moments})
    with pytest.raises(
        ValueError,
        match=r"properties\['charges'\] is NeuralNetworkRegressor, .*dipole",
    ):
        SkatomCalculator(energies, properties={"charges": moments})
    ridge = make_potential(ACSF(4.0), Pool(), Ridge()).fit(FRAMES, Y)
    with pytest.raises(ValueError, match=r"is Ridge, which predicts energy in eV"):
        SkatomCalculator(energies, properties={"dipole": ridge})
    with pytest.raises(
        ValueError, match=r"beside it \(properties=\{'dipole': \.\.\.\}\)"
    ):
        SkatomCalculator(moments)


def test_moments_that_are_not_finite_are_refused(energies, moments, monkeypatch):
    calc = SkatomCalculator(energies, properties={"dipole": moments})
    monkeypatch.setattr(
        "skatom.calculator._beside.predict_targets",
        lambda *_: {"dipole": [[np.nan] * 3]},
    )
    with pytest.raises(ValueError, match="gives dipole that are NaN"):
        calc.get_property("dipole", FRAMES[0])

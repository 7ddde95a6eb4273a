"""Anybody's calculator as a fitted estimator: shifts, factors, intervals, grades."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skatom import SkatomCalculator
from skatom.bases import BaseError, LennardJones
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.persistence import load, save
from skatom.potential import CalculatorRegressor, DeltaRegressor, evaluate, r_cut_of
from skatom.report import UncertaintyReport
from skatom.structures import read_energies
from skatom.uncertainty import (
    ConformalRegressor,
    DomainFlags,
    EnsembleRegressor,
    FeatureDistance,
)


@pytest.fixture(scope="module")
def frames():
    names = ("H2O", "CH4", "CH3OH", "H2CO")
    return [labelled(rattled(molecule(names[k % 4]), k)) for k in range(40)]


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


def test_a_calculator_alone_is_fitted_as_it_comes(frames):
    model = CalculatorRegressor(EMT())
    expected = [rattled(a, stdev=0.0) for a in frames]
    for atoms in expected:
        atoms.calc = EMT()
    energies = [atoms.get_potential_energy() for atoms in expected]
    np.testing.assert_allclose(model.predict(frames), energies)
    assert not vars(model).keys() & {"parts_", "scales_"}
    fitted = CalculatorRegressor(EMT()).fit(frames)
    np.testing.assert_array_equal(fitted.predict(frames), model.predict(frames))
    model.set_params(calculator="lj")
    assert np.abs(model.predict(frames) - energies).max() > 1e-3


def test_what_learns_has_to_be_fitted(frames):
    for model in (CalculatorRegressor("emt", shift=True), CalculatorRegressor(["emt"])):
        with pytest.raises(NotFittedError):
            model.predict(frames)
        with pytest.raises(ValueError, match="y"):
            model.fit(frames)


def test_shifts_are_energies_of_elements(frames):
    other = CompositionBaseline({"H": -3.0, "C": -9.0, "O": -8.0}).fit(frames)
    y = CalculatorRegressor("emt").predict(frames) + other.predict(frames)
    model = CalculatorRegressor("emt", shift=True).fit(frames, y)
    assert model.shifts_ == pytest.approx({"H": -3.0, "C": -9.0, "O": -8.0}, abs=1e-8)
    np.testing.assert_allclose(model.predict(frames), y)
    of_atoms = model.predict_atomic_energies(frames[:3])
    np.testing.assert_allclose([one.sum() for one in of_atoms], y[:3])
    with pytest.raises(ValueError, match="Structure 0, atom 0 is Cu"):
        model.predict([bulk("Cu")])


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("with_forces", [False, True])
def test_factors_are_found(frames, shift, with_forces):
    bases = ["emt", LennardJones(epsilon=0.1)]
    parts = [evaluate(CalculatorRegressor(base), frames) for base in bases]
    y = 0.5 * parts[0].energies + 2.0 * parts[1].energies
    forces = None
    if with_forces:
        pairs = zip(parts[0].forces, parts[1].forces)
        forces = [0.5 * one + 2.0 * two for one, two in pairs]
    model = CalculatorRegressor(bases, shift=shift, forces=None)
    model.fit(frames, y, forces=forces)
    np.testing.assert_allclose(model.scales_, [0.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(model.predict(frames), y, atol=1e-6)


def test_factors_that_labels_leave_open_are_equal_shares(frames):
    model = CalculatorRegressor(["emt", "zbl"], shift=True, forces=None)
    one = [frames[0]] * 3
    model.fit(one, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(model.scales_, 0.5, atol=1e-6)


def test_estimators_may_be_among_them(frames, y):
    pipeline = make_pipeline(RadialSums(), AtomicRidge())
    fitted = FrozenEstimator(pipeline.fit(frames[:20], y[:20]))
    model = CalculatorRegressor(["lj", fitted, pipeline], shift=True).fit(frames, y)
    assert model.parts_[1].estimator.named_steps is not None
    inner = [part.predict(frames) for part in model.parts_[1:]]
    assert np.abs(inner[0] - inner[1]).max() > 1e-9  # one is frozen, one fitted anew
    assert np.isfinite(model.predict_forces(frames[:1])[0]).all()


def test_a_list_must_hold_something(frames, y):
    with pytest.raises(ValueError, match="list of bases is empty"):
        CalculatorRegressor([]).fit(frames, y)


def test_structures_that_fail_are_refused_or_left_out(frames, y):
    some = [*frames[:6], Atoms("SiH", [[0, 0, 0], [0, 0, 1.5]]), *frames[6:]]
    energies = np.insert(y, 6, 1.0)
    with pytest.raises(
        BaseError, match=r"structure 6 \(HSi\): there are no parameters"
    ):
        CalculatorRegressor("emt", shift=True).fit(some, energies)
    model = CalculatorRegressor("emt", shift=True, on_failure="drop")
    with pytest.warns(UserWarning, match=r"1 of 41 structures are left out .*\(6\)"):
        model.fit(some, energies)
    assert model.left_out_.tolist() == [6]
    clean = CalculatorRegressor("emt", shift=True).fit(frames, y)
    np.testing.assert_array_equal(model.predict(frames), clean.predict(frames))
    with pytest.raises(BaseError, match="structure 6"):
        model.predict(some)
    with pytest.raises(BaseError, match="Nothing is left to fit"):
        model.fit(some[6:7], energies[6:7])


def test_bases_that_fail_for_different_structures_may_leave_none():
    class Picky(LennardJones):
        def __init__(self, symbol="H"):
            super().__init__()
            self.symbol = symbol

        def refusal(self, atoms):
            return "not mine" if self.symbol in atoms.symbols else None

    frames = [molecule("H2"), molecule("O2")]
    model = CalculatorRegressor([Picky("H"), Picky("O")], on_failure="drop")
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(BaseError, match="No structure is left"),
    ):
        model.fit(frames, [1.0, 2.0])


def test_intervals_of_anybodys_calculator_cover(frames, y):
    rng = np.random.default_rng(0)
    true = y + rng.normal(scale=0.1, size=len(y))
    model = ConformalRegressor(
        CalculatorRegressor(EMT()), cv="prefit", confidence_level=0.8
    ).fit(frames[:30], true[:30])
    predicted, intervals = model.predict_interval(frames[30:])
    half = np.sort(np.abs(true - y)[:30])[int(np.ceil(31 * 0.8)) - 1]
    np.testing.assert_allclose(intervals[:, 1] - predicted, half, rtol=1e-6)
    of_forces = model.predict_forces_interval(frames[30:])[1]
    assert of_forces[0].shape == (len(frames[30]), 3, 2)
    report = UncertaintyReport.from_estimator(
        model, frames[30:], true[30:], figures=False, n_bootstrap=2
    )
    assert len(report.tables) > 0


def test_the_calculator_of_a_calculator_is_the_calculator():
    atoms = rattled(bulk("Cu", cubic=True), 1)
    atoms.calc = SkatomCalculator(CalculatorRegressor(EMT()))
    other = atoms.copy()
    other.calc = EMT()
    for ask in ("get_potential_energy", "get_forces", "get_stress"):
        np.testing.assert_allclose(getattr(atoms, ask)(), getattr(other, ask)())


def test_graders_look_at_the_features_it_is_given(frames, y):
    model = CalculatorRegressor("emt", features=RadialSums()).fit(frames[:30])
    far = [rattled(frames[0], 7, 0.6)]
    for grader in (
        FeatureDistance(model, random_state=0),
        DomainFlags(model, ("distance", "range"), random_state=0),
    ):
        grader.fit(frames[:30])
        assert grader.grade(far)[0] > 1 > grader.grade(frames[30:31])[0]
    assert r_cut_of(model) == RadialSums().r_cut
    bare = CalculatorRegressor("emt")
    with pytest.raises(
        TypeError, match=r"CalculatorRegressor\(..., features=SOAP\(\)\)"
    ):
        FeatureDistance(bare).fit(frames[:30])


def test_there_are_no_standard_deviations(frames, y):
    model = CalculatorRegressor("emt")
    with pytest.raises(ValueError, match="wrap it in ConformalRegressor"):
        evaluate(model, frames[:1], std=True)


def test_ensembles_of_bases_differ_by_what_is_fitted(frames, y):
    ensemble = EnsembleRegressor(
        CalculatorRegressor("emt", shift=True), 3, random_state=0
    ).fit(frames, y + np.random.default_rng(0).normal(size=len(y)))
    assert (ensemble.predict(frames, return_std=True)[1] > 1e-3).all()


class Charged(EMT):
    """A calculator that reads charges, as tight binding does."""

    def calculate(self, *arguments):
        super().calculate(*arguments)
        shift = (
            self.atoms.info.get("charge", 0) + self.atoms.get_initial_charges().sum()
        )
        self.results["energy"] += shift


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_calculator_sees_charges_that_a_base_reads(frames, y, wrapped):
    model = CalculatorRegressor(Charged())
    if wrapped:
        pipeline = make_pipeline(RadialSums(), AtomicRidge())
        model = DeltaRegressor(pipeline, Charged()).fit(frames, y)
    atoms = frames[0].copy()
    atoms.calc = SkatomCalculator(model)
    neutral = atoms.get_potential_energy()
    atoms.info["charge"] = 1
    assert atoms.get_potential_energy() == pytest.approx(neutral + 1)
    atoms.set_initial_charges([2.0] + [0.0] * (len(atoms) - 1))
    assert atoms.get_potential_energy() == pytest.approx(neutral + 3)


def test_a_file_whose_factors_are_not_those_of_its_bases_is_refused(
    frames, y, tmp_path
):
    model = CalculatorRegressor(["emt", "zbl"]).fit(frames, y)
    model.scales_ = np.ones(3)
    with pytest.raises(
        ValueError, match="bases of a CalculatorRegressor have no factor"
    ):
        load(save(model, tmp_path / "model"))

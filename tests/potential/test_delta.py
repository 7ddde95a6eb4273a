"""Delta learning: sums of a baseline and of what was learned from the rest."""

import copy
import pickle

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from conftest import labelled, rattled
from differences import numerical_forces, numerical_stress, relative_error
from radial import RadialSums
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.bases import BaseError, named_bases
from skatom.bases import LennardJones as LennardJonesBase
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.potential import DeltaRegressor, evaluate, r_cut_of
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import read_energies


@pytest.fixture(scope="module")
def frames():
    crystal = bulk("Cu", cubic=True, a=3.6)
    return [labelled(rattled(crystal, k, 0.15), stress=True) for k in range(10)]


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


def pair_potential():
    return LennardJones(sigma=2.3, epsilon=0.05, rc=4.0, smooth=True)


def of_atoms(**parameters):
    return make_pipeline(
        RadialSums(), PerAtom(StandardScaler()), AtomicRidge(1e-6, **parameters)
    )


def of_rows(model=None):
    model = LinearRegression() if model is None else model
    return make_pipeline(RadialSums(), Pool(), model)


def computed(calculator, atoms, what):
    atoms = atoms.copy()
    atoms.calc = calculator
    return getattr(atoms, f"get_{what}")()


BASES = {
    "composition": "composition",
    "given energies": CompositionBaseline({"Cu": -3.0}),
    "estimator": of_atoms(),
    "calculator": pair_potential(),
    "delta": DeltaRegressor(of_rows(Ridge())),
    "name": "emt",
    "settings": LennardJonesBase(sigma=2.3, epsilon=0.05),
    "several": ["zbl", EMT(), CompositionBaseline({"Cu": -3.0})],
}


@pytest.fixture(scope="module", params=BASES)
def model(request, frames, y):
    return DeltaRegressor(of_atoms(stress="auto"), BASES[request.param]).fit(frames, y)


def test_predictions_are_sums(model, frames):
    base = model.base_
    of_base = base.predict(frames)
    np.testing.assert_allclose(
        model.predict(frames), of_base + model.estimator_.predict(frames), rtol=1e-13
    )


def test_forces_and_stress_are_slopes_of_the_sum(model, frames):
    found = evaluate(model, frames[:1], stress=True)
    np.testing.assert_allclose(found.energies, model.predict(frames[:1]), rtol=1e-12)
    forces = numerical_forces(model.predict, frames[0])
    assert relative_error(found.forces[0], forces) < 1e-6
    stress = numerical_stress(model.predict, frames[0])
    assert relative_error(found.stress[0], stress) < 1e-6
    np.testing.assert_array_equal(model.predict_forces(frames[:1])[0], found.forces[0])
    np.testing.assert_allclose(model.predict_stress(frames[:1]), found.stress)


def test_learns_forces_and_stress_of_the_rest(model, frames, y):
    forces = np.array([a.calc.results["forces"] for a in frames])
    stress = np.array([a.calc.results["stress"] for a in frames])
    assert np.abs(model.predict(frames) - y).max() < 0.1
    error = np.abs(np.array(model.predict_forces(frames)) - forces).mean()
    assert error < 0.05 * np.abs(forces).mean()
    error = np.abs(model.predict_stress(frames) - stress).mean()
    assert error < 0.2 * np.abs(stress).mean()


def test_copies_and_pickles_survive_use(model, frames):
    expected = model.predict(frames)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(frames), expected)
    clone(model)


def test_the_rest_is_zero_where_the_base_is_exact(frames, y):
    exact = DeltaRegressor(of_atoms(), EMT()).fit(frames, y)
    assert np.abs(exact.estimator_.predict(frames)).max() < 1e-10
    assert np.abs(np.concatenate(exact.predict_forces(frames))).max() > 0.1


def test_frames_and_calculator_stay_as_they_were(frames, y):
    calculator = EMT()
    before = [dict(a.calc.results) for a in frames]
    own = [a.calc for a in frames]
    model = DeltaRegressor(of_atoms(), calculator).fit(frames, y)
    model.predict_forces(frames)
    assert [a.calc for a in frames] == own
    for atoms, results in zip(frames, before):
        np.testing.assert_array_equal(atoms.calc.results["forces"], results["forces"])
    assert not calculator.results
    pickle.dumps(calculator)  # impossible once EMT has run, as it has in the model
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(frames), model.predict(frames))


def test_constraints_do_not_reach_the_base(frames, y):
    model = DeltaRegressor(of_atoms(), EMT()).fit(frames, y)
    held = frames[0].copy()
    held.set_constraint(FixAtoms([0, 1, 2, 3]))
    np.testing.assert_array_equal(
        model.predict_forces([held])[0], model.predict_forces([frames[0]])[0]
    )


def test_a_frozen_base_is_used_as_it_is(frames, y):
    fitted = of_atoms().fit(frames[:5], y[:5])
    model = DeltaRegressor(of_rows(), FrozenEstimator(fitted)).fit(frames, y)
    np.testing.assert_array_equal(model.base_.predict(frames), fitted.predict(frames))
    refitted = DeltaRegressor(of_rows(), fitted).fit(frames, y)
    assert np.abs(refitted.base_.predict(frames) - fitted.predict(frames)).max() > 1e-6


def test_labels_given_to_fit_count(frames, y):
    bare = [a.copy() for a in frames]
    forces = [a.calc.results["forces"] for a in frames]
    stress = [a.calc.results["stress"] for a in frames]
    estimator = of_atoms(stress="auto")
    given = DeltaRegressor(estimator).fit(bare, y, forces=forces, stress=stress)
    stored = DeltaRegressor(estimator).fit(frames, y)
    np.testing.assert_allclose(given.predict(frames), stored.predict(frames))


def test_labels_under_a_name_of_their_own_are_relabelled(frames, y):
    named = [a.copy() for a in frames]
    for a, old in zip(named, frames):
        a.arrays["dft"] = old.calc.results["forces"]
    found = DeltaRegressor(of_atoms(), pair_potential(), forces="dft").fit(named, y)
    stored = DeltaRegressor(of_atoms(), pair_potential()).fit(frames, y)
    np.testing.assert_allclose(found.predict(frames), stored.predict(frames))


def test_structures_without_forces_are_masked(frames, y):
    some = [a.copy() if k % 2 else a for k, a in enumerate(frames)]
    model = DeltaRegressor(of_atoms(), pair_potential()).fit(some, y)
    assert np.isfinite(model.predict(frames)).all()


def test_a_base_without_forces_serves_an_estimator_of_energies(frames, y):
    base = of_rows(RandomForestRegressor(3, random_state=0))
    model = DeltaRegressor(of_rows(), base).fit(frames, y)
    assert model.predict(frames).shape == (10,)
    with pytest.raises(ValueError, match="RandomForestRegressor has no gradient"):
        DeltaRegressor(of_atoms(), base).fit(frames, y)


@pytest.mark.parametrize("base", ["composition", "lj"])
def test_standard_deviations_are_those_of_the_estimator(frames, y, base):
    model = DeltaRegressor(
        of_rows(GaussianProcessRegressor(alpha=0.1, optimizer=None)), base
    )
    model.fit(frames, y)
    mean, std = model.predict(frames, return_std=True)
    np.testing.assert_allclose(mean, model.predict(frames))
    assert (std > 0).all()


def test_energies_of_atoms_are_sums(frames, y):
    model = DeltaRegressor(of_atoms(), pair_potential()).fit(frames, y)
    atoms = model.predict_atomic_energies(frames)
    np.testing.assert_allclose(np.sum(atoms, axis=1), model.predict(frames))


def test_works_in_searches_and_cross_validation(frames, y):
    search = GridSearchCV(
        DeltaRegressor(of_rows(Ridge())),
        {"estimator__ridge__alpha": [1e-3, 1.0], "base": ["composition", EMT()]},
        cv=2,
        scoring="neg_mean_absolute_error",
    ).fit(frames, y)
    assert isinstance(search.best_params_["base"], EMT)
    assert np.isfinite(cross_val_score(search.best_estimator_, frames, y, cv=2)).all()


def test_radius_is_that_of_both_parts():
    assert r_cut_of(DeltaRegressor(make_pipeline(RadialSums(3.0)))) == 3.0


def test_rescaled_targets_are_refused_where_forces_are_learned(frames, y):
    wrapped = TransformedTargetRegressor(
        DeltaRegressor(of_atoms()), transformer=StandardScaler()
    )
    with pytest.raises(ValueError, match="TransformedTargetRegressor"):
        wrapped.fit(frames, y)


def test_an_estimator_that_reads_other_labels_is_refused(frames, y):
    with pytest.raises(ValueError, match=r"give DeltaRegressor\(forces='dft'\)"):
        DeltaRegressor(of_atoms(forces="dft")).fit(frames, y)


class EnergyOnly(Calculator):
    implemented_properties = ("energy",)

    def calculate(self, *arguments):
        super().calculate(*arguments)
        if "O" in self.atoms.symbols:
            raise ArithmeticError("no convergence")
        self.results["energy"] = -3.0


def test_a_base_without_a_property_is_named(frames, y):
    model = DeltaRegressor(of_rows(), EnergyOnly()).fit(frames, y)
    with pytest.raises(ValueError, match="base calculator EnergyOnly does not give"):
        model.predict_forces(frames)


def test_a_failing_base_names_the_structure(frames, y):
    model = DeltaRegressor(of_rows(), EnergyOnly()).fit(frames, y)
    message = r"EnergyOnly failed for structure 1 \(H2O\): no convergence"
    with pytest.raises(BaseError, match=message):
        model.predict([frames[0], molecule("H2O")])


def test_a_base_that_is_none_of_these_is_refused(frames, y):
    with pytest.raises(ValueError, match="'base' parameter of DeltaRegressor"):
        DeltaRegressor(of_rows(), base=3.0).fit(frames, y)
    with pytest.raises(ValueError, match="no base 'gfn2'"):
        DeltaRegressor(of_rows(), base="gfn2").fit(frames, y)


def test_no_base_is_the_estimator_alone(frames, y):
    model = DeltaRegressor(of_atoms(stress="auto"), None).fit(frames, y)
    alone = of_atoms(stress="auto").fit(frames, y)
    np.testing.assert_array_equal(model.predict(frames), alone.predict(frames))
    found, expected = (evaluate(one, frames, stress=True) for one in (model, alone))
    np.testing.assert_array_equal(found.forces, expected.forces)
    np.testing.assert_array_equal(found.stress, expected.stress)


def test_structures_that_the_base_fails_for_are_left_out(frames, y):
    some, energies = [*frames, molecule("SiH4")], np.append(y, 1.0)
    model = DeltaRegressor(of_atoms(), "emt")
    with pytest.raises(BaseError, match=r"structure 10 \(H4Si\)"):
        model.fit(some, energies)
    with pytest.warns(UserWarning, match="1 of 11 structures are left out"):
        model.set_params(on_failure="drop").fit(some, energies)
    assert model.left_out_.tolist() == [10]
    clean = DeltaRegressor(of_atoms(), "emt").fit(frames, y)
    np.testing.assert_array_equal(model.predict(frames), clean.predict(frames))


def test_energies_of_elements_are_fitted_over_a_base(frames, y):
    model = DeltaRegressor(of_atoms(), "emt").fit(frames, y - 1000.0 * 4)
    assert model.base_.shifts_ == pytest.approx({"Cu": -1000.0})
    assert np.abs(model.estimator_.predict(frames)).max() < 1e-8


@pytest.mark.skipif(named_bases([])["gfn2-xtb"] is not None, reason="needs tblite")
def test_a_search_tries_bases_by_name():
    molecules = [rattled(molecule("H2CO"), k, 0.05) for k in range(20)]
    # another method: of the same shape, with other energies of free atoms
    true = DeltaRegressor(of_rows(), "gfn1-xtb").fit(molecules, np.zeros(20)).base_
    y = true.predict(molecules) - 500.0
    search = GridSearchCV(
        DeltaRegressor(of_rows(Ridge())),
        {"base": [None, "composition", "gfn2-xtb"]},
        cv=3,
        scoring="neg_mean_absolute_error",
    ).fit(molecules, y)
    assert search.best_params_ == {"base": "gfn2-xtb"}
    assert search.best_estimator_.predict(molecules).shape == (20,)


def test_remainders_are_not_judged_as_labels(frames, y):
    # what a poor base leaves has a stress as if it were in kbar: a warning is an error
    model = DeltaRegressor(of_atoms(stress="auto"), "lj").fit(frames, y)
    left = frames[0].calc.results["stress"] - model.base_.predict_stress(frames[:1])[0]
    assert np.abs(left).max() > 1.0

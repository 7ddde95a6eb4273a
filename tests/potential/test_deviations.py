"""Standard deviations through pipelines and meta-estimators."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FunctionTransformer, make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import NoStandardDeviationError
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.potential import (
    DeltaRegressor,
    evaluate,
    make_potential,
    predict_atomic_energies,
    predict_forces,
)
from skatom.preprocessing import PerAtom, Pool

FRAMES = [rattled(molecule(("H2O", "CH3OH", "H2CO")[k % 3]), k, 0.1) for k in range(12)]
Y = np.random.default_rng(1).normal(size=12)
NEW = FRAMES[:3]
SIZES = [(3,), (6,), (4,)]


class SpreadRidge(AtomicRidge):
    """Linear model whose deviations are simple functions of the features."""

    def predict(self, X, return_std=False):
        mean = super().predict(X)
        return (mean, 0.1 * X.n_atoms) if return_std else mean

    def predict_atoms(self, X, return_std=False):
        mean = super().predict_atoms(X)
        return (mean, 1.0 + X.numbers) if return_std else mean

    def forces_std(self, X):
        return np.outer(1.0 + X.numbers, [1.0, 2.0, 3.0])


def of_atoms():
    return make_pipeline(RadialSums(), PerAtom(StandardScaler()), SpreadRidge())


def of_rows():
    return make_pipeline(
        RadialSums(), Pool(), GaussianProcessRegressor(alpha=1e-3, optimizer=None)
    )


NAMES = [
    "pipeline",
    "potential",
    "search",
    "search inside",
    "frozen",
    "delta",
    "delta of search",
]


@pytest.fixture(scope="module")
def wrapped():
    """Every estimator that deviations must pass unchanged."""
    search = GridSearchCV(of_atoms(), {"spreadridge__alpha": [1e-3]}, cv=2)
    inside = make_pipeline(
        RadialSums(), GridSearchCV(SpreadRidge(), {"alpha": [1e-3, 1.0]}, cv=2)
    )
    return {
        "pipeline": of_atoms().fit(FRAMES, Y),
        "potential": make_potential(RadialSums(), SpreadRidge()).fit(FRAMES, Y),
        "search": search.fit(FRAMES, Y),
        "search inside": inside.fit(FRAMES, Y),
        "frozen": FrozenEstimator(of_atoms().fit(FRAMES, Y)),
        "delta": DeltaRegressor(of_atoms()).fit(FRAMES, Y),
        "delta of search": DeltaRegressor(search).fit(FRAMES, Y),
    }


@pytest.mark.parametrize("name", NAMES)
def test_deviations_of_the_model_pass_every_wrapper(name, wrapped):
    model = wrapped[name]
    found = evaluate(model, NEW, atomic=True, std=True)
    np.testing.assert_allclose(found.energy_std, [0.3, 0.6, 0.4], rtol=1e-12)
    for atoms, forces, atomic in zip(NEW, found.forces_std, found.atomic_energy_std):
        np.testing.assert_allclose(atomic, 1.0 + atoms.numbers, rtol=0)
        np.testing.assert_allclose(forces, np.outer(atomic, [1, 2, 3]), rtol=1e-15)
    plain = evaluate(model, NEW, atomic=True)
    assert (plain.energy_std, plain.forces_std, plain.atomic_energy_std) == (None,) * 3
    np.testing.assert_array_equal(found.energies, plain.energies)


@pytest.mark.parametrize("name", NAMES)
def test_free_functions_give_predictions_and_deviations(name, wrapped):
    model = wrapped[name]
    forces, std = predict_forces(model, NEW, return_std=True)
    for one, other in zip(forces, predict_forces(model, NEW)):
        np.testing.assert_array_equal(one, other)
    assert [s.shape for s in std] == [f.shape for f in forces]
    _, atomic = predict_atomic_energies(model, NEW, return_std=True)
    assert [a.shape for a in atomic] == SIZES
    if hasattr(model, "predict_forces"):
        np.testing.assert_array_equal(
            model.predict_forces(NEW, return_std=True)[1][1], std[1]
        )
        np.testing.assert_array_equal(
            model.predict_atomic_energies(NEW, return_std=True)[1][1], atomic[1]
        )


def test_rows_have_deviations_of_energies_only():
    model = of_rows().fit(FRAMES, Y)
    found = evaluate(model, NEW, forces=False, std=True)
    np.testing.assert_array_equal(
        found.energy_std, model.predict(NEW, return_std=True)[1]
    )
    with pytest.raises(NoStandardDeviationError, match="lacks the method forces_std"):
        evaluate(model, NEW, std=True)


def test_models_without_deviations_are_named():
    model = make_pipeline(RadialSums(), AtomicKernelRidge()).fit(FRAMES, Y)
    named = r"AtomicKernelRidge.*return_std=True"
    with pytest.raises(NoStandardDeviationError, match=named):
        evaluate(model, NEW, forces=False, std=True)
    rows = make_pipeline(RadialSums(), Pool(), Ridge()).fit(FRAMES, Y)
    with pytest.raises(NoStandardDeviationError, match="Ridge gives no standard"):
        evaluate(rows, NEW, forces=False, std=True)


def test_estimators_of_structures_without_the_method_are_named():
    class Energies(RegressorMixin, BaseEstimator):
        def predict(self, X, return_std=False):
            return (
                (np.zeros(len(X)), np.ones(len(X))) if return_std else np.zeros(len(X))
            )

        def predict_forces(self, X, return_std=False):
            forces = [np.zeros((len(a), 3)) for a in X]
            return (forces, [f + 2.0 for f in forces]) if return_std else forces

        def predict_atomic_energies(self, X):
            return [np.zeros(len(a)) for a in X]

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, X, y):
            return self

    found = evaluate(Energies(), NEW, std=True)
    np.testing.assert_array_equal(found.energy_std, 1.0)
    np.testing.assert_array_equal(found.forces_std[2], np.full((4, 3), 2.0))
    with pytest.raises(NoStandardDeviationError, match="predict_atomic_energies does"):
        predict_atomic_energies(Energies(), NEW, return_std=True)


@pytest.mark.parametrize(
    "model",
    [
        VotingRegressor([("a", of_rows()), ("b", of_rows())]),
        BaggingRegressor(of_rows(), 2, random_state=0),
        StackingRegressor([("a", of_rows())], final_estimator=Ridge(), cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_combinations_have_no_deviations_of_their_own(model):
    X = np.array([*FRAMES, None], dtype=object)[:-1].reshape(-1, 1)
    fitted = model.fit(X, Y)
    name = type(model).__name__
    with pytest.raises(NoStandardDeviationError, match=f"{name} gives no.*Ensemble"):
        evaluate(fitted, NEW, forces=False, std=True)


def test_affine_targets_scale_deviations_and_bent_ones_refuse():
    scaled = TransformedTargetRegressor(of_rows(), transformer=StandardScaler())
    fitted = scaled.fit(FRAMES, Y)
    _, inner = fitted.regressor_.predict(NEW, return_std=True)
    found = evaluate(fitted, NEW, forces=False, std=True)
    np.testing.assert_allclose(found.energy_std, inner * Y.std(), rtol=1e-12)
    bent = TransformedTargetRegressor(
        of_rows(), transformer=FunctionTransformer(np.exp, np.log), check_inverse=False
    )
    with pytest.raises(NoStandardDeviationError, match="bends the target"):
        evaluate(bent.fit(FRAMES, Y), NEW, forces=False, std=True)


def test_no_structures_have_no_deviations():
    found = evaluate(of_atoms().fit(FRAMES, Y), [], atomic=True, std=True)
    assert found.energy_std.shape == (0,)
    assert (found.forces_std, found.atomic_energy_std) == ([], [])

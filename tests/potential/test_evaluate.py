"""Forces and stress through many pipelines against central differences."""

import pickle

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from conftest import rattled
from differences import numerical_forces, numerical_stress, relative_error
from radial import RadialSums
from sklearn import ensemble
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FunctionTransformer, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVR

from skatom.features import NoDerivativeError
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.neighbors import neighbor_pairs
from skatom.potential import (
    DeltaRegressor,
    evaluate,
    make_potential,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
    r_cut_of,
)
from skatom.preprocessing import AtomFeatureUnion, PerAtom, Pool
from skatom.structures import Structures, check_structures

SHEAR = np.array([[1.0, 0.15, 0.0], [0.0, 1.0, 0.3], [0.1, 0.0, 0.95]])


def compounds() -> list[Atoms]:
    """Molecules, triclinic crystals smaller than r_cut and slabs, in mixed order."""
    frames = []
    for k in range(8):
        crystal = bulk("Cu", cubic=True, a=3.7)
        crystal.symbols[1] = "O"
        crystal.set_cell(crystal.cell.array @ SHEAR, scale_atoms=True)
        slab = fcc111("Cu", (1, 2, 2), a=3.6, vacuum=6.0)
        slab.symbols[0] = "O"
        name = ("H2O", "CH3OH", "H2O2", "H2CO")[k % 4]
        frames += [rattled(a, k, 0.1) for a in (molecule(name), crystal, slab)]
    return frames


FRAMES = compounds()
Y = np.random.default_rng(0).normal(size=24) + [-3.0 * len(a) for a in FRAMES]
# chosen for size: a molecule, a crystal, a slab
AT = [FRAMES[0], FRAMES[4], FRAMES[8]]
NEW = check_structures(AT)


def krr():
    return KernelRidge(kernel="rbf", gamma=0.05, alpha=0.1)


def rows(r_cut=4.0, **parameters):
    return [RadialSums(r_cut), Pool(**parameters), StandardScaler()]


def atomic(r_cut=4.0):
    return make_pipeline(
        RadialSums(r_cut), PerAtom(StandardScaler()), AtomicRidge(0.01, forces=None)
    )


POTENTIALS = {
    "ridge": make_pipeline(*rows(), Ridge()),
    "kernel ridge by species": make_potential(
        *rows(by_species=True, counts=True), PCA(6), krr()
    ),
    "Gaussian process": make_pipeline(
        *rows(method="mean"),
        GaussianProcessRegressor(
            2.0 * RBF(3.0) + DotProduct() + WhiteKernel(0.1),
            optimizer=None,
            normalize_y=True,
        ),
    ),
    "support vectors": make_pipeline(*rows(), MinMaxScaler(), SVR(C=10.0)),
    "perceptron": make_pipeline(
        *rows(),
        MLPRegressor(
            activation="tanh", solver="lbfgs", max_iter=20, random_state=0, tol=1.0
        ),
    ),
    "PLS": make_pipeline(*rows(), VarianceThreshold(), PLSRegression(3)),
    "polynomials on a sphere": make_pipeline(
        RadialSums(), Pool("mean"), PolynomialFeatures(2), Normalizer(), BayesianRidge()
    ),
    "atoms on a sphere": make_pipeline(
        RadialSums(), PerAtom(Normalizer("l2")), PerAtom(PCA(4)), Pool(), Ridge()
    ),
    "scaled by species": make_pipeline(
        RadialSums(), PerAtom(StandardScaler(), by_species=True), Pool(), krr()
    ),
    "model of atoms": atomic(),
    "nested pipelines": make_pipeline(
        RadialSums(),
        make_pipeline(PerAtom(make_pipeline(StandardScaler(), PCA(5))), Pool()),
        make_pipeline(StandardScaler(), krr()),
    ),
    "passthrough and identity": Pipeline(
        [
            ("same", FunctionTransformer()),
            ("features", RadialSums()),
            ("off", "passthrough"),
            ("pool", Pool()),
            ("none", None),
            ("model", Ridge()),
        ]
    ),
    "union of featurizers": make_pipeline(
        AtomFeatureUnion([("a", RadialSums(3.0)), ("b", RadialSums(4.5, etas=[0.3]))]),
        PerAtom(StandardScaler()),
        AtomicRidge(0.1, forces=None),
    ),
    "union of steps of atoms": make_pipeline(
        RadialSums(),
        make_union(PerAtom(PCA(3)), PerAtom(StandardScaler())),
        Pool(),
        Ridge(),
    ),
    "union of pooled branches": make_pipeline(
        make_union(
            make_pipeline(RadialSums(3.0), Pool("mean")),
            make_pipeline(RadialSums(4.5), PerAtom(PCA(3)), Pool()),
        ).set_params(transformer_weights={"pipeline-1": 2.0}),
        Ridge(),
    ),
    "data frames between steps": make_pipeline(
        *rows(), make_union(PCA(2), StandardScaler()), krr()
    ).set_output(transform="pandas"),
    "grid search": GridSearchCV(
        make_pipeline(*rows(), krr()), {"kernelridge__alpha": [0.1, 1.0]}, cv=2
    ),
    "halving search": make_pipeline(
        *rows(), HalvingGridSearchCV(krr(), {"alpha": [0.1, 1]}, cv=2, min_resources=4)
    ),
    "search inside": make_pipeline(
        RadialSums(),
        Pool(),
        RandomizedSearchCV(krr(), {"alpha": [0.1]}, n_iter=1, cv=2),
    ),
    "voting": ensemble.VotingRegressor(
        [("a", make_pipeline(*rows(), krr())), ("b", atomic(3.0)), ("c", "drop")],
        weights=[1, 3, 5],
    ),
    "voting over atoms": make_pipeline(
        RadialSums(),
        ensemble.VotingRegressor(
            [
                ("a", AtomicRidge(0.1, forces=None)),
                ("b", make_pipeline(PerAtom(PCA(3)), AtomicRidge(0.1, forces=None))),
                ("c", CompositionBaseline()),
            ]
        ),
    ),
    "stacking": ensemble.StackingRegressor(
        [("a", make_pipeline(*rows(), krr())), ("b", atomic(3.0))], cv=2
    ),
    "stacking with passthrough": make_pipeline(
        *rows(),
        ensemble.StackingRegressor(
            [("a", Ridge()), ("b", krr())], krr(), cv=2, passthrough=True
        ),
    ),
    "bagging over structures": ensemble.BaggingRegressor(
        make_pipeline(RadialSums(species=["H", "C", "O", "Cu"]), Pool(), krr()),
        n_estimators=3,
        random_state=0,
    ),
    "bagging over columns": make_pipeline(
        *rows(),
        ensemble.BaggingRegressor(
            krr(), 3, max_features=0.5, bootstrap_features=True, random_state=0
        ),
    ),
    "target scaled": TransformedTargetRegressor(atomic(), transformer=StandardScaler()),
    "target through a function": TransformedTargetRegressor(
        make_pipeline(*rows(), krr()), func=np.arcsinh, inverse_func=np.sinh
    ),
    "target unchanged": TransformedTargetRegressor(make_pipeline(*rows(), krr())),
    "frozen": FrozenEstimator(make_pipeline(*rows(), krr()).fit(FRAMES, Y)),
    "frozen featurizer": make_pipeline(
        FrozenEstimator(RadialSums().fit(FRAMES)), Pool(), Ridge()
    ),
    "delta": DeltaRegressor(make_pipeline(*rows(), krr())),
    "delta inside a pipeline": make_pipeline(
        DeltaRegressor(atomic(), base=atomic(3.0))
    ),
}


@pytest.fixture(scope="module")
def fitted():
    """Each potential, fitted when first asked for."""
    cache = {}

    def get(name):
        if name not in cache:
            cache[name] = POTENTIALS[name].fit(Structures(FRAMES), Y)
        return cache[name]

    return get


@pytest.fixture(params=POTENTIALS)
def model(request, fitted):
    return fitted(request.param)


def predict(model):
    """Bagging wants a column of structures, all others take it too."""
    return lambda frames: np.ravel(model.predict(Structures(frames)))


def test_energies_are_those_of_predict(model):
    np.testing.assert_allclose(
        evaluate(model, AT).energies, predict(model)(AT), rtol=1e-12
    )


def test_forces_are_minus_the_slope_of_the_energy(model):
    found = predict_forces(model, AT)
    for atoms, forces in zip(AT, found):
        expected = numerical_forces(predict(model), atoms)
        assert np.abs(expected).max() > 1e-3
        # extrapolated differences err by some 1e-8: h^4 times the fifth derivative
        assert relative_error(forces, expected) < 1e-6
        np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-9)


def test_stress_is_the_slope_by_strain(model):
    found = predict_stress(model, AT[1:2])[0]
    expected = numerical_stress(predict(model), AT[1])
    assert np.abs(expected).max() > 1e-5
    assert relative_error(found, expected) < 1e-6


def test_given_pairs_change_nothing(model):
    pairs = neighbor_pairs(NEW, r_cut_of(model) + 0.7)
    one, two = evaluate(model, AT), evaluate(model, AT, pairs=pairs)
    np.testing.assert_allclose(one.energies, two.energies, rtol=1e-12)
    for a, b in zip(one.forces, two.forces):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_one_by_one_equals_together(model):
    together = evaluate(model, AT)
    for s, atoms in enumerate(AT):
        alone = evaluate(model, [atoms])
        np.testing.assert_allclose(alone.energies, together.energies[[s]], rtol=1e-11)
        np.testing.assert_allclose(alone.forces[0], together.forces[s], atol=1e-9)


def test_radius_is_the_largest_of_all_featurizers(fitted):
    assert r_cut_of(fitted("union of pooled branches")) == 4.5
    assert r_cut_of(fitted("delta inside a pipeline")) == 4.0
    assert r_cut_of(POTENTIALS["voting"]) == 4.0  # not yet fitted, or fitted: the same
    assert r_cut_of(GridSearchCV(atomic(2.5), {})) == 2.5
    assert r_cut_of(TransformedTargetRegressor(atomic(2.5))) == 2.5
    assert r_cut_of(Ridge()) is None


ATOMIC = [
    "model of atoms",
    "union of featurizers",
    "voting over atoms",
    "delta inside a pipeline",
]


@pytest.mark.parametrize("name", ATOMIC)
def test_energies_of_atoms_sum_to_the_energy(fitted, name):
    model = fitted(name)
    atoms = predict_atomic_energies(model, AT)
    assert [len(e) for e in atoms] == [len(a) for a in AT]
    np.testing.assert_allclose([e.sum() for e in atoms], model.predict(AT), rtol=1e-12)


@pytest.mark.parametrize("name", ["ridge", "stacking", "target scaled"])
def test_models_of_structures_have_no_energies_of_atoms(fitted, name):
    with pytest.raises(NoDerivativeError, match="energies of whole structures"):
        predict_atomic_energies(fitted(name), AT)


def test_any_sequence_of_structures_gives_the_same(fitted):
    column = np.empty((len(AT), 1), dtype=object)
    column[:, 0] = AT
    expected = np.concatenate(predict_forces(fitted("model of atoms"), AT))
    for X in (tuple(AT), Structures(AT), column, pd.Series(AT), iter(AT)):
        found = np.concatenate(predict_forces(fitted("model of atoms"), X))
        np.testing.assert_array_equal(found, expected)


def test_pickled_models_give_the_same_forces(fitted):
    model = fitted("scaled by species")
    again = pickle.loads(pickle.dumps(model))
    for a, b in zip(predict_forces(model, AT), predict_forces(again, AT)):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_asked_of_no_structures(fitted):
    found = evaluate(fitted("ridge"), [], stress=True, atomic=True)
    assert (found.energies.shape, found.stress.shape) == ((0,), (0, 6))
    assert (found.forces, found.atomic_energies) == ([], [])


def test_what_is_not_asked_for_is_none(fitted):
    found = evaluate(fitted("model of atoms"), AT, forces=False)
    assert (found.forces, found.stress, found.atomic_energies) == (None, None, None)


class Harmonic(RegressorMixin, BaseEstimator):
    """An estimator of structures that knows its forces: E = sum of squared positions."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.array([np.sum(a.positions**2) for a in X])

    def predict_forces(self, X):
        return [-2 * a.positions for a in X]

    def predict_atomic_energies(self, X):
        return [np.sum(a.positions**2, axis=1) for a in X]


def test_estimators_of_structures_give_their_own_forces():
    found = evaluate(make_pipeline(Harmonic().fit(AT)), AT, atomic=True)
    np.testing.assert_array_equal(found.forces[1], -2 * AT[1].positions)
    np.testing.assert_allclose(found.atomic_energies[0].sum(), found.energies[0])
    scaled = ensemble.VotingRegressor(
        [("a", Harmonic()), ("b", Harmonic())], weights=[1, 3]
    )
    scaled.fit(AT, Y[:3])
    np.testing.assert_allclose(predict_forces(scaled, AT)[1], found.forces[1])


def test_own_stress_is_used():
    model = CompositionBaseline({"Cu": -3.0}).fit([bulk("Cu")])
    np.testing.assert_array_equal(predict_stress(model, [bulk("Cu")]), np.zeros((1, 6)))


def test_an_estimator_of_structures_without_stress_is_named():
    with pytest.raises(NoDerivativeError, match=r"Harmonic .* no predict_stress"):
        predict_stress(Harmonic().fit(AT), AT[1:2])


def test_stress_of_an_open_structure_is_refused(fitted):
    with pytest.raises(ValueError, match="Structure 1 has no volume and so no stress"):
        predict_stress(fitted("ridge"), [AT[1], molecule("H2O")])
    assert predict_stress(fitted("ridge"), [AT[1], AT[2]]).shape == (2, 6)


def test_pairs_of_other_structures_are_refused(fitted):
    pairs = neighbor_pairs(NEW[:2], 4.0)
    with pytest.raises(ValueError, match="pairs are those of 7 atoms, but X has 11"):
        evaluate(fitted("ridge"), AT, pairs=pairs)


def test_given_pairs_do_not_hide_an_unknown_element(fitted):
    strange = check_structures([molecule("NH3")])
    with pytest.raises(ValueError, match="Structure 0, atom 0 is N"):
        evaluate(fitted("ridge"), strange, pairs=neighbor_pairs(strange, 5.0))


def test_a_step_without_derivative_is_named_and_energies_stay():
    model = make_pipeline(
        RadialSums(), Pool(), QuantileTransformer(n_quantiles=5), Ridge()
    )
    model.fit(FRAMES, Y)
    assert evaluate(model, AT, forces=False).energies.shape == (3,)
    message = "Step 'quantiletransformer': .* rule for the step QuantileTransformer"
    with pytest.raises(NoDerivativeError, match=message):
        predict_forces(model, AT)


def test_a_model_without_derivative_is_named():
    model = make_pipeline(RadialSums(), Pool(), ensemble.RandomForestRegressor(2))
    with pytest.raises(
        NoDerivativeError, match="RandomForestRegressor has no gradient"
    ):
        predict_forces(model.fit(FRAMES, Y), AT)


class Sizes(TransformerMixin, BaseEstimator):
    """Rows made of structures, or of their features, without a way back."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[len(a)] for a in getattr(X, "structures", X)], dtype=float)


@pytest.mark.parametrize("before", [[], [RadialSums()]], ids=["structures", "features"])
def test_a_featurizer_without_a_way_back_is_named(before):
    model = make_pipeline(*before, Sizes(), LinearRegression()).fit(FRAMES, Y)
    np.testing.assert_allclose(
        evaluate(model, AT, forces=False).energies, model.predict(AT)
    )
    with pytest.raises(
        NoDerivativeError, match="Sizes does not carry derivatives back"
    ):
        predict_forces(model, AT)


def test_a_function_of_structures_is_followed_but_has_no_way_back():
    model = make_pipeline(FunctionTransformer(Sizes().transform), Ridge()).fit(
        FRAMES, Y
    )
    with pytest.raises(NoDerivativeError, match="FunctionTransformer does not carry"):
        predict_forces(model, AT)


def test_a_target_function_that_cannot_be_differentiated_is_named():
    model = TransformedTargetRegressor(
        make_pipeline(*rows(), Ridge()),
        func=np.negative,
        inverse_func=lambda z: -np.real(z),
    ).fit(FRAMES, Y)
    with pytest.raises(
        NoDerivativeError, match=r"inverse_func .* not be differentiated"
    ):
        predict_forces(model, AT)


def test_a_target_function_that_refuses_complex_numbers_is_named():
    model = TransformedTargetRegressor(
        make_pipeline(*rows(), Ridge()),
        func=np.cbrt,
        inverse_func=lambda z: np.cbrt(z) ** 9,
    )
    model.set_params(check_inverse=False).fit(FRAMES, Y)
    with pytest.raises(
        NoDerivativeError, match=r"inverse_func .* not be differentiated"
    ):
        predict_forces(model, AT)


def test_several_targets_are_refused():
    model = make_pipeline(*rows(), LinearRegression()).fit(FRAMES, np.c_[Y, Y])
    with pytest.raises(ValueError, match="with 2 columns: forces belong to one energy"):
        predict_forces(model, AT)


def test_unfitted_models_are_refused():
    with pytest.raises(NotFittedError):
        predict_forces(make_pipeline(*rows(), Ridge()), AT)
    with pytest.raises(NotFittedError):
        evaluate(make_pipeline(*rows(), Ridge()), AT, pairs=neighbor_pairs(NEW, 4.0))

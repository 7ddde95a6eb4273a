"""Calibrated error bars: of any source, for energies and forces, over held-out labels."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from radial import RadialSums
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import NoStandardDeviationError
from skatom.features import NoDerivativeError
from skatom.metrics import crps, neg_energy_crps, neg_force_nll
from skatom.models import AtomicRidge
from skatom.persistence import load, save
from skatom.potential import evaluate, predict_forces
from skatom.preprocessing import PerAtom
from skatom.structures import Structures
from skatom.uncertainty import (
    CalibratedStdRegressor,
    EnsembleRegressor,
    LastLayerRigidity,
    LatentDistance,
    calibrate_std,
)
from skatom.uncertainty._std_maps import fit_factor


def dimers(n, seed=0, noise=0.05):
    """H2 molecules with noisy energies and forces of a quartic bond."""
    rng = np.random.default_rng(seed)
    frames, y = [], []
    for r in rng.uniform(0.7, 1.6, size=n):
        atoms = Atoms("H2", [[0, 0, 0], [0, 0, r]])
        slope = 4 * (r - 1.0) ** 3 + noise * rng.normal()
        forces = [[0, 0, slope], [0, 0, -slope]]
        energy = (r - 1.0) ** 4 + noise * rng.normal()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
        y.append(energy)
    return Structures(frames), np.array(y)


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=n)


class Bold(RegressorMixin, BaseEstimator):
    """Bonds in closed form, whose error bars are a tenth of what they should be."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X, return_std=False):
        r = np.array([a.get_distance(0, 1) for a in X])
        return ((r - 1) ** 4, np.full(len(r), 0.005)) if return_std else (r - 1) ** 4

    def predict_forces(self, X, return_std=False):
        slopes = [4 * (a.get_distance(0, 1) - 1) ** 3 for a in X]
        forces = [np.array([[0, 0, s], [0, 0, -s]]) for s in slopes]
        return (forces, [np.full((2, 3), 0.005) for _ in X]) if return_std else forces


POTENTIAL = make_pipeline(
    RadialSums(etas=(0.1, 1.0, 4.0)),
    PerAtom(StandardScaler()),
    AtomicRidge(1e-6, forces=None),
)


# -- what is calibrated --------------------------------------------------------------


@pytest.mark.parametrize("method", ["squared_residuals", "absolute_residuals", "crps"])
def test_the_factor_is_that_of_the_held_out_structures(method):
    X, y = rows(300)
    model = CalibratedStdRegressor(BayesianRidge(), method=method, random_state=0).fit(
        X, y
    )
    kept = model.calibration_indices_
    assert len(kept) == model.n_calibration_ == 60
    assert sorted([*kept, *model.train_indices_]) == list(range(300))
    inner = BayesianRidge().fit(X[model.train_indices_], y[model.train_indices_])
    y_pred, std = inner.predict(X[kept], return_std=True)
    expected = fit_factor(y[kept] - y_pred, std, method)
    assert model.alpha_ == pytest.approx(expected, rel=1e-10)
    found = model.predict(X[:5], return_std=True)[1]
    np.testing.assert_allclose(
        found, expected * inner.predict(X[:5], True)[1], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("method", "share"), [("squared_residuals", 1 / np.sqrt(3)), ("isotonic", 1 / 3)]
)
def test_energies_and_forces_have_maps_of_their_own(method, share):
    frames, y = dimers(400)
    model = CalibratedStdRegressor(Bold(), method=method, random_state=0).fit(frames, y)
    new, y_new = dimers(100, seed=1)
    std = model.predict(new, return_std=True)[1]
    np.testing.assert_allclose(std, 0.05, rtol=0.2)
    found = evaluate(model, new, std=True)
    np.testing.assert_array_equal(found.energy_std, std)
    # a third of the components have errors, the others are zero in all: in root mean
    # square they are smaller by the root of three, in the mean by three
    np.testing.assert_allclose(np.concatenate(found.forces_std), 0.05 * share, rtol=0.2)
    bold = Bold().fit(new, y_new)
    np.testing.assert_array_equal(found.forces[3], predict_forces(bold, new)[3])
    assert neg_force_nll(model, new) > neg_force_nll(bold, new)


def test_without_force_labels_the_factor_of_energies_is_taken():
    frames, y = dimers(60)
    model = CalibratedStdRegressor(Bold(), forces=None, random_state=0).fit(frames, y)
    assert model.force_map_ is None
    std = np.concatenate(model.predict_forces(frames, return_std=True)[1])
    np.testing.assert_allclose(std, 0.005 * model.alpha_, rtol=1e-12)


@pytest.mark.parametrize("source", ["latent", "llpr"])
def test_sources_give_what_they_give_alone(source):
    frames, y = dimers(80)
    model = CalibratedStdRegressor(POTENTIAL, source=source, random_state=0).fit(
        frames, y
    )
    train = frames[model.train_indices_]
    inner = clone(POTENTIAL).fit(train, y[model.train_indices_])
    new, _ = dimers(10, seed=2)
    std = model.predict(new, return_std=True)[1]
    if source == "latent":
        alone = LatentDistance(inner, floor="median").fit(train).distance(new)
        atoms = LatentDistance(inner, floor="median", level="atom").fit(train)
        alone_f = np.repeat(
            np.concatenate(atoms.distance_atoms(new))[:, None], 3, axis=1
        )
    else:
        zeta = model.source_.zeta_
        rigidity = LastLayerRigidity(inner, zeta=zeta).fit(train)
        alone = rigidity.predict(new, return_std=True)[1]
        alone_f = np.concatenate(rigidity.predict_forces(new, return_std=True)[1])
    np.testing.assert_allclose(std / std[0], alone / alone[0], rtol=1e-6)
    std_f = np.concatenate(model.predict_forces(new, return_std=True)[1])
    np.testing.assert_allclose(
        std_f[:, 2] / std_f[0, 2], alone_f[:, 2] / alone_f[0, 2], rtol=1e-6
    )
    np.testing.assert_allclose(model.predict(new), inner.predict(new), rtol=1e-10)


@pytest.mark.parametrize("source", ["std", "latent", "llpr"])
def test_error_bars_are_positive_even_for_copies_of_training_structures(source):
    X, y = rows(100)
    model = CalibratedStdRegressor(BayesianRidge(), source=source, random_state=0)
    y_pred, std = model.fit(X, y).predict(X, return_std=True)
    assert (std > 0).all()
    assert np.isfinite(std).all()
    assert 0.15 < np.sqrt(np.mean((y - y_pred) ** 2)) / np.sqrt(np.mean(std**2)) < 2


# -- life as an estimator ------------------------------------------------------------


def test_a_fitted_estimator_is_calibrated_on_everything():
    X, y = rows(200)
    inner = BayesianRidge().fit(X[:100], y[:100])
    calibrated = calibrate_std(inner, X[100:], y[100:], method="crps")
    assert calibrated.n_calibration_ == 100
    assert isinstance(calibrated.estimator_, FrozenEstimator)
    np.testing.assert_array_equal(calibrated.predict(X), inner.predict(X))
    std = inner.predict(X[100:], return_std=True)[1]
    expected = fit_factor(y[100:] - inner.predict(X[100:]), std, "crps")
    assert calibrated.alpha_ == pytest.approx(expected)


@pytest.mark.parametrize("source", ["latent", "llpr"])
def test_prefit_sources_need_the_training_structures(source):
    X, y = rows(100)
    inner = Ridge().fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="give them to fit as X_train"):
        calibrate_std(inner, X[50:], y[50:], source=source)
    model = calibrate_std(inner, X[50:], y[50:], source=source, X_train=X[:50])
    assert (model.predict(X, return_std=True)[1] > 0).all()


def test_a_search_chooses_method_and_source():
    X, y = rows(150)
    model = CalibratedStdRegressor(BayesianRidge(), random_state=0)
    grid = {"method": ["crps", "isotonic"], "source": ["std", "llpr"]}
    search = GridSearchCV(model, grid, scoring=neg_energy_crps, cv=3).fit(X, y)
    y_pred, std = search.best_estimator_.predict(X, return_std=True)
    assert neg_energy_crps(search, X, y) == pytest.approx(-crps(y, y_pred, std))


def test_a_gaussian_process_of_scikit_learn_is_calibrated_in_a_pipeline():
    X, y = rows(120)
    process = GaussianProcessRegressor(RBF(2.0) + WhiteKernel(1e-4), optimizer=None)
    model = CalibratedStdRegressor(
        make_pipeline(StandardScaler(), process), random_state=0
    )
    y_pred, std = model.fit(X[:90], y[:90]).predict(X[90:], return_std=True)
    raw = model.estimator_.predict(X[90:], return_std=True)[1]
    assert crps(y[90:], y_pred, std) < crps(y[90:], y_pred, raw)


@pytest.mark.parametrize("source", ["std", "latent", "llpr"])
def test_it_is_saved_and_loaded(source, tmp_path):
    X, y = rows(60)
    model = CalibratedStdRegressor(BayesianRidge(), source=source, random_state=0)
    save(model.fit(X, y), tmp_path / "model.skatom")
    loaded = load(tmp_path / "model.skatom")
    np.testing.assert_array_equal(loaded.predict(X, True)[1], model.predict(X, True)[1])


def test_it_survives_pickling():
    frames, y = dimers(40)
    ensemble = EnsembleRegressor(POTENTIAL, 3, random_state=0)
    model = CalibratedStdRegressor(ensemble, random_state=0).fit(frames, y)
    again = pickle.loads(pickle.dumps(model))
    for a, b in zip(model.predict(frames, True), again.predict(frames, True)):
        np.testing.assert_array_equal(a, b)
    std = model.predict_atomic_energies(frames, return_std=True)[1]
    raw = model.estimator_.predict_atomic_energies(frames, return_std=True)[1]
    np.testing.assert_allclose(std[0], model.alpha_ * raw[0], rtol=1e-12)


# -- refusals ------------------------------------------------------------------------


def test_distances_of_atoms_are_no_error_bars_of_their_energies():
    frames, y = dimers(40)
    model = CalibratedStdRegressor(
        POTENTIAL, source="latent", forces=None, random_state=0
    ).fit(frames, y)
    with pytest.raises(
        NoStandardDeviationError, match="no standard deviation of their"
    ):
        model.predict_atomic_energies(frames, return_std=True)
    with pytest.raises(NoStandardDeviationError, match="take the source 'llpr'"):
        model.predict_forces(frames, return_std=True)


def test_force_labels_without_force_error_bars_are_an_error_only_if_asked_for():
    frames, y = dimers(40)
    process = BayesianRidge()
    pipeline = make_pipeline(RadialSums(), PerAtom(StandardScaler()), Summed(process))
    model = CalibratedStdRegressor(pipeline, random_state=0)
    assert model.fit(frames, y).force_map_ is None
    with pytest.raises(NoDerivativeError, match="Summed has no gradient rule"):
        model.set_params(forces="calc").fit(frames, y)


class Summed(RegressorMixin, BaseEstimator):
    """A stock regressor on summed features."""

    def __init__(self, inner):
        self.inner = inner

    def fit(self, X, y):
        self.inner_ = clone(self.inner).fit(
            np.add.reduceat(X.values, X.offsets[:-1]), y
        )
        return self

    def predict(self, X, return_std=False):
        return self.inner_.predict(
            np.add.reduceat(X.values, X.offsets[:-1]), return_std
        )


def test_odd_requests_are_refused():
    X, y = rows(30)
    prefit = CalibratedStdRegressor(BayesianRidge().fit(X, y), cv="prefit")
    with pytest.raises(ValueError, match="sample_weight would not be used"):
        prefit.fit(X, y, sample_weight=np.ones(30))
    with pytest.raises(ValueError, match="there is one sample in all"):
        CalibratedStdRegressor(BayesianRidge()).fit(X[:1], y[:1])
    with pytest.raises(NoStandardDeviationError, match="Ridge gives no standard"):
        CalibratedStdRegressor(Ridge()).fit(X, y)

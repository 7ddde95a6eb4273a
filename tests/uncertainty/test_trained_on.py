"""Calibration on structures of the fit is refused, however they are hidden."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from numpy.testing import assert_array_equal
from sklearn.ensemble import StackingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")

from skatom.base import AtomicRegressor
from skatom.featurizers import ACSF
from skatom.models import (
    AlchemicalKernelRidge,
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicRidge,
    CompositionBaseline,
    NeuralNetworkRegressor,
    SchNetRegressor,
)
from skatom.persistence import load, save
from skatom.potential import DeltaRegressor, make_potential
from skatom.preprocessing import PerAtom, Pool
from skatom.store import FeatureStore
from skatom.structures import Structures, fingerprints
from skatom.testing import all_estimators
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    DomainFlags,
    EnsembleRegressor,
    FeatureDistance,
    LastLayerRigidity,
    calibrate_std,
)

WORDS = r"fitted on \d+ of the \d+ calibration structures"
SCHNET = SchNetRegressor(
    4, n_interactions=1, n_basis=4, r_cut=3.0, max_epochs=1, random_state=0
)


@pytest.fixture(scope="module")
def frames():
    names = ("H2O", "NH3", "CH3OH")
    return Structures(rattled(molecule(names[k % 3]), seed=k) for k in range(12))


@pytest.fixture(scope="module")
def y(frames):
    return np.array([-4.0 * len(a) + a.positions[0, 0] for a in frames])


def acsf():
    return ACSF(3.0, n_radial=3, g4=None)


def frozen(frames, last):
    """A pipeline whose features were made of all structures, which is no leak."""
    return make_pipeline(FrozenEstimator(acsf().fit(frames)), last)


CASES = {
    "network of structures": lambda frames: SCHNET,
    "ensemble of networks": lambda frames: EnsembleRegressor(SCHNET, 2, random_state=0),
    "composition": lambda frames: CompositionBaseline(),
    "model behind frozen features": lambda frames: frozen(frames, AtomicRidge()),
    "kernel": lambda frames: frozen(frames, AtomicKernelRidge()),
    "process": lambda frames: frozen(
        frames, AtomicGaussianProcessRegressor(optimizer=None)
    ),
    "alchemical kernel": lambda frames: frozen(
        frames, AlchemicalKernelRidge(n_steps=1)
    ),
    "network of features": lambda frames: frozen(
        frames, NeuralNetworkRegressor((4,), max_epochs=1, random_state=0)
    ),
    "stock model": lambda frames: make_pipeline(acsf(), Pool(), Ridge()),
    "potential": lambda frames: make_potential(acsf(), AtomicRidge()),
    "delta": lambda frames: DeltaRegressor(SCHNET, forces=None),
    "search": lambda frames: GridSearchCV(SCHNET, {"lr": [1e-3]}, cv=2),
    "stack": lambda frames: StackingRegressor([("a", SCHNET)], Ridge(), cv=2),
    "interval": lambda frames: ConformalRegressor(SCHNET, calibration_size=1),
}


@pytest.mark.parametrize("name", list(CASES))
def test_calibrating_on_the_structures_of_fit_is_refused(name, frames, y, tmp_path):
    model = CASES[name](frames).fit(frames, y)
    with pytest.raises(ValueError, match=WORDS):
        ConformalRegressor(model, cv="prefit").fit(frames, y)
    if name == "stack":  # its file says which names are trusted
        return
    loaded = load(save(model, tmp_path / "model"))
    copies = [atoms.copy() for atoms in frames]
    with pytest.raises(ValueError, match=WORDS):
        CalibratedStdRegressor(loaded, cv="prefit").fit(copies, y)


@pytest.fixture(scope="module")
def ridge(frames, y):
    return make_pipeline(acsf(), AtomicRidge()).fit(frames, y)


def calibrations(ridge, frames, y):
    yield lambda: calibrate_std(ridge, frames, y)
    yield lambda: LastLayerRigidity(ridge).fit(
        frames, X_calibration=frames, y_calibration=y
    )
    yield lambda: FeatureDistance(ridge).fit(frames, X_calibration=frames)
    flags = DomainFlags(ridge, ["distance"])
    yield lambda: flags.fit(frames, X_calibration=frames)
    stream = AdaptiveConformalRegressor(ConformalRegressor(ridge, random_state=0))
    yield lambda: stream.fit(frames, y).follow(frames, y)


@pytest.mark.parametrize("case", range(5))
def test_whatever_calibrates_looks_at_what_was_fitted_on(case, ridge, frames, y):
    calibrate = list(calibrations(ridge, frames, y))[case]
    with pytest.raises(ValueError, match=WORDS):
        calibrate()


def test_other_structures_are_none_of_those_of_fit(ridge, frames, y):
    others = [rattled(atoms, seed=99) for atoms in frames]
    ConformalRegressor(ridge, cv="prefit").fit(others, y)
    held = ConformalRegressor(ridge, calibration_size=4, random_state=0).fit(frames, y)
    kept = held.calibration_indices_
    again = ConformalRegressor(held, cv="prefit")  # what widths were taken from is new
    again.fit(frames[kept], y[kept])
    assert_array_equal(
        held.fitted_on_, np.unique(fingerprints(frames[held.train_indices_]))
    )


def test_what_is_learned_later_counts_too(frames, y):
    X = acsf().fit_transform(frames)
    net = NeuralNetworkRegressor((4,), max_epochs=1, warm_start=True, random_state=0)
    gp = AtomicGaussianProcessRegressor(optimizer=None)
    for model in (net, gp):
        model.fit(X[:6], y[:6])
        again = model.fit if model is net else model.partial_fit
        again(X[6:], y[6:])
        assert_array_equal(model.fitted_on_, np.unique(fingerprints(frames)))
    assert len(gp.fit(X[:6], y[:6]).fitted_on_) == 6


def test_rows_of_numbers_are_known_with_their_targets():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    model = make_pipeline(StandardScaler(), AtomicRidge()).fit(X, y)
    for rows in (X, X[:5]):
        with pytest.raises(ValueError, match=WORDS):
            ConformalRegressor(model, cv="prefit").fit(rows, y[: len(rows)])
    ConformalRegressor(model, cv="prefit").fit(X, y + 0.1)  # equal rows, other samples


def test_features_without_structures_are_known_as_rows_are(frames, y):
    X = PerAtom(StandardScaler()).fit_transform(acsf().fit_transform(frames))
    X.structures = None
    model = AtomicRidge(forces=None).fit(X, y)
    with pytest.raises(ValueError, match=WORDS):
        ConformalRegressor(model, cv="prefit").fit(X[:5], y[:5])


def test_a_network_remembers_the_structures_of_a_store(frames, y, tmp_path):
    store = FeatureStore(tmp_path / "store", acsf().fit(frames))
    store.extend(frames)
    net = NeuralNetworkRegressor((4,), max_epochs=1, random_state=0, forces=None)
    net.fit(store, y)
    assert_array_equal(net.fitted_on_, np.unique(fingerprints(frames)))


def test_every_public_model_remembers(frames, y):
    X = acsf().fit_transform(frames)
    for name, cls in all_estimators("model"):
        options = {"max_epochs": 1} if "Network" in name else {}
        model = cls(**options | ({"optimizer": None} if "Process" in name else {}))
        if isinstance(model, AtomicRegressor):
            known = model.fit(X, y).fitted_on_
            assert_array_equal(known, np.unique(fingerprints(frames)), err_msg=name)

"""dtype="float32": half the memory, rounded once, and derivatives as they were."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import Normalizer, StandardScaler

from skatom.featurizers import ACSF, AEV, FCHL19, GMP, SOAP, WeightedACSF
from skatom.models import AtomicKernelRidge, AtomicRidge, NeuralNetworkRegressor
from skatom.potential import make_potential
from skatom.preprocessing import AtomFeatureUnion, PerAtom, Pool
from skatom.uncertainty import FeatureDistance

EPS = np.finfo(np.float32).eps
FEATURIZERS = [
    ACSF(r_cut=4.0),
    ACSF(r_cut=4.0, g4=None, g5=[[0.01, 1, 1]]),
    AEV(),
    FCHL19(r_cut=4.0),
    GMP(r_cut=4.0),
    SOAP(r_cut=4.0, n_max=3, l_max=2),
    WeightedACSF(),
]


@pytest.fixture(scope="module")
def frames():
    names = ["CH3OH", "H2O", "CH4", "C2H6", "CH3OH", "H2O2"]
    return [labelled(rattled(molecule(n), seed=k)) for k, n in enumerate(names)]


@pytest.mark.parametrize("featurizer", FEATURIZERS, ids=lambda f: type(f).__name__)
def test_values_are_those_of_double_precision_rounded_once(featurizer, monkeypatch):
    many = [rattled(bulk("Cu", cubic=True) * (3, 3, 3), seed=s) for s in range(20)]
    assert sum(map(len, many)) > 2000
    X = [*many, rattled(molecule("CH3OH"))] if type(featurizer) is not AEV else many[:3]
    monkeypatch.setattr("skatom.base._featurizer.BLOCK_BYTES", 50_000)  # many blocks
    exact = clone(featurizer).fit_transform(X)
    for n_jobs in (1, 2):
        single = clone(featurizer).set_params(dtype="float32", n_jobs=n_jobs)
        found = single.fit_transform(X)
        assert found.values.dtype == np.float32
        np.testing.assert_array_equal(found.values, exact.values.astype(np.float32))
    g = np.random.default_rng(0).normal(size=exact.values.shape)
    np.testing.assert_array_equal(found[:3].pullback(g[: found.offsets[3]]),
                                  exact[:3].pullback(g[: found.offsets[3]]))  # fmt: skip


def pipelines():
    soap = SOAP(r_cut=4.0, n_max=3, l_max=2, dtype="float32")
    acsf = ACSF(r_cut=4.0, dtype="float32")
    return {
        "kernel": make_potential(
            soap, PerAtom(Normalizer()), AtomicKernelRidge(forces=None, gamma=1.0)
        ),
        "kernel on forces": make_potential(acsf, AtomicKernelRidge()),
        "ridge after PCA": make_potential(
            acsf, PerAtom(StandardScaler()), PerAtom(PCA(8)), AtomicRidge(alpha=1e-3)
        ),
        "pooled": make_potential(acsf, Pool("sum"), Ridge(1e-2)),
        "union": make_potential(
            AtomFeatureUnion([("soap", soap), ("acsf", acsf)]), AtomicRidge(alpha=1e-3)
        ),
        "network": make_potential(
            acsf,
            PerAtom(StandardScaler()),
            NeuralNetworkRegressor((8,), max_epochs=5, dtype="float64", random_state=0),
        ),
    }


@pytest.mark.parametrize("name", pipelines())
def test_forces_are_the_derivative_of_the_energy(name, frames):
    """Up to rounding: an energy moves in steps of EPS times what its features add to."""
    model = pipelines()[name]
    y = np.array([atoms.get_potential_energy() for atoms in frames])
    model.fit(frames, y)
    atoms, h = frames[0], 1e-2
    force = model.predict_forces([atoms])[0]
    moved = [atoms.copy() for _ in range(4)]
    for copy, step in zip(moved, (2 * h, h, -h, -2 * h)):
        copy.positions[1, 0] += step
    e = model.predict(moved)
    found = -(-e[0] + 8 * e[1] - 8 * e[2] + e[3]) / (12 * h)
    np.testing.assert_allclose(force[1, 0], found, rtol=2e-3, atol=2e-3)
    assert abs(force[1, 0]) > 0.05


@pytest.mark.parametrize("name", pipelines())
def test_predictions_are_those_of_double_precision_to_rounding(name, frames):
    y = np.array([atoms.get_potential_energy() for atoms in frames])
    single = pipelines()[name]
    double = clone(single)
    for parameter in list(double.get_params()):
        if parameter.endswith("dtype") and "network" not in parameter:
            double.set_params(**{parameter: "float64"})
    np.testing.assert_allclose(
        single.fit(frames, y).predict(frames),
        double.fit(frames, y).predict(frames),
        atol=2e-4 if name == "network" else 1e-4,
    )


def test_steps_and_slices_stay_in_single_precision(frames):
    X = ACSF(r_cut=4.0, dtype="float32").fit_transform(frames)
    Y = PerAtom(StandardScaler(), by_species=True).fit_transform(X)
    assert {X[1:3].values.dtype, Y.values.dtype} == {np.dtype(np.float32)}
    assert X.astype(np.float64).values.dtype == np.float64
    np.testing.assert_array_equal(
        X.astype(np.float64).pullback(Y.values), X.pullback(Y.values)
    )


def test_grades_of_extrapolation_hardly_change(frames):
    y = [atoms.get_potential_energy() for atoms in frames * 4]
    scores = []
    for dtype in ("float32", "float64"):
        model = make_potential(ACSF(r_cut=4.0, dtype=dtype), AtomicRidge(alpha=1e-3))
        model.fit(frames * 4, y)
        found = FeatureDistance(model, random_state=0).fit(frames * 4)
        scores.append(found.score_samples([rattled(a, seed=9) for a in frames]))
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


def test_another_type_is_refused():
    with pytest.raises(
        ValueError, match="'dtype' parameter of ACSF must be a str among"
    ):
        ACSF(dtype="float16").fit([molecule("H2O")])

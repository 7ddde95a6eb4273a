"""Rigidity of the last layer: the formula, its derivatives, and the Bayesian model."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import NoStandardDeviationError
from skatom.metrics import crps, gaussian_nll, spearman_of_errors
from skatom.models import AtomicRidge, NeuralNetworkRegressor, SchNetRegressor
from skatom.potential import predict_atomic_energies, predict_forces
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures, read_energies
from skatom.uncertainty import ConformalRegressor, LastLayerRigidity
from skatom.uncertainty._second_moments import Rigidity


@pytest.fixture(scope="module")
def frames():
    methanol = molecule("CH3OH")
    crystal = bulk("Cu", a=3.6, cubic=True)
    crystal.symbols[0] = "O"
    mixed = [rattled(methanol, s, 0.08) for s in range(25)]
    return Structures(labelled(a) for a in [*mixed, rattled(crystal, 99, 0.1)])


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


@pytest.fixture(scope="module")
def ridge(frames, y):
    model = AtomicRidge(1e-4, forces=None)
    return make_pipeline(RadialSums(), PerAtom(StandardScaler()), model).fit(frames, y)


@pytest.fixture(scope="module")
def network(frames, y):
    model = NeuralNetworkRegressor((6, 5), max_epochs=10, random_state=0)
    return make_pipeline(RadialSums(), PerAtom(StandardScaler()), model).fit(frames, y)


def summed_rows(model, frames):
    """Last-layer features of structures, and their composition."""
    Z = model[:-1].transform(frames)
    latent, kinds = model[-1].latent(Z), Z.numbers[:, None] == model[-1].numbers_
    rows = np.hstack([latent, kinds])
    return np.array([rows[a:b].sum(0) for a, b in zip(Z.offsets, Z.offsets[1:])])


# -- means ---------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [NeuralNetworkRegressor, SchNetRegressor])
def test_error_bars_of_means_do_not_grow_with_the_cell(cls):
    salts = [bulk("NaCl", "rocksalt", a=a) for a in np.linspace(5.4, 5.9, 8)]
    salts = [rattled(atoms * (1, 1, 2), k, 0.05) for k, atoms in enumerate(salts)]
    small = {"target": "mean", "max_epochs": 3, "dtype": "float64", "random_state": 0}
    if cls is SchNetRegressor:
        model = cls(6, n_interactions=1, n_basis=5, r_cut=4.0, **small)
    else:
        model = make_pipeline(RadialSums(), cls((6,), **small))
    gaps = np.linspace(4.0, 6.0, 8)
    rigidity = LastLayerRigidity(model.fit(salts, gaps)).fit(salts)
    pair = [salts[0], salts[0] * (2, 2, 2)]
    y, std = rigidity.predict(pair, return_std=True)
    np.testing.assert_allclose(y[1], y[0], rtol=1e-9)
    np.testing.assert_allclose(std[1], std[0], rtol=1e-6)
    bars = LastLayerRigidity(model).fit([pair[1]] * 3 + salts)  # sizes weigh alike
    again = LastLayerRigidity(model).fit([pair[0]] * 3 + salts)
    np.testing.assert_allclose(
        bars.predict(salts, return_std=True)[1],
        again.predict(salts, return_std=True)[1],
        rtol=1e-6,
    )


# -- the formula ---------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [50, 7])
def test_variances_are_those_of_the_inverse(n_rows):
    rng = np.random.default_rng(0)
    rows, new = rng.normal(size=(n_rows, 12)), rng.normal(size=(5, 12))
    rigidity = Rigidity.of(rows)
    moments = rows.T @ rows
    ridge = 0.1**2 * np.trace(moments) / 12
    by_hand = np.einsum(
        "ni,ni->n", new, np.linalg.solve(moments + ridge * np.eye(12), new.T).T
    )
    np.testing.assert_allclose(rigidity.variances(new, 0.1), by_hand, rtol=1e-10)


@pytest.mark.parametrize("which", ["ridge", "network"])
def test_energies_follow_the_formula(which, frames, request):
    model = request.getfixturevalue(which)
    rigidity = LastLayerRigidity(model, zeta=0.05).fit(frames)
    rows = summed_rows(model, frames)
    F = rows / np.sqrt(frames.n_atoms)[:, None]
    A = F.T @ F
    A += 0.05**2 * np.trace(A) / len(A) * np.eye(len(A))
    by_hand = np.sqrt(np.einsum("ni,ni->n", rows, np.linalg.solve(A, rows.T).T))
    y_pred, std = rigidity.predict(frames, return_std=True)
    np.testing.assert_allclose(std, by_hand, rtol=1e-7)
    np.testing.assert_allclose(y_pred, model.predict(frames), rtol=1e-12)


def test_a_bayesian_linear_model_has_these_error_bars():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(60, 4)), rng.normal(size=4)
    noise, prior = 0.3, 2.0
    y = X @ w + noise * rng.normal(size=60)
    model = AtomicRidge((noise / prior) ** 2).fit(X, y)
    scale = (
        np.trace(np.vstack([X.T, np.ones(60)]) @ np.hstack([X, np.ones((60, 1))])) / 5
    )
    zeta = noise / prior / np.sqrt(scale)
    rigidity = LastLayerRigidity(model, zeta=zeta).fit(X)
    F, new = (
        np.hstack([x, np.ones((len(x), 1))]) for x in (X, rng.normal(size=(9, 4)))
    )
    posterior = np.linalg.inv(F.T @ F / noise**2 + np.eye(5) / prior**2)
    by_hand = np.sqrt(np.einsum("ni,ij,nj->n", new, posterior, new))
    std = noise * rigidity.predict(new[:, :4], return_std=True)[1]
    np.testing.assert_allclose(std, by_hand, rtol=1e-8)


def test_atoms_have_error_bars_too(frames, ridge):
    rigidity = LastLayerRigidity(ridge).fit(frames)
    one = frames[25:]  # a crystal: its atoms err together
    energies, std = predict_atomic_energies(rigidity, one, return_std=True)
    assert energies[0].sum() == pytest.approx(ridge.predict(one)[0])
    whole = rigidity.predict(one, return_std=True)[1][0]
    assert (std[0] > 0).all()
    assert whole <= std[0].sum() * (1 + 1e-12)  # the triangle inequality of a norm


# -- forces --------------------------------------------------------------------------


def displaced(frames, atom, axis, h):
    moved = []
    for atoms in frames:
        atoms = atoms.copy()
        atoms.positions[atom, axis] += h
        moved.append(atoms)
    return Structures(moved)


@pytest.mark.parametrize("which", ["ridge", "network"])
def test_force_error_bars_are_those_of_differences_of_rows(which, frames, request):
    model = request.getfixturevalue(which)
    if not hasattr(model[-1], "latent_pushforward"):
        pytest.skip("this model does not say how its last layer moves")
    rigidity = LastLayerRigidity(model, zeta=0.05).fit(frames)
    chosen = frames[[0, 25]]
    std = rigidity.predict_forces(chosen, return_std=True)[1]
    h = 1e-4
    for atom, axis in [(0, 0), (1, 2), (3, 1)]:
        plus, minus = (
            summed_rows(model, displaced(chosen, atom, axis, sign * h))
            for sign in (1, -1)
        )
        rows = (plus - minus) / (2 * h)
        by_hand = np.sqrt(rigidity.rigidity_.variances(rows, 0.05))
        np.testing.assert_allclose([s[atom, axis] for s in std], by_hand, rtol=1e-5)


def test_forces_are_those_of_the_model(frames, ridge):
    rigidity = LastLayerRigidity(ridge).fit(frames)
    forces, std = predict_forces(rigidity, frames, return_std=True)
    for a, b, s in zip(forces, predict_forces(ridge, frames), std):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert s.shape == a.shape
        assert (s > 0).all()


# -- calibration ---------------------------------------------------------------------


def noisy_rows(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 20)) * np.geomspace(3, 0.1, 20)
    return X, X.sum(axis=1) + 0.2 * rng.normal(size=n)


@pytest.mark.parametrize(
    ("method", "score"),
    [
        ("squared_residuals", gaussian_nll),
        ("absolute_residuals", gaussian_nll),
        ("crps", crps),
    ],
)
def test_zeta_and_alpha_are_the_best_of_those_tried(method, score):
    X, y = noisy_rows(30, 0)
    X_cal, y_cal = noisy_rows(200, 1)
    model = AtomicRidge(1e-2).fit(X, y)
    tuned = LastLayerRigidity(model, method=method)
    tuned.fit(X, X_calibration=X_cal, y_calibration=y_cal)
    best = score(y_cal, *tuned.predict(X_cal, return_std=True))
    for zeta in (tuned.zeta_ / 3, tuned.zeta_ * 3):
        other = LastLayerRigidity(model, zeta=zeta, method=method)
        other.fit(X, X_calibration=X_cal, y_calibration=y_cal)
        assert other.zeta_ == zeta
        assert score(y_cal, *other.predict(X_cal, return_std=True)) >= best


def test_error_bars_tell_directions_without_data():
    X, y = noisy_rows(30, 0)
    X_cal, y_cal = noisy_rows(200, 1)
    X_new, y_new = noisy_rows(500, 2)
    model = AtomicRidge(1e-2).fit(X, y)
    rigidity = LastLayerRigidity(model).fit(X, X_calibration=X_cal, y_calibration=y_cal)
    y_pred, std = rigidity.predict(X_new, return_std=True)
    assert spearman_of_errors(y_new, y_pred, std) > 0.15
    assert 0.8 < np.sqrt(np.mean(((y_new - y_pred) / std) ** 2)) < 1.25


# -- where it works ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*has learned nothing")  # of Cu, in one fold
def test_pooled_and_wrapped_linear_models_are_taken(frames, y):
    sums = RadialSums(species=["H", "C", "O", "Cu"])
    pooled = make_pipeline(sums, Pool("sum"), StandardScaler(), Ridge()).fit(frames, y)
    search = GridSearchCV(pooled, {"ridge__alpha": [1.0]}, cv=3).fit(frames, y)
    alone = LastLayerRigidity(pooled).fit(frames).predict(frames, return_std=True)[1]
    for wrapped in (FrozenEstimator(pooled), search):
        rigidity = LastLayerRigidity(wrapped).fit(frames)
        np.testing.assert_allclose(rigidity.predict(frames, return_std=True)[1], alone)
    rows = pooled[:-1].transform(frames)
    bare = LastLayerRigidity(pooled[-1]).fit(rows)
    # a pooled row is one row: its number of atoms is not seen
    np.testing.assert_allclose(bare.predict(rows, return_std=True)[1], alone)


def test_as_the_score_of_a_conformal_regressor(frames, y, ridge):
    rigidity = LastLayerRigidity(ridge).fit(frames)
    new = Structures(rattled(atoms, 7, 0.05) for atoms in frames)
    model = ConformalRegressor(
        FrozenEstimator(ridge), conformity_score=rigidity, cv="prefit", forces=None
    ).fit(new, y)
    intervals = model.predict_interval(new, 0.5)[1]
    widths = intervals[:, 1] - intervals[:, 0]
    std = rigidity.predict(new, return_std=True)[1]
    near = std < 10 * np.median(std)
    np.testing.assert_allclose((widths / std)[near], widths[0] / std[0], rtol=1e-6)


def test_models_without_a_linear_last_layer_are_refused():
    X, y = noisy_rows(30, 0)
    with pytest.raises(TypeError, match="KernelRidge has none"):
        LastLayerRigidity(KernelRidge().fit(X, y)).fit(X)


def test_layers_that_do_not_say_how_they_move_have_no_force_error_bars(frames, ridge):
    class Still(AtomicRidge):
        latent_pushforward = property()

        def latent(self, X):
            return X.values

    still = Still(1e-4, forces=None, by_species=False)
    pipeline = make_pipeline(*ridge[:-1], still).fit(frames, read_energies(frames))
    rigidity = LastLayerRigidity(pipeline).fit(frames)
    assert (rigidity.predict(frames, return_std=True)[1] > 0).all()
    with pytest.raises(NoStandardDeviationError, match="how its last layer moves"):
        rigidity.predict_forces(frames, return_std=True)

"""Networks that predict a distribution: its mean and variance, or its quantiles."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import rattled
from radial import RadialSums
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skatom import predict_forces
from skatom._training.spreads import gaussian_loss, quantile_loss
from skatom.base import NoStandardDeviationError
from skatom.calculator import SkatomCalculator
from skatom.featurizers import ACSF
from skatom.metrics import neg_energy_crps
from skatom.models import (
    MessagePassingRegressor,
    NeuralNetworkRegressor,
    SchNetRegressor,
)
from skatom.persistence import load, save
from skatom.potential import evaluate
from skatom.uncertainty import (
    CalibratedStdRegressor,
    ConformalRegressor,
    EnsembleRegressor,
    QuantileConformalRegressor,
)

DISTRIBUTIONS = ["gaussian_nll", "quantile"]
LEVELS = (0.05, 0.25, 0.5, 0.9)


def quick(**params):
    settings = {
        "hidden_layers": (16,), "max_epochs": 5, "random_state": 0, "dtype": "float64"
    }  # fmt: skip
    return NeuralNetworkRegressor(**(settings | params))


def noise(X):
    return 0.05 + 0.4 * (X[:, 0] + 1)


def noisy(n, seed=0):
    """Rows whose labels scatter more where the first column is larger."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(2 * X[:, 1]) + noise(X) * rng.normal(size=n) - 5.0


def bonds(n, seed=0):
    """Dimers with the forces of a spring, whose energies scatter as bonds stretch."""
    rng = np.random.default_rng(seed)
    frames = []
    for r in rng.uniform(0.7, 1.5, n):
        atoms = Atoms("OH", [[0, 0, 0], [0, 0, r]])
        energy = 2 * (r - 1) ** 2 - 40 + (0.02 + 0.4 * (r - 0.7)) * rng.normal()
        pull = [[0, 0, 4 * (r - 1)], [0, 0, -4 * (r - 1)]]
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=pull)
        frames.append(atoms)
    return frames, np.array([a.calc.results["energy"] for a in frames])


def lengths(frames):
    return np.array([a.get_distance(0, 1) for a in frames])


def pipeline(**params):
    return make_pipeline(RadialSums(etas=(0.1, 1.0, 4.0)), quick(**params))


def weights(model):
    return [p.detach().numpy().copy() for p in model.net_.module_.parameters()]


def same_bits(a, b):
    return all(map(np.array_equal, weights(a), weights(b)))


# -- losses ----------------------------------------------------------------------------


def test_likelihood_is_that_of_torch():
    error = torch.linspace(-2, 2, 9, dtype=torch.float64)
    variance = torch.linspace(0.1, 3, 9, dtype=torch.float64)
    expected = torch.nn.functional.gaussian_nll_loss(
        error, torch.zeros_like(error), variance, reduction="none"
    )
    found = gaussian_loss(error, variance, 0.0, 1.0)
    np.testing.assert_allclose(found, 2 * expected, rtol=1e-12)
    weighted = gaussian_loss(error, variance, 0.5, 1.0)
    np.testing.assert_allclose(weighted, found * variance.sqrt(), rtol=1e-12)


def test_errors_weigh_as_their_squares_with_beta_one_or_at_the_unit():
    error = torch.linspace(-2, 2, 9, dtype=torch.float64).requires_grad_()
    squares = torch.autograd.grad(error.square().sum(), error)[0]
    for beta, variance in ((1.0, torch.rand(9) + 0.1), (0.3, torch.full((9,), 0.04))):
        loss = gaussian_loss(error, variance.double(), beta, 0.2).sum()
        found = torch.autograd.grad(loss, error)[0]
        np.testing.assert_allclose(found, squares, rtol=1e-6)  # 0.04 is no float32


def test_quantile_loss_is_the_pinball_loss_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, median, gaps = rng.normal(size=20), rng.normal(size=20), rng.random((20, 3))
    quantiles = median[:, None] + np.cumsum(np.c_[np.zeros(20), gaps], 1)
    quantiles -= gaps[:, :2].sum(1, keepdims=True)
    expected = [mean_pinball_loss(y, q, alpha=a) for q, a in zip(quantiles.T, LEVELS)]
    found = quantile_loss(
        torch.from_numpy(median - y), torch.from_numpy(gaps**2), LEVELS
    )
    np.testing.assert_allclose(found.mean(), 2 * np.mean(expected), rtol=1e-12)


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_gradients_of_the_losses_are_those_of_central_differences(loss):
    gen = torch.Generator().manual_seed(0)
    error = torch.randn(7, generator=gen, dtype=torch.float64, requires_grad=True)
    spreads = torch.rand(7, 3, generator=gen, dtype=torch.float64) + 0.1
    spreads.requires_grad_()

    def function(e, s):
        if loss == "quantile":
            return quantile_loss(e, s, LEVELS)
        return gaussian_loss(e, s[:, 0], 0.0, 0.7)

    assert torch.autograd.gradcheck(function, (error, spreads))


def test_slopes_of_a_training_with_forces_are_those_of_central_differences():
    frames, y = bonds(6)
    X = RadialSums().fit(frames).transform(frames)
    model = quick(hidden_layers=(3,), loss="gaussian_nll", nll_beta=0.0, max_epochs=1)
    model.fit(X, y)
    batch, targets = model._data(X, y, None, None, None, fresh=False).batch(
        np.array([4, 1, 2]), "cpu"
    )
    net = model.net_
    net.module_.train()

    def loss():
        return net.get_loss(net.infer(batch), targets)

    net.module_.zero_grad()
    loss().backward()
    for parameter in net.module_.parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for k in range(0, len(flat), 2):
            ends = []
            for sign in (1, -1):
                flat[k] += sign * 1e-5
                ends.append(loss().item())
                flat[k] -= sign * 1e-5
            difference = (ends[0] - ends[1]) / 2e-5
            assert slope[k].item() == pytest.approx(difference, rel=1e-5, abs=1e-8)
    assert all(h.weight.grad[1].abs().max() > 0 for h in net.module_.heads)


# -- what is learned -------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_noise_that_depends_on_the_features_is_found(beta):
    X, y = noisy(600)
    model = quick(
        loss="gaussian_nll", nll_beta=beta, lr=2e-2, max_epochs=40, batch_size=50
    ).fit(X, y)
    new, y_new = noisy(1000, seed=1)
    y_pred, std = model.predict(new, return_std=True)
    assert std.dtype == np.float64
    assert spearmanr(std, noise(new)).statistic > 0.9
    assert 0.85 < np.mean(np.abs(y_new - y_pred) < 1.645 * std) < 0.95
    # of 1000 true deviations the mean square is known to 5 %
    assert 0.85 < np.mean(((y_new - y_pred) / std) ** 2) < 1.25
    assert np.abs(y_pred - np.sin(2 * new[:, 1]) + 5.0).mean() < 0.15


def test_quantiles_are_covered_and_never_cross():
    X, y = noisy(2000)
    model = quick(
        loss="quantile", quantiles=LEVELS, lr=2e-2, lr_schedule="cosine",
        max_epochs=20, batch_size=50,
    ).fit(X, y)  # fmt: skip
    new, y_new = noisy(2000, seed=1)
    median, quantiles = model.predict(new, return_quantiles=True)
    assert (np.diff(quantiles, axis=1) > 0).all()
    np.testing.assert_array_equal(quantiles[:, 2], median)
    covered = (y_new[:, None] <= quantiles).mean(axis=0)
    # medians of 2000 labels, learned and counted, scatter by 0.011 each
    np.testing.assert_allclose(covered, LEVELS, rtol=0, atol=0.05)
    width = quantiles[:, 3] - quantiles[:, 0]
    assert spearmanr(width, noise(new)).statistic > 0.9


def test_the_median_alone_is_the_absolute_loss():
    X, y = noisy(60)
    one = quick(loss="quantile", quantiles=[0.5]).fit(X, y)
    assert same_bits(one, quick(loss="mae").fit(X, y))
    np.testing.assert_array_equal(
        one.predict(X, return_quantiles=True)[1][:, 0], one.predict(X)
    )


def test_noise_of_energies_is_found_beside_forces():
    frames, y = bonds(200)
    model = pipeline(loss="gaussian_nll", lr=2e-2, max_epochs=30, batch_size=20)
    model.fit(frames, y)
    new, _ = bonds(100, seed=1)
    _, std = model.predict(new, return_std=True)
    assert spearmanr(std, lengths(new)).statistic > 0.9
    true = 0.02 + 0.4 * (lengths(new) - 0.7)
    assert 0.7 < np.median(std / true) < 1.4
    forces = np.concatenate(predict_forces(model, new))
    exact = np.concatenate([a.calc.results["forces"] for a in new])
    assert np.abs(forces - exact).mean() < 0.1 * np.abs(exact).mean()


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_forces_are_the_slope_of_the_middle(loss):
    frames, y = bonds(12)
    model = pipeline(loss=loss).fit(frames, y)
    atoms, step = frames[3], 1e-4
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[1, 2] += sign * step
        ends.append(model.predict([moved])[0])
    slope = -(ends[0] - ends[1]) / (2 * step)
    assert abs(slope) > 1e-3
    assert predict_forces(model, [atoms])[0][1, 2] == pytest.approx(slope, rel=1e-6)


# -- sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "power"), [("sum", 0.5), ("mean", 0.0)])
@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_error_bars_grow_as_those_of_independent_atoms(target, power, loss):
    frames = [rattled(bulk("Cu", cubic=True), seed=s) for s in range(8)]
    y = np.array([a.get_all_distances(mic=True).sum() for a in frames])
    model = make_pipeline(RadialSums(), quick(loss=loss, target=target, forces=None))
    model.fit(frames, y)
    asked = {"return_std": True} if loss == "gaussian_nll" else {}
    asked = asked or {"return_quantiles": True}
    one, many = (
        model.predict([a.repeat((n, 1, 1)) for a in frames], **asked)[1] for n in (1, 4)
    )
    if loss == "quantile":
        one, many = (np.diff(q, axis=1) for q in (one, many))
    np.testing.assert_allclose(many, 4**power * one, rtol=1e-8)


@pytest.mark.parametrize("target", ["sum", "mean"])
def test_variances_of_atoms_sum_to_those_of_structures(target):
    frames, y = bonds(10)
    step = RadialSums().fit(frames)
    X = step.transform(frames)
    model = quick(loss="gaussian_nll", target=target, forces=None).fit(X, y)
    energies, std = model.predict_atoms(X, return_std=True)
    np.testing.assert_allclose(energies.reshape(10, 2).sum(1), model.predict(X))
    np.testing.assert_allclose(
        np.sqrt((std**2).reshape(10, 2).sum(1)),
        model.predict(X, return_std=True)[1],
        rtol=1e-12,
    )


@pytest.mark.parametrize("y", [np.zeros(20), np.full(20, 1e6), 1e-9 * np.arange(20)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_bars_are_positive_and_finite_whatever_the_targets(y, dtype):
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = quick(loss="gaussian_nll", dtype=dtype, lr=0.1, max_epochs=30).fit(X, y)
    for rows in (X, 1e3 * X):
        std = model.predict(rows, return_std=True)[1]
        assert np.isfinite(std).all()
        assert (std > 1e-10 * np.abs(y).max()).all()
        assert (std > 0).all()


# -- state -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_copies_predict_the_same_distribution(loss, tmp_path):
    frames, y = bonds(10)
    model = make_pipeline(ACSF(r_cut=3.0, g4=None), quick(loss=loss)).fit(frames, y)
    asked = {"return_std": True} if loss == "gaussian_nll" else {}
    asked = asked or {"return_quantiles": True}
    save(model, tmp_path / "model.skatom")
    expected = model.predict(frames, **asked)[1]
    copies = [
        pickle.loads(pickle.dumps(model)),
        load(tmp_path / "model.skatom"),
        clone(model).fit(frames, y),
        model.set_params(neuralnetworkregressor__loss="mse"),  # for the next fit
    ]
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(frames, **asked)[1], expected)


class Stop(skorch.callbacks.Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_an_interrupted_training_ends_with_the_same_bits(loss, tmp_path):
    X, y = noisy(60)
    params = {"loss": loss, "max_epochs": 8, "ema": 0.9, "dropout": 0.1}
    whole = quick(**params).fit(X, y)
    path, often = tmp_path / "state", {"callbacks__checkpoint__seconds": 0}
    broken = quick(**params, checkpoint=path)
    broken.set_params(net_params=often | {"callbacks": [Stop(5)]})
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, y)
    resumed = quick(**params, checkpoint=path, net_params=often).fit(X, y)
    assert same_bits(resumed, whole)
    assert resumed.history_["valid_loss"] == whole.history_["valid_loss"]


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_structures_of_weight_zero_are_left_out(loss):
    X, y = noisy(40)
    wild = np.r_[y, 1e3 * np.ones(10)]
    rows, counts = np.r_[X, X[:10]], np.r_[np.ones(40), np.zeros(10)]
    validation = np.arange(5)
    weighted = quick(loss=loss).fit(rows, wild, counts, validation=validation)
    alone = quick(loss=loss).fit(X, y, validation=validation)
    # sums over more rows are rounded elsewhere
    np.testing.assert_allclose(weighted.predict(X), alone.predict(X), rtol=1e-6)


def test_weights_count_in_the_variance():
    rng = np.random.default_rng(0)
    X = np.zeros((200, 1))
    y = np.where(np.arange(200) % 2, 0.1, 2.0) * rng.normal(size=200)
    heavy = np.where(np.arange(200) % 2, 100.0, 1.0)
    fits = [
        quick(loss="gaussian_nll", lr=0.05, max_epochs=60, batch_size=50).fit(X, y, w)
        for w in (None, heavy)
    ]
    even, uneven = (m.predict(X[:1], return_std=True)[1][0] for m in fits)
    assert 1.2 < even < 1.7  # root mean square of both kinds
    assert uneven < 0.4 * even


def test_training_goes_on_with_the_same_distribution_only():
    X, y = noisy(40)
    model = quick(loss="gaussian_nll", warm_start=True).fit(X, y)
    before = weights(model)
    model.fit(X, y)
    assert not all(map(np.array_equal, weights(model), before))
    model.partial_fit(X, y)
    message = r"'mse' trains its predictions alone, but .* was built for a variance"
    model.set_params(loss="mse")
    for going_on in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            going_on(X, y)
    plain = quick(warm_start=True).fit(X, y).set_params(loss="quantile")
    with pytest.raises(ValueError, match=r"quantiles \(0.05, 0.5, 0.95\), but the"):
        plain.fit(X, y)


def test_losses_below_zero_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    X, y = noisy(60)
    model = quick(loss="gaussian_nll", nll_beta=0.0, lr=2e-2, max_epochs=30)
    model.set_params(log_to=tmp_path / "loss.svg").fit(X, y)
    assert min(model.history_["valid_loss"]) < 0
    assert (tmp_path / "loss.svg").stat().st_size > 1000


# -- refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"quantiles": (0.5, 0.05)}, r"quantiles is \(0.5, 0.05\): give ascending"),
        ({"quantiles": (0.05, 0.95)}, "with the median 0.5"),
        ({"quantiles": (0.0, 0.5)}, "numbers between 0 and 1"),
        ({"quantiles": (0.5, 0.5)}, "give ascending"),
        ({"quantiles": ("0.1", 0.5)}, "give ascending numbers"),
        (
            {"target": "dipole"},
            "kind 'sum' or 'mean', and 'dipole' is of kind 'vector'",
        ),
        ({"target": "atoms"}, "loss='quantile' adds up the spreads"),
        (
            {"loss": "gaussian_nll", "optimizer": "lbfgs"},
            "set nll_beta, now 0.5, to 0",
        ),
    ],
)
def test_what_makes_no_distribution_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**({"loss": "quantile"} | params)).fit(*noisy(20))


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_distributions_of_several_targets_are_refused(loss):
    X, y = noisy(20)
    with pytest.raises(ValueError, match="y has 2 columns, but loss="):
        quick(loss=loss).fit(X, np.c_[y, y])


def test_a_network_says_what_it_does_not_know():
    X, y = noisy(20)
    plain = quick(max_epochs=1).fit(X, y)
    for method in (plain.predict, plain.predict_atoms):
        with pytest.raises(NoStandardDeviationError, match="loss='gaussian_nll'"):
            method(X, return_std=True)
    with pytest.raises(ValueError, match="knows no quantiles: train with"):
        plain.predict(X, return_quantiles=True)
    quantiles = quick(max_epochs=1, loss="quantile").fit(X, y)
    with pytest.raises(NoStandardDeviationError, match=r"trained for quantiles \(0.05"):
        quantiles.predict(X, return_std=True)


def test_lbfgs_finds_mean_and_variance():
    rng = np.random.default_rng(0)
    X = np.zeros((400, 1))
    y = 3.0 + 0.5 * rng.normal(size=400)
    model = quick(loss="gaussian_nll", nll_beta=0.0, optimizer="lbfgs", max_epochs=3)
    mean, std = model.fit(X, y, validation=[0]).predict(X[:1], return_std=True)
    assert mean[0] == pytest.approx(y[1:].mean(), abs=1e-3)
    assert std[0] == pytest.approx(y[1:].std(), rel=1e-2)


# -- networks on structures ------------------------------------------------------------


def test_schnet_learns_energies_forces_and_a_variance():
    frames, y = bonds(60)
    model = SchNetRegressor(
        n_features=8, n_interactions=1, n_basis=8, r_cut=3.0, loss="gaussian_nll",
        max_epochs=40, lr=2e-2, random_state=0,
    ).fit(frames, y)  # fmt: skip
    new, _ = bonds(60, seed=1)
    y_pred, std = model.predict(new, return_std=True)
    assert std.dtype == np.float64
    assert (std > 0).all()
    assert spearmanr(std, lengths(new)).statistic > 0.7
    found = evaluate(model, new, forces=False, atomic=True, std=True)
    np.testing.assert_array_equal(found.energy_std, std)
    sums = [np.sqrt(np.sum(one**2)) for one in found.atomic_energy_std]
    np.testing.assert_allclose(sums, std, rtol=1e-10)
    energies, of_atoms = model.predict_atomic_energies(new, return_std=True)
    np.testing.assert_allclose([e.sum() for e in energies], y_pred, rtol=1e-10)
    np.testing.assert_array_equal(of_atoms[3], found.atomic_energy_std[3])
    forces = np.concatenate(model.predict_forces(new))
    exact = np.concatenate([a.calc.results["forces"] for a in new])
    assert np.abs(forces - exact).mean() < 0.3 * np.abs(exact).mean()
    with pytest.raises(NoStandardDeviationError, match="gives no forces_std"):
        predict_forces(model, new, return_std=True)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(new, return_std=True)[1], std)


def test_schnet_learns_quantiles():
    frames, y = bonds(30)
    model = SchNetRegressor(
        n_features=6, n_interactions=1, n_basis=6, r_cut=3.0, loss="quantile",
        max_epochs=5, random_state=0,
    ).fit(frames, y)  # fmt: skip
    median, quantiles = model.predict(frames, return_quantiles=True)
    assert (np.diff(quantiles, axis=1) > 0).all()
    np.testing.assert_array_equal(median, quantiles[:, 1])
    assert model.predict([], return_quantiles=True)[1].shape == (0, 3)


class OneNumber(torch.nn.Module):
    """A module that does not look at n_outputs."""

    def __init__(self, r_cut, numbers, n_outputs, seed):
        super().__init__()
        self.depth = torch.nn.Parameter(torch.ones(1))

    def forward(self, batch):
        r = batch.distances()
        return self.depth * batch.pairs.scatter(r, r)


def test_a_module_with_too_few_outputs_is_refused():
    frames, y = bonds(6)
    model = MessagePassingRegressor(OneNumber, loss="gaussian_nll", max_epochs=1)
    with pytest.raises(ValueError, match=r"gives 1 numbers an atom, .* needs 2"):
        model.fit(frames, y)


# -- what takes standard deviations and quantiles --------------------------------------


def test_ensembles_add_the_variances_of_their_members():
    """Law of total variance."""
    X, y = noisy(60)
    model = EnsembleRegressor(
        quick(loss="gaussian_nll"), 3, diversity="seeds", member_std=True
    ).fit(X, y)
    means, stds = zip(*(m.predict(X, return_std=True) for m in model.estimators_))
    expected = np.var(means, axis=0, ddof=1) + np.mean(np.square(stds), axis=0)
    y_pred, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(expected), rtol=1e-10)
    np.testing.assert_allclose(y_pred, np.mean(means, axis=0), rtol=1e-12)


def test_error_bars_reach_intervals_calibration_and_the_calculator():
    frames, y = bonds(60)
    base = pipeline(loss="gaussian_nll", lr=1e-2, max_epochs=20, batch_size=20)
    conformal = ConformalRegressor(base, conformity_score="std", random_state=0)
    new, _ = bonds(40, seed=1)
    _, intervals = conformal.fit(frames, y).predict_interval(new)
    std = conformal.estimator_.predict(new, return_std=True)[1]
    np.testing.assert_allclose(
        np.diff(intervals, axis=1)[:, 0] / std, np.ptp(intervals[0]) / std[0], rtol=0.5
    )
    calibrated = CalibratedStdRegressor(base, random_state=0).fit(frames, y)
    fitted = calibrated.estimator_
    ratio = (
        calibrated.predict(new, return_std=True)[1]
        / fitted.predict(new, return_std=True)[1]
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    atoms = new[0].copy()
    atoms.calc = SkatomCalculator(fitted)
    assert atoms.calc.get_property("energy_std", atoms) == pytest.approx(
        fitted.predict(new[:1], return_std=True)[1][0], rel=1e-10
    )


def test_the_weight_of_likelihoods_is_searched_by_error_bars():
    frames, y = bonds(40)
    search = GridSearchCV(
        pipeline(loss="gaussian_nll", max_epochs=3),
        {"neuralnetworkregressor__nll_beta": [0.0, 1.0]},
        scoring=neg_energy_crps,
        cv=2,
    ).fit(frames, y)
    scores = search.cv_results_["mean_test_score"]
    assert (scores < 0).all()
    assert scores[0] != scores[1]
    std = search.best_estimator_.predict(frames, return_std=True)[1]
    assert (std > 0).all()


def test_conformalised_quantiles_come_from_one_network():
    frames, y = bonds(120)
    base = pipeline(loss="quantile", lr=1e-2, max_epochs=30, batch_size=20)
    model = QuantileConformalRegressor(
        base, confidence_level=0.8, forces=None, random_state=0
    ).fit(frames, y)
    (one,) = model.calibration_.models.fits
    assert one is model.estimator_
    assert one[-1].quantiles == pytest.approx((0.1, 0.5, 0.9))
    held_out = [frames[k] for k in model.calibration_indices_]
    _, quantiles = one.predict(held_out, return_quantiles=True)
    outside = np.maximum(
        quantiles[:, 0] - y[model.calibration_indices_],
        y[model.calibration_indices_] - quantiles[:, 2],
    )
    q = np.sort(outside)[int(np.ceil(0.8 * 25)) - 1]  # of 24
    new, y_new = bonds(200, seed=1)
    y_pred, intervals = model.predict_interval(new)
    median, quantiles = one.predict(new, return_quantiles=True)
    expected = np.sort(quantiles[:, [0, 2]] + [-q, q], axis=1)
    np.testing.assert_allclose(intervals, expected, rtol=1e-12)
    np.testing.assert_array_equal(y_pred, median)
    inside = (intervals[:, 0] <= y_new) & (y_new <= intervals[:, 1])
    assert 0.65 < inside.mean() < 0.95  # 24 structures leave 0.08
    assert spearmanr(np.ptp(intervals, axis=1), lengths(new)).statistic > 0.8
    around = model.interval_around(y_pred, X=new)
    np.testing.assert_array_equal(around, intervals)


@pytest.mark.peer
def test_conformalised_quantiles_equal_those_of_mapie():
    mapie = pytest.importorskip("mapie.regression")
    X, y = noisy(300)
    model = QuantileConformalRegressor(
        quick(loss="quantile", max_epochs=10), random_state=0
    ).fit(X, y)
    fitted, held_out = model.estimator_, model.calibration_indices_
    peer = mapie.ConformalizedQuantileRegressor(
        [Column(fitted, k) for k in (0, 2, 1)], 0.9, prefit=True
    ).conformalize(X[held_out], y[held_out])
    new = noisy(50, seed=1)[0]
    _, expected = peer.predict_interval(new, symmetric_correction=True)
    found = model.predict_interval(new)[1]
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-10)


class Column:
    """One quantile of a fitted network, as MAPIE wants them: lower, upper, median."""

    def __init__(self, model, k):
        self.model, self.k = model, k
        self.n_features_in_ = model.n_features_in_

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.model.predict(X, return_quantiles=True)[1][:, self.k]

    def __sklearn_is_fitted__(self):
        return True

"""Architectures and targets of NeuralNetworkRegressor."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import pickle

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import rattled
from radial import RadialSums
from sklearn.model_selection import cross_val_score

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skatom.features import NoDerivativeError
from skatom.models import NeuralNetworkRegressor


def molecules(n=16):
    names = ("H2O", "CH4", "CO2", "NH3")
    return [rattled(molecule(names[s % 4]), seed=s, stdev=0.1) for s in range(n)]


def features(frames):
    return RadialSums().fit(frames).transform(frames)


def charges_of(frames):
    """Charges that follow from the element and the nearest neighbour."""
    found = []
    for atoms in frames:
        d = atoms.get_all_distances() + 10 * np.eye(len(atoms))
        q = np.where(atoms.numbers == 1, 0.3, -0.2) + 0.1 * (d.min(axis=1) - 1.1)
        found.append(q - q.mean())
    return found


def dipoles_of(frames):
    return np.array([q @ a.positions for q, a in zip(charges_of(frames), frames)])


def quick(**params):
    settings = {
        "hidden_layers": (12, 12), "max_epochs": 40, "random_state": 0, "lr": 1e-2,
        "forces": None, "validation_fraction": 0.0, "batch_size": 4,
        "lr_schedule": "cosine",
    }  # fmt: skip
    return NeuralNetworkRegressor(**(settings | params))


def energies(frames):
    return np.array([np.sum(a.get_all_distances() ** 2) - 10 * len(a) for a in frames])


def slope_by_differences(model, X, atom, column, step=1e-5):
    ends = []
    for sign in (1, -1):
        moved = X[:]
        moved.values[atom, column] += sign * step
        ends.append(model.predict(moved).sum())
    return (ends[0] - ends[1]) / (2 * step)


ARCHITECTURES = [
    {"networks": "single"},
    {"networks": "trunk"},
    {"residual": True},
    {"batch_norm": True},
    {"dropout": 0.2},
    {"initialization": "kaiming", "activation": "silu"},
    {"activation": ["tanh", "gelu"]},
    {"networks": "trunk", "hidden_layers": ()},
    {"target": "mean", "networks": "single"},
]


@pytest.mark.parametrize("params", ARCHITECTURES, ids=str)
def test_every_architecture_learns_is_differentiable_and_survives_pickling(params):
    frames = molecules()
    X, y = features(frames), energies(frames)
    model = quick(max_epochs=20, **params).fit(X, y)
    losses = model.history_["train_loss"]
    assert losses[-1] < 0.8 * losses[0]
    slopes = model.feature_gradient(X)
    for atom, column in ((0, 0), (4, 2)):
        # error of central differences of numbers of a thousand eV
        assert slopes[atom, column] == pytest.approx(
            slope_by_differences(model, X, atom, column), rel=1e-5, abs=1e-5
        )
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    parts = np.add.reduceat(model.predict_atoms(X), X.offsets[:-1])
    np.testing.assert_allclose(parts, model.predict(X), rtol=1e-12)


def test_size_of_a_single_network_does_not_grow_with_the_number_of_elements():
    frames = molecules()
    few, many = [a for a in frames if str(a.symbols) == "OH2"], frames
    step = RadialSums().fit(many)

    def size(kind, f):
        model = quick(networks=kind, max_epochs=1).fit(step.transform(f), energies(f))
        return sum(p.numel() for p in model.net_.module_.parameters())

    kinds = ("single", "trunk", "per_element")
    sizes = {kind: [size(kind, f) for f in (few, many)] for kind in kinds}
    assert sizes["single"][0] == sizes["single"][1]
    assert sizes["trunk"][1] - sizes["trunk"][0] == 2 * (12 + 1)
    assert sizes["per_element"][1] == 2 * sizes["per_element"][0]


def test_a_single_network_tells_elements_apart_only_by_features():
    frames = molecules()
    X, y = features(frames), energies(frames)
    model = quick(networks="single").fit(X, y)
    assert model.feature_means_.shape == (1, X.values.shape[1])
    swapped = X[:]
    swapped.numbers = swapped.numbers.copy()
    swapped.numbers[X.numbers == 7] = 6
    rise = model.predict_atoms(swapped) - model.predict_atoms(X)
    base = dict(zip(model.numbers_, model.baseline_))
    np.testing.assert_allclose(rise[X.numbers == 7], base[6] - base[7], rtol=1e-10)


def test_latent_of_a_trunk_has_columns_for_every_head():
    X, y = features(molecules()), energies(molecules())
    model = quick(networks="trunk").fit(X, y)
    latent, element = model.latent(X), np.searchsorted(model.numbers_, X.numbers)
    heads = model.net_.module_.heads
    weight = np.concatenate([h.weight.detach().numpy()[0] for h in heads])
    bias = np.concatenate([h.bias.detach().numpy() for h in heads])
    np.testing.assert_allclose(
        model.baseline_[element] + model.scale_ * (latent @ weight + bias[element]),
        model.predict_atoms(X),
        rtol=1e-12,
    )
    single = quick(networks="single").fit(X, y)
    assert single.latent(X).shape == (len(X.values), 12)


def test_batch_normalisation_centres_the_atoms_of_a_batch():
    X, y = features(molecules()), energies(molecules())
    module = quick(batch_norm=True, max_epochs=1).fit(X, y).net_.module_
    norm = module.stacks[0][0].norm.train()
    x = torch.arange(24.0, dtype=torch.float64).reshape(2, 12) ** 2
    centred = (norm(x) - norm.bias) / norm.weight
    assert centred.mean(0).abs().max() < 1e-12
    before = norm.running_mean.clone()
    norm(x[:1])  # one atom has no spread: the running statistics stand in
    assert torch.equal(norm.running_mean, before)


def test_dropout_draws_again_only_when_asked_to():
    X, y = features(molecules()), energies(molecules())
    model = quick(dropout=0.3).fit(X, y)
    assert np.array_equal(model.predict(X), model.predict(X))
    samples = model.sample_atoms(X, n_samples=200, random_state=0)
    assert samples.shape == (200, len(X.values))
    assert samples.std(axis=0).min() > 0
    again = model.sample_atoms(X, n_samples=200, random_state=0)
    assert np.array_equal(samples, again)
    drop = model.net_.module_.stacks[0][0].dropout.train()
    kept = drop(torch.ones(20000))
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    # 4 standard deviations of 20000 draws
    assert kept.mean().item() == pytest.approx(1.0, abs=0.02)


def test_dropout_leaves_the_global_generator_alone():
    X, y = features(molecules()), energies(molecules())
    before = torch.get_rng_state()
    quick(dropout=0.3, max_epochs=2).fit(X, y).sample_atoms(X, 2)
    assert torch.equal(torch.get_rng_state(), before)


# -- outputs ---------------------------------------------------------------------------


def test_intensive_targets_do_not_grow_when_a_crystal_is_repeated():
    frames = [rattled(bulk("Cu", cubic=True), seed=s) for s in range(8)]
    y = np.array([a.get_all_distances(mic=True).mean() for a in frames])
    step = RadialSums().fit(frames)
    model = quick(target="mean").fit(step.transform(frames), y)
    repeated = [a.repeat((2, 1, 1)) for a in frames]
    np.testing.assert_allclose(
        model.predict(step.transform(repeated)),
        model.predict(step.transform(frames)),
        rtol=1e-9,
    )


def test_baseline_of_intensive_targets_is_a_mean_over_atoms():
    frames = molecules()
    mean = np.array([np.mean(a.numbers) for a in frames])
    model = quick(target="mean", max_epochs=1).fit(features(frames), mean)
    np.testing.assert_allclose(model.predict(features(frames)), mean, rtol=1e-9)


def test_several_targets_have_baselines_and_scales_of_their_own():
    frames = molecules()
    X = features(frames)
    y = np.column_stack([energies(frames), 1000 * energies(frames) + 5, np.ones(16)])
    model = quick().fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.baseline_.shape == (4, 3)
    assert model.scale_[1] == pytest.approx(1000 * model.scale_[0], rel=1e-6)
    assert np.abs(model.predict(X) - y)[:, 0].mean() < 0.5 * y[:, 0].std()
    with pytest.raises(NoDerivativeError, match="3 columns: there is no single number"):
        model.feature_gradient(X)
    with pytest.raises(
        ValueError, match="y has 1 columns, but the network that goes on"
    ):
        model.set_params(warm_start=True).fit(X, y[:, 0])


def test_dipole_moments_are_learned_from_charges_that_are_conserved():
    frames = molecules(40)
    X, mu = features(frames), dipoles_of(frames)
    model = quick(target="dipole", max_epochs=60, lr=2e-2).fit(X[:32], mu[:32])
    assert model.score(X[32:], mu[32:]) > 0.9
    charges = model.predict_atoms(X)
    assert np.abs(np.add.reduceat(charges, X.offsets[:-1])).max() < 1e-12
    first = charges[: len(frames[0])] @ frames[0].positions
    np.testing.assert_allclose(model.predict(X)[0], first, rtol=1e-10)
    turned = [a.copy() for a in frames]
    for atoms in turned:
        atoms.rotate(90, "z")
        atoms.positions += 3.0
    moments = model.predict(X)
    np.testing.assert_allclose(
        model.predict(features(turned)),
        np.column_stack([-moments[:, 1], moments[:, 0], moments[:, 2]]),
        atol=1e-8,
    )


def test_charged_molecules_keep_their_charge():
    frames = molecules()
    for atoms in frames[::2]:
        atoms.info["charge"] = -1.0
    X = features(frames)  # no warning: dipole moments use the charge
    model = quick(target="dipole", max_epochs=1).fit(X, dipoles_of(frames))
    sums = np.add.reduceat(model.predict_atoms(X), X.offsets[:-1])
    np.testing.assert_allclose(sums, [-1.0, 0.0] * 8, atol=1e-12)


def test_lengths_of_dipole_moments_are_learned():
    frames = molecules(40)
    X, mu = features(frames), np.linalg.norm(dipoles_of(frames), axis=1)
    model = quick(target="dipole_magnitude", max_epochs=60, lr=2e-2).fit(
        X[:32], mu[:32]
    )
    assert model.predict(X).shape == (40,)
    assert model.score(X[32:], mu[32:]) > 0.8


def test_charges_of_atoms_are_learned():
    frames = molecules(24)
    X, q = features(frames), charges_of(frames)
    model = quick(target="atoms", max_epochs=50, lr=2e-2).fit(X[:16], q[:16])
    predicted = model.predict(X)
    assert [len(p) for p in predicted] == [len(a) for a in frames]
    flat = model.predict_atoms(X)
    assert np.array_equal(np.concatenate(predicted), flat)
    assert model.score(X[16:], q[16:]) > 0.9
    mean = np.mean(np.concatenate(q[:16])[X[:16].numbers == 1])
    assert model.baseline_[0] == pytest.approx(mean)
    assert np.isfinite(cross_val_score(quick(target="atoms"), X, q, cv=2)).all()


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({"target": "dipole"}, np.zeros(4), r"needs one vector a structure, shape \(4, 3"),
        ({"target": "dipole_magnitude"}, -np.ones(4), "y is negative at structures 0"),
        ({"target": "atoms"}, None, "y is None: give one array of numbers"),
        ({"target": "atoms"}, [np.zeros(2)] * 4, "y of structure 0 has shape"),
        ({"target": "atoms"}, [np.full(3, np.nan)] * 4, "y of structure 0 contains NaN"),
        ({"activation": ["tanh"]}, np.zeros(4), "one for each of the 2 hidden layers"),
        ({"activation": ["tanh", "rely"]}, np.zeros(4), "'rely', which is none of"),
        ({"frozen_layers": 3}, np.zeros(4), "frozen_layers is 3, but there are 2"),
    ],
)  # fmt: skip
def test_targets_and_layers_that_do_not_fit_are_refused(params, y, message):
    X = features([rattled(molecule("H2O"), seed=s) for s in range(4)])
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X, y)


def test_dipoles_of_crystals_and_of_plain_rows_are_refused():
    with pytest.raises(ValueError, match="Structures 0, 1 are periodic"):
        quick(target="dipole").fit(features([bulk("Cu")] * 2), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="needs the positions of the atoms"):
        quick(target="dipole").fit(np.eye(4), np.zeros((4, 3)))


def test_forces_of_anything_but_one_energy_are_refused():
    frames = molecules(4)
    forces = [np.zeros((len(a), 3)) for a in frames]
    with pytest.raises(ValueError, match="belong to one energy"):
        quick(target="mean").fit(features(frames), np.arange(4.0), forces=forces)

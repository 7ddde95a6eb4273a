"""NeuralNetworkRegressor on structures: baseline, forces, stress, missing labels."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skatom.features import AtomFeatures, hstack
from skatom.models import NeuralNetworkRegressor
from skatom.preprocessing import PerAtom
from skatom.structures import Structures, read_energies

WATERS = 12


def molecules(n=WATERS):
    """Water and hydroxyl with the forces of springs, in units far from one."""
    frames = []
    for s in range(n):
        atoms = rattled(molecule("H2O" if s % 3 else "OH"), seed=s, stdev=0.1)
        ideal = {"H2O": 0.97, "HO": 0.98}[atoms.get_chemical_formula()]
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        for h in np.flatnonzero(atoms.numbers == 1):
            o = int(np.flatnonzero(atoms.numbers == 8)[0])
            d = atoms.positions[h] - atoms.positions[o]
            r = np.linalg.norm(d)
            energy += 15.0 * (r - ideal) ** 2
            pull = 30.0 * (r - ideal) * d / r
            forces[h] -= pull
            forces[o] += pull
        energy += -2000.0 - 13.0 * np.sum(atoms.numbers == 1)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    return frames


def crystals(n=6):
    return [
        labelled(rattled(bulk("Cu", cubic=True, a=3.5 + 0.05 * s), seed=s), stress=True)
        for s in range(n)
    ]


def features(frames):
    return RadialSums().fit(frames).transform(frames)


def quick(**params):
    settings = {"hidden_layers": (12,), "max_epochs": 5, "random_state": 0}
    return NeuralNetworkRegressor(**(settings | params))


def weights(model):
    return [p.detach().numpy() for p in model.net_.module_.parameters()]


def data_of(model, X, y, forces=None):
    return model._data(X, y, None, forces, None, fresh=False)


def forces_of(model, X):
    return X.pairs.forces(X.pullback(model.feature_gradient(X)))


def test_energies_and_forces_of_springs_are_learned():
    train, test = molecules(60), molecules(75)[60:]
    step = RadialSums(etas=(0.1, 0.5, 2.0, 8.0)).fit(train)
    scale = PerAtom(StandardScaler()).fit(step.transform(train))
    X, Y = (scale.transform(step.transform(f)) for f in (train, test))
    model = quick(
        hidden_layers=(32, 32),
        max_epochs=120,
        optimizer="layerwise_adam",
        lr_schedule="cosine",
    ).fit(X, read_energies(train))
    truth = np.concatenate([a.calc.results["forces"] for a in test])
    error = np.abs(forces_of(model, Y) - truth).mean()
    assert error < 0.1 * np.abs(truth).mean()
    y = read_energies(test)
    left = y - [molecules(2)[len(a) - 2].calc.results["energy"] for a in test]
    assert np.abs(model.predict(Y) - y).mean() < 0.2 * left.std()


def test_atomic_energies_sum_to_energies_and_contain_the_baseline():
    frames = molecules()
    X = features(frames)
    model = quick().fit(X, read_energies(frames))
    atoms = model.predict_atoms(X)
    np.testing.assert_allclose(
        np.add.reduceat(atoms, X.offsets[:-1]), model.predict(X), rtol=1e-14
    )
    assert model.baseline_.shape == (2,)
    assert np.abs(model.predict(X) - read_energies(frames)).max() < 20.0  # of -2000 eV


@pytest.mark.parametrize("stress", [None, "auto"])
def test_stored_and_recomputed_derivatives_train_to_the_same_weights(stress):
    frames = crystals()
    X, y = features(frames), read_energies(frames)
    models = [
        quick(cache_size=size, dtype="float64", stress=stress, batch_size=2).fit(X, y)
        for size in (500, 0)
    ]
    for stored, recomputed in zip(*map(weights, models)):
        # the two sum pairs in another order; Adam divides by small numbers
        np.testing.assert_allclose(stored, recomputed, rtol=1e-7, atol=1e-10)


def test_gradient_of_the_loss_is_that_of_central_differences():
    """Through forces and virials: the derivative of a derivative."""
    frames = crystals(3)
    X, y = features(frames), read_energies(frames)
    model = quick(
        dtype="float64", stress="auto", max_epochs=1, validation_fraction=0.0,
        hidden_layers=(3,), stress_weight=0.7,
    ).fit(X, y)  # fmt: skip
    data = data_of(model, X, y)
    batch, targets = data.batch(np.array([2, 0]), "cpu")
    net = model.net_
    net.module_.train()

    def loss():
        return net.get_loss(net.infer(batch), targets)

    net.module_.zero_grad()
    loss().backward()
    step = 1e-5
    for parameter in net.module_.parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for k in range(0, len(flat), 3):
            ends = []
            for sign in (1, -1):
                flat[k] += sign * step
                ends.append(loss().item())
                flat[k] -= sign * step
            # error of a central difference in float64, in units of the loss
            assert slope[k].item() == pytest.approx(
                (ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8 * ends[0]
            )
    assert all(p.grad.abs().max() > 0 for p in list(net.module_.parameters())[:-1])


@pytest.mark.parametrize("cache_size", [500, 0])
def test_batch_forces_and_virials_are_those_of_the_features(cache_size):
    frames = crystals(4)
    X, y = features(frames), read_energies(frames)
    model = quick(dtype="float64", stress="auto", cache_size=cache_size).fit(X, y)
    data = data_of(model, X, y)
    chosen = np.array([3, 1])
    prediction = model.net_.infer(data.batch(chosen, "cpu")[0])
    gradient = X[chosen].pullback(model.feature_gradient(X[chosen]))
    pairs, scale = X[chosen].pairs, model.scale_
    np.testing.assert_allclose(
        scale * prediction.forces.detach(), pairs.forces(gradient), atol=1e-10
    )
    np.testing.assert_allclose(
        scale * prediction.virials.detach(),
        pairs.virial(gradient, X[chosen].offsets),
        atol=1e-10,
    )


def test_training_on_stress_lowers_its_error():
    frames = crystals(8)
    X, y = features(frames), read_energies(frames)
    truth = np.array([a.calc.results["stress"] for a in frames])

    def error(**params):
        model = quick(max_epochs=60, lr=3e-2, forces=None, **params).fit(X, y)
        virial = X.pairs.virial(X.pullback(model.feature_gradient(X)), X.offsets)
        volumes = np.array([a.get_volume() for a in frames])
        stress = virial.reshape(-1, 9)[:, [0, 4, 8, 5, 2, 1]] / volumes[:, None]
        return np.abs(stress - truth).mean()

    assert error(stress="auto", stress_weight=1.0) < 0.7 * error()


def test_structures_without_forces_are_trained_on_their_energy():
    frames = molecules()
    X, y = features(frames), read_energies(frames)
    forces = [None if s % 2 else a.calc.results["forces"] for s, a in enumerate(frames)]
    model = quick(forces=None).fit(X, y, forces=forces)
    targets = data_of(model, X, y, forces).batch(np.arange(len(y)), "cpu")[1]
    weighed = targets.force_weights.numpy() > 0
    assert np.array_equal(weighed, X.structure_index % 2 == 0)
    for s in range(1, len(frames), 2):
        frames[s].calc = SinglePointCalculator(frames[s], energy=y[s])
    again = quick().fit(features(frames), y)
    assert all(map(np.array_equal, weights(model), weights(again)))
    other = quick(forces=None).fit(X, y)
    assert not np.array_equal(weights(model)[0], weights(other)[0])


def test_predictions_do_not_read_labels():
    frames = molecules()
    step = RadialSums().fit(frames)
    model = quick().fit(step.transform(frames), read_energies(frames))
    bare = [a.copy() for a in frames]
    assert np.array_equal(
        model.predict(step.transform(bare)), model.predict(step.transform(frames))
    )


def test_one_structure_at_a_time_gives_the_same_predictions():
    X = features(molecules())
    model = quick().fit(X, read_energies(X.structures))
    alone = [model.predict(X[[s]])[0] for s in range(len(X))]
    # BLAS sums rows of different batches in different order
    np.testing.assert_allclose(alone, model.predict(X), rtol=1e-13)


def test_order_of_structures_in_a_batch_does_not_matter_to_the_loss():
    frames = molecules()
    X, y = features(frames), read_energies(frames)
    model = quick(dtype="float64").fit(X, y)
    data = data_of(model, X, y)
    losses = []
    for chosen in ([0, 1, 2, 3], [3, 1, 0, 2]):
        batch, targets = data.batch(np.array(chosen), "cpu")
        losses.append(model.net_.get_loss(model.net_.infer(batch), targets).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_epoch_loss_is_the_mean_over_structures_for_unequal_batches():
    frames = molecules(7)
    X, y = features(frames), read_energies(frames)
    losses = [
        quick(batch_size=b, lr=1e-12, max_epochs=1, dtype="float64").fit(X, y).history_
        for b in (3, 7)
    ]
    assert losses[0]["train_loss"] == pytest.approx(losses[1]["train_loss"], rel=1e-6)


def test_features_joined_from_two_featurizers_train_alike():
    frames = molecules()
    first = RadialSums(etas=(0.1, 0.5)).fit(frames).transform(frames)
    second = RadialSums(r_cut=3.0, etas=(2.0,)).fit(frames).transform(frames)
    X, y = hstack([first, second]), read_energies(frames)
    stored, recomputed = (
        quick(dtype="float64", cache_size=size).fit(X, y) for size in (500, 0)
    )
    for a, b in zip(weights(stored), weights(recomputed)):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)


@pytest.mark.filterwarnings("ignore::skatom.labels.LabelWarning")  # made-up forces
def test_columns_that_only_a_later_structure_moves_are_not_lost():
    """The first look meets O beyond the reach of H; a smaller structure has it near."""
    far = molecule("H2O") + molecule("H2O")
    far.positions[3:] += 50.0
    near = molecule("H2O")
    apart = [far, near]
    for s, atoms in enumerate(apart):
        if s == 0:
            atoms.positions[[0, 3]] += [0, 0, 20.0]  # take the oxygens away
        rng = np.random.default_rng(s)
        forces = rng.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-s, forces=forces)
    X, y = features(apart), read_energies(apart)
    stored, recomputed = (
        quick(dtype="float64", cache_size=size, validation_fraction=0).fit(X, y)
        for size in (500, 0)
    )
    for a, b in zip(weights(stored), weights(recomputed)):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)


def test_atoms_without_neighbours_have_no_forces_and_train():
    frames = [molecule("H"), molecule("O")] * 3
    for atoms in frames:
        atoms.calc = SinglePointCalculator(
            atoms, energy=-float(atoms.numbers[0]), forces=np.zeros((1, 3))
        )
    X, y = features(frames), read_energies(frames)
    np.testing.assert_allclose(quick().fit(X, y).predict(X), y, atol=1e-12)


def test_pipeline_with_a_scaler_predicts_the_derivative_of_its_energy():
    frames = molecules()
    step = RadialSums().fit(frames)
    scale = PerAtom(StandardScaler(), by_species=True).fit(step.transform(frames))
    model = quick().fit(scale.transform(step.transform(frames)), read_energies(frames))
    pipe = make_pipeline(step, scale, model)
    X = scale.transform(step.transform(frames[1:2]))
    forces, h = forces_of(model, X), 1e-5
    for axis in range(3):
        ends = []
        for sign in (1, -1):
            moved = frames[1].copy()
            moved.positions[0, axis] += sign * h
            ends.append(pipe.predict([moved])[0])
        # energies of 2000 eV in float64 leave 1e-12 / 1e-5
        slope = -(ends[0] - ends[1]) / (2 * h)
        assert forces[0, axis] == pytest.approx(slope, abs=1e-6)


def test_rescaled_energies_with_forces_are_refused():
    frames = molecules()
    y = read_energies(frames)
    with pytest.raises(ValueError, match="times the energies stored"):
        quick().fit(features(frames), (y - y.mean()) / y.std())
    quick(forces=None).fit(features(frames), (y - y.mean()) / y.std())


def test_forces_for_plain_rows_are_refused():
    with pytest.raises(ValueError, match="forces cannot be trained on plain numbers"):
        quick().fit(np.eye(3), np.arange(3.0), forces=[np.zeros((1, 3))] * 3)


def test_forces_without_a_featurizer_behind_the_features_are_refused():
    frames = molecules(4)
    X = features(frames)
    bare = AtomFeatures(X.values, X.offsets, X.numbers, Structures(frames), None)
    with pytest.raises(ValueError, match="they have no derivatives"):
        quick().fit(bare, read_energies(frames))


def test_warm_start_with_a_new_element_is_refused():
    frames = molecules()
    step = RadialSums(species=["H", "O", "C"]).fit(frames)
    model = quick(warm_start=True, forces=None)
    model.fit(step.transform(frames), read_energies(frames))
    with pytest.raises(ValueError, match="is C, but NeuralNetworkRegressor knows"):
        model.fit(step.transform([molecule("CH4")] * 3), np.zeros(3))


@pytest.mark.parametrize("hidden_layers", [(12, 5), ()])
def test_one_linear_head_over_latent_columns_gives_the_atomic_energies(hidden_layers):
    frames = molecules()
    X = features(frames)
    model = quick(hidden_layers=hidden_layers).fit(X, read_energies(frames))
    latent, elements = model.latent(X), np.searchsorted(model.numbers_, X.numbers)
    heads = model.net_.module_.heads
    weight = np.concatenate([h.weight.detach().numpy()[0] for h in heads])
    bias = np.concatenate([h.bias.detach().numpy() for h in heads])
    energies = model.baseline_[elements] + model.scale_ * (
        latent @ weight + bias[elements]
    )
    np.testing.assert_allclose(energies, model.predict_atoms(X), rtol=1e-13)
    width = len(weight) // 2
    assert np.abs(latent[elements == 0][:, width:]).max() == 0.0
    assert np.ptp(latent[elements == 0][:, :width], axis=0).max() > 0.0

"""Several targets in one network: energies, forces, dipole moments and charges."""

import pickle
import warnings

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.base import clone

torch = pytest.importorskip("torch")

from skatom.base import Target, target_of  # noqa: E402
from skatom.base._targets import as_targets  # noqa: E402
from skatom.featurizers import ACSF  # noqa: E402
from skatom.models import NeuralNetworkRegressor, SchNetRegressor  # noqa: E402
from skatom.models._message_passing.graph_data import GraphData  # noqa: E402
from skatom.neighbors import neighbor_pairs  # noqa: E402
from skatom.persistence import load, save  # noqa: E402
from skatom.potential import DeltaRegressor, evaluate, make_potential  # noqa: E402
from skatom.structures import Structures, read_energies  # noqa: E402
from skatom.structures._samples import with_labels  # noqa: E402
from skatom.testing._matrix.case import require_forces_of  # noqa: E402
from skatom.uncertainty import ConformalRegressor, EnsembleRegressor  # noqa: E402

# energies do not see the charges of ions, and the networks say so
pytestmark = pytest.mark.filterwarnings("ignore:.*is ignored")

ALL = ["energy", "dipole", "charges"]
IN_E = {1: 0.2, 6: 0.1, 7: -0.6, 8: -0.4}


def molecules(n=10, ions=True):
    frames = [molecule(("H2O", "NH3", "H2CO")[k % 3]) for k in range(n)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
        charges = np.array([IN_E[z] for z in atoms.numbers])
        charges += (ions * (k % 2) - charges.sum()) / len(atoms)
        atoms.info["charge"] = ions * (k % 2)
        from_centre = atoms.positions - atoms.get_center_of_mass()
        atoms.arrays["charges"] = charges
        atoms.info["dipole"] = charges @ from_centre
    return with_labels(frames)


FRAMES = molecules()
Y = read_energies(FRAMES)
SMALL = {"random_state": 0, "validation_fraction": 0.0, "dtype": "float64"}


def behind_features(target, **params):
    params = {"max_epochs": 3} | SMALL | params
    return make_potential(
        ACSF(4.0, n_radial=4, g4=None),
        NeuralNetworkRegressor((6,), target=target, **params),
    )


def on_structures(target, **params):
    params = {"max_epochs": 3, "n_features": 4, "n_interactions": 1} | SMALL | params
    return SchNetRegressor(r_cut=3.0, n_basis=4, target=target, **params)


NETWORKS = {"of features": behind_features, "of structures": on_structures}


@pytest.fixture(scope="module", params=NETWORKS)
def fitted(request):
    return NETWORKS[request.param](ALL).fit(FRAMES, Y)


def test_every_target_is_learned():
    frames = molecules(ions=False)  # geometries do not tell charges of ions
    model = behind_features(ALL, max_epochs=40, lr=0.02).fit(frames, Y)
    found = evaluate(model, frames)
    labels = {
        "dipole": np.array([a.info["dipole"] for a in frames]),
        "charges": np.concatenate([a.arrays["charges"] for a in frames]),
        "forces": np.concatenate([a.get_forces() for a in frames]),
    }
    predicted = {
        "dipole": found.properties["dipole"],
        "charges": np.concatenate(found.properties["charges"]),
        "forces": np.concatenate(found.forces),
    }
    for name, expected in labels.items():
        error = np.abs(predicted[name] - expected).mean()
        assert error < 0.5 * np.abs(expected - expected.mean(0)).mean(), name


def test_predict_gives_the_first_and_evaluate_all(fitted):
    found = evaluate(fitted, FRAMES, stress=False)
    assert target_of(fitted).name == "energy"
    np.testing.assert_allclose(fitted.predict(FRAMES), found.energies, rtol=1e-12)
    assert set(found.properties) == set(ALL)
    assert found.properties["dipole"].shape == (10, 3)
    assert [len(q) for q in found.properties["charges"]] == [len(a) for a in FRAMES]
    again = fitted.predict_targets(FRAMES)
    np.testing.assert_allclose(again["dipole"], found.properties["dipole"], rtol=1e-12)
    require_forces_of(fitted, Structures(FRAMES))


def test_moments_are_those_of_charges_that_add_up(fitted):
    """Moved by 1 Å, ions that are measured from there have a moment more: not ours."""
    moved = [a.copy() for a in FRAMES]
    for atoms in moved:
        atoms.translate([1.0, -2.0, 3.0])
    one, other = (evaluate(fitted, X).properties["dipole"] for X in (FRAMES, moved))
    np.testing.assert_allclose(one, other, atol=1e-10)
    turned = [a.copy() for a in FRAMES]
    for atoms in turned:
        atoms.rotate(90, "z")
    other = evaluate(fitted, turned).properties["dipole"]
    np.testing.assert_allclose(other[:, 0], -one[:, 1], atol=1e-8)


def test_training_sees_what_prediction_gives():
    model = on_structures(["energy", "dipole", Target("mean charge", "e", "atoms")])
    frames = [a.copy() for a in FRAMES]
    for atoms in frames:
        atoms.arrays["mean charge"] = atoms.arrays["charges"]
    model.fit(frames, Y)
    X = Structures(frames)
    goals = model._goals(X, Y, None, None, None, fresh=False)
    pairs = neighbor_pairs(X, 3.0)
    batch, targets = GraphData(pairs, goals, "float64").batch(np.arange(10), "cpu")
    found = model.net_.reading(model.net_.module_, batch)
    predicted = model.predict_targets(frames)
    for values, other, head in zip(found.further, targets.further, model._heads[1:]):
        expected = predicted[head.target.name]
        flat = np.concatenate(expected) if head.target.per_atom else expected
        labels = [a.arrays.get(head.target.name, a.info.get("dipole")) for a in frames]
        labels = np.concatenate(labels) if head.target.per_atom else np.array(labels)
        errors = (values - other.values).detach().numpy() * head.scales
        np.testing.assert_allclose(
            errors.reshape(flat.shape), flat - labels, rtol=1e-7, atol=1e-9
        )


def test_the_loss_adds_weighted_losses_of_all_targets():
    model = on_structures(ALL, target_weights=[2.0, 3.0], forces=None).fit(FRAMES, Y)
    X = Structures(FRAMES)
    goals = model._goals(X, Y, None, None, None, fresh=False)
    data = GraphData(neighbor_pairs(X, 3.0), goals, "float64")
    batch, targets = data.batch(np.arange(10), "cpu")
    with torch.no_grad():
        found = model.net_.reading(model.net_.module_, batch)
        loss = model.net_.criterion_(found, targets)
    predicted, heads = model.predict_targets(FRAMES), model._heads
    n = X.n_atoms
    energies = np.mean((predicted["energy"] - Y) ** 2 / n) / heads[0].scales[0] ** 2
    moments = predicted["dipole"] - [a.info["dipole"] for a in FRAMES]
    moments = np.mean(moments**2) / heads[1].scales[0] ** 2
    charges = [np.mean((q - a.arrays["charges"]) ** 2)
               for q, a in zip(predicted["charges"], FRAMES)]  # fmt: skip
    charges = np.mean(charges) / heads[2].scales[0] ** 2
    expected = energies + 2.0 * moments + 3.0 * charges
    assert float(loss) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_structures_without_a_label_take_no_part_in_its_loss(network):
    frames = [a.copy() for a in FRAMES]
    for source, atoms in zip(FRAMES, frames):
        atoms.calc = source.calc
    for atoms in frames[::3]:
        del atoms.info["dipole"], atoms.arrays["charges"]
    one = network(ALL).fit(frames, Y).predict_targets(FRAMES)
    assert np.isfinite(one["dipole"]).all()
    for atoms in frames[::3]:  # their labels beside are not seen at all
        atoms.info["moment"], atoms.arrays["q"] = (
            np.full(3, 1e9),
            np.full(len(atoms), 9e9),
        )
    two = network(ALL).fit(frames, Y).predict_targets(FRAMES)
    np.testing.assert_array_equal(one["dipole"], two["dipole"])


def test_moments_of_calculators_are_in_their_unit():
    frames = [a.copy() for a in FRAMES]
    for source, atoms in zip(FRAMES, frames):
        dipole = atoms.info.pop("dipole")
        atoms.calc = SinglePointCalculator(
            atoms, energy=source.get_potential_energy(), dipole=dipole
        )
    debye = Target("dipole", "Debye", "vector")
    params = {"forces": None}
    found = on_structures(["energy", debye], **params).fit(frames, Y)
    other = on_structures(["energy", "dipole"], **params).fit(frames, Y)
    one, two = (m.predict_targets(FRAMES)["dipole"] for m in (found, other))
    np.testing.assert_allclose(one * units.Debye, two, rtol=1e-6)


def test_copies_give_all_targets_to_the_bit(fitted, tmp_path):
    expected = fitted.predict_targets(FRAMES)
    for copy in (
        pickle.loads(pickle.dumps(fitted)),
        load(save(fitted, tmp_path / "model")),
        clone(fitted).fit(FRAMES, Y),
    ):
        found = copy.predict_targets(FRAMES)
        np.testing.assert_array_equal(found["dipole"], expected["dipole"])
        np.testing.assert_array_equal(
            np.concatenate(found["charges"]), np.concatenate(expected["charges"])
        )


def test_training_goes_on_with_the_same_targets_only():
    model = on_structures(ALL, warm_start=True).fit(FRAMES, Y)
    before = model.predict_targets(FRAMES)["dipole"]
    after = model.fit(FRAMES, Y).predict_targets(FRAMES)["dipole"]
    assert not np.array_equal(before, after)
    with pytest.raises(
        ValueError, match=r"names \['charges'\], but the network that goes"
    ):
        model.set_params(target=["energy", "charges"]).fit(FRAMES, Y)


def test_wrappers_are_of_the_first_target():
    model = behind_features(ALL)
    ensemble = EnsembleRegressor(model, 2, diversity="seeds", random_state=0)
    y, std = ensemble.fit(FRAMES, Y).predict(FRAMES, return_std=True)
    assert target_of(ensemble).name == "energy"
    assert y.shape == std.shape == (10,)
    interval = ConformalRegressor(model, calibration_size=3, random_state=0)
    assert interval.fit(FRAMES, Y).predict_interval(FRAMES, 0.5)[1].shape == (10, 2)
    delta = DeltaRegressor(model).fit(FRAMES, Y)
    assert set(delta.estimator_.predict_targets(FRAMES)) == set(ALL)


def test_delta_learning_keeps_moments_of_calculators():
    frames = [a.copy() for a in FRAMES]
    for source, atoms in zip(FRAMES, frames):
        moment = atoms.info.pop("dipole")
        found = {"energy": source.get_potential_energy(), "dipole": moment}
        atoms.calc = SinglePointCalculator(atoms, forces=source.get_forces(), **found)
    model = DeltaRegressor(behind_features(["energy", "dipole"])).fit(frames, Y)
    assert model.estimator_.predict_targets(FRAMES)["dipole"].shape == (10, 3)


def without(name):
    frames = [a.copy() for a in FRAMES]
    for atoms in frames:
        atoms.info.pop(name, None)
        atoms.arrays.pop(name, None)
    return frames


def with_wrong(name, value):
    frames = [a.copy() for a in FRAMES]
    frames[4].info[name] = value
    return frames


@pytest.mark.parametrize(
    ("params", "frames", "message"),
    [
        ({}, without("dipole"), r"has 'dipole', which.*store atoms\.info\['dipole'\]"),
        ({}, without("charges"), r"has 'charges'.*store atoms\.arrays\['charges'\]"),
        ({}, with_wrong("dipole", np.ones(2)), "Labels 'dipole' of the structures"),
        (
            {"target_weights": [1.0]},
            FRAMES,
            r"\[1.0\]: give one positive number for each",
        ),
        (
            {"target_weights": [1.0, 0.0]},
            FRAMES,
            "one positive number for each of the 2",
        ),
        ({"target": []}, FRAMES, "target is empty"),
        ({"target": ["energy", "energy"]}, FRAMES, "names 'energy' 2 times"),
        ({"target": ["energy", "dipol"]}, FRAMES, "Did you mean 'dipole'"),
    ],
)
def test_what_cannot_be_learned_is_refused(params, frames, message):
    model = on_structures(ALL).set_params(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(frames, Y)


def test_rows_without_structures_have_no_further_labels():
    model = NeuralNetworkRegressor((4,), target=["energy", "sum"], **SMALL)
    with pytest.raises(ValueError, match="'property' are read from structures"):
        model.fit(np.ones((4, 2)), np.arange(4.0))


def test_names_of_targets_are_read_in_order():
    gap = Target("gap", "eV", "mean")
    assert [one.name for one in as_targets(["energy", gap])] == ["energy", "gap"]
    assert as_targets(gap) == (gap,)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_charges_of_ions_are_ignored_by_those_that_do(network):
    dipoles = [a.info["dipole"] for a in FRAMES]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is used is not said to be ignored
        network("dipole", max_epochs=1).fit(FRAMES, dipoles)
    with pytest.warns(UserWarning, match=r"is ignored by energy, charges:") as caught:
        network(ALL, max_epochs=1).fit(FRAMES, Y)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="is ignored: features"):
        network("energy", max_epochs=1).fit(FRAMES, Y)
    spins = [a.copy() for a in FRAMES]
    for atoms in spins:
        atoms.info["spin"] = 3
    with pytest.warns(UserWarning, match=r"info\['spin'\].* is ignored: features"):
        network("dipole", max_epochs=1).fit(spins, dipoles)

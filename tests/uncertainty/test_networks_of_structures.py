"""Error bars of networks that take structures themselves."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import warnings

import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")

from sklearn.neighbors import NearestNeighbors
from torch import nn

from skatom import SkatomCalculator
from skatom.base import NoStandardDeviationError
from skatom.models import MessagePassingRegressor, PaiNNRegressor, SchNetRegressor
from skatom.persistence import load, save
from skatom.potential import DeltaRegressor, predict_forces
from skatom.uncertainty import (
    CalibratedStdRegressor,
    ConformalRegressor,
    DomainFlags,
    DropoutRegressor,
    EnsembleRegressor,
    ExtrapolationError,
    FeatureDistance,
    LastLayerRigidity,
    LatentDistance,
)

TINY = {"r_cut": 3.0, "max_epochs": 2, "dtype": "float64", "random_state": 0}
SMALL = {"n_features": 6, "n_interactions": 1, "n_basis": 5}


class Wells(nn.Module):
    """A sum of three smooth functions of every distance, as a user would write it."""

    def __init__(self, r_cut, numbers, n_outputs, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.last = nn.Linear(3, n_outputs)
        with torch.no_grad():
            self.last.weight.copy_(torch.randn(n_outputs, 3, generator=generator))
        self.r_cut = r_cut

    def latent(self, batch):
        r = batch.distances()[:, None]
        terms = (
            torch.exp(-r * r.new_tensor([0.5, 1.0, 2.0])) * (1 - r / self.r_cut) ** 2
        )
        return batch.pairs.scatter(terms, terms)

    def forward(self, batch):
        return self.last(self.latent(batch))


NETWORKS = {
    "SchNet": SchNetRegressor(**SMALL, **TINY),
    "SchNet by element": SchNetRegressor(**SMALL, **TINY, head="elemental"),
    "PaiNN": PaiNNRegressor(**SMALL, **TINY),
    "a module": MessagePassingRegressor(Wells, **TINY),
}


@pytest.fixture(scope="module")
def frames():
    names = ("H2O", "NH3", "CH3OH", "H2CO")
    return [rattled(molecule(names[k % 4]), seed=k) for k in range(16)]


@pytest.fixture(scope="module")
def y(frames):
    return np.array([-4.0 * len(a) + a.get_all_distances().sum() / 9 for a in frames])


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request, frames, y):
    return NETWORKS[request.param].fit(frames, y)


def test_an_ensemble_is_the_mean_and_scatter_of_its_members(network, frames, y):
    ensemble = EnsembleRegressor(network, 2, diversity="seeds", random_state=0)
    one, two = ensemble.fit(frames, y).estimators_
    found = ensemble.evaluate(frames[:3], std=True)
    both = np.stack([one.predict(frames[:3]), two.predict(frames[:3])])
    assert_allclose(found.energies, both.mean(0), rtol=1e-12)
    assert_allclose(found.energy_std, both.std(0, ddof=1), rtol=1e-9)
    forces = np.stack(
        [np.concatenate(m.predict_forces(frames[:3])) for m in (one, two)]
    )
    assert_allclose(np.concatenate(found.forces), forces.mean(0), atol=1e-12)
    assert_allclose(np.concatenate(found.forces_std), forces.std(0, ddof=1), atol=1e-8)


@pytest.mark.parametrize("diversity", ["bagging", "subsampling", "snapshots"])
def test_every_diversity_makes_members_of_networks(diversity, frames, y):
    ensemble = EnsembleRegressor(
        NETWORKS["SchNet"], 2, diversity=diversity, random_state=0
    )
    std = ensemble.fit(frames, y).predict(frames[:2], return_std=True)[1]
    assert (std > ensemble.std_floor_).all()


def test_last_layer_rigidity_is_the_formula_on_latent_sums(network, frames):
    rigidity = LastLayerRigidity(network).fit(frames)

    def rows(atoms):
        latent = network.latent([atoms]).sum(0)
        return np.concatenate([latent, [(atoms.numbers == z).sum() for z in numbers]])

    numbers = network.numbers_
    F = np.array([rows(atoms) / np.sqrt(len(atoms)) for atoms in frames])
    ridge = rigidity.zeta_**2 * np.trace(F.T @ F) / F.shape[1]
    inverse = np.linalg.inv(F.T @ F + ridge * np.eye(F.shape[1]))
    expected = [np.sqrt(rows(a) @ inverse @ rows(a)) for a in frames[:2]]
    found = rigidity.evaluate(frames[:2], std=True)
    assert_allclose(found.energies, network.predict(frames[:2]), rtol=1e-12)
    assert_allclose(found.energy_std, expected, rtol=1e-6)
    step = 1e-4
    for axis in range(3):  # of the forces: by central differences of the features
        both = [frames[0].copy(), frames[0].copy()]
        both[0].positions[1, axis] += step
        both[1].positions[1, axis] -= step
        slope = (rows(both[0]) - rows(both[1])) / (2 * step)
        expected = np.sqrt(slope @ inverse @ slope)
        assert_allclose(found.forces_std[0][1, axis], expected, rtol=1e-5)


def test_latent_distances_are_those_of_mean_latent_features(network, frames):
    distance = LatentDistance(network, n_neighbors=3).fit(frames)
    means = np.array([network.latent([atoms]).mean(0) for atoms in frames])
    spread = means.std(0)
    scaled = (means - means.mean(0)) / np.where(spread > 1e-12, spread, 1.0)
    expected = NearestNeighbors(n_neighbors=3).fit(scaled).kneighbors(scaled[:4])[0]
    assert_allclose(distance.distance(frames[:4]), expected.mean(1), atol=1e-5)


def test_features_of_a_network_are_those_of_its_last_layer(network, frames):
    grader = FeatureDistance(network, n_neighbors=2, random_state=0).fit(frames[:12])
    flags = DomainFlags(network, ["range"], random_state=0).fit(frames[:12])
    atoms, expected = frames[13], []
    for z, row in zip(atoms.numbers, network.latent([atoms])):
        apart = np.linalg.norm(grader.references_[z].values - row, axis=1)
        expected.append(np.sort(apart)[:2].mean() / grader.units_[z])
    assert_allclose(grader.grade_atoms([atoms])[0], expected, rtol=1e-6)
    assert np.isfinite(flags.grade(frames)).all()
    atoms = atoms.copy()
    atoms.calc = SkatomCalculator(
        network, novelty=grader, on_extrapolation="stop", threshold=0.99 * max(expected)
    )
    with pytest.raises(ExtrapolationError, match="extrapolation grade"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("score", ["latent", "llpr"])
def test_intervals_and_calibrated_bars_take_the_last_layer(score, network, frames, y):
    model = ConformalRegressor(network, conformity_score=score, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, intervals = model.fit(frames, y).predict_interval(frames[:3], 0.5)
    assert len(set(np.round(np.diff(intervals)[:, 0], 6))) > 1
    bars = CalibratedStdRegressor(network, source=score, random_state=0).fit(frames, y)
    assert (bars.predict(frames[:3], return_std=True)[1] > 0).all()


@pytest.mark.parametrize("score", ["latent", "llpr"])
def test_widths_of_forces_follow_the_score(score, frames, y, tmp_path):
    some = [labelled(atoms) for atoms in frames]  # of EMT
    model = ConformalRegressor(
        NETWORKS["SchNet"], conformity_score=score, calibration_size=8, random_state=0
    ).fit(some, y)
    kept = [some[k] for k in model.calibration_indices_]
    inside, train = model.estimator_, [some[k] for k in model.train_indices_]
    if score == "llpr":
        sizes = LastLayerRigidity(inside).fit(train).predict_forces(kept, True)[1]
    else:
        distance = LatentDistance(inside, level="atom").fit(train)
        of_atoms = distance.distance_atoms(kept)
        sizes = [np.repeat(one[:, None], 3, axis=1) for one in of_atoms]
    least = 0.01 * np.median(np.concatenate(sizes))
    sizes = [np.maximum(size, least) for size in sizes]
    forces = predict_forces(inside, kept)
    errors = [abs(a.get_forces() - f) / s for a, f, s in zip(kept, forces, sizes)]
    largest = np.sort([e.max() for e in errors])  # of a structure: all at once
    found = model.predict_forces_interval(kept, 0.5, simultaneous=True)[1]
    q = largest[int(np.ceil(9 * 0.5)) - 1]
    for interval, size in zip(found, sizes):
        assert_allclose(np.diff(interval)[..., 0] / 2, q * size, rtol=1e-5)
    around = model.forces_interval_around(
        forces[0], 0.5, simultaneous=True, atoms=kept[0]
    )
    assert_allclose(around, found[0], rtol=1e-9)
    again = load(save(model, tmp_path / "model"))
    loaded = again.predict_forces_interval(kept[:1], 0.5, simultaneous=True)[1]
    assert_array_equal(loaded[0], found[0])


def test_rigidity_looks_through_a_baseline(network, frames, y):
    delta = DeltaRegressor(network, forces=None).fit(frames, y)
    found = LastLayerRigidity(delta).fit(frames)
    inside = LastLayerRigidity(delta.estimator_).fit(frames)
    std = found.predict(frames, return_std=True)[1]
    assert_array_equal(std, inside.predict(frames, return_std=True)[1])
    assert_allclose(found.predict(frames), delta.predict(frames), rtol=1e-12)
    forces = predict_forces(found, frames[:1], return_std=True)[1]
    assert_allclose(forces[0], predict_forces(inside, frames[:1], True)[1][0])


def test_networks_without_dropout_or_deviations_are_named(frames, y):
    network = NETWORKS["SchNet"].fit(frames, y)
    with pytest.raises(
        TypeError, match=r"DropoutRegressor leaves out.*SchNetRegressor"
    ):
        DropoutRegressor(network).fit(frames, y)
    with pytest.raises(NoStandardDeviationError, match=r"DomainFlags.*SchNetRegressor"):
        DomainFlags(network).fit(frames)


@pytest.mark.parametrize("kind", ["std", "ensemble", "flags", "latent", "atoms"])
def test_whatever_grades_can_stop_a_run(kind, frames, y):
    network = NETWORKS["PaiNN"]
    ensemble = EnsembleRegressor(network, 2, diversity="seeds", random_state=0)
    ensemble.fit(frames, y)
    fitted, level = ensemble.estimators_[0], "atom" if kind == "atoms" else "structure"
    novelty = {
        "std": lambda: "std",
        "ensemble": lambda: ensemble,
        "flags": lambda: DomainFlags(ensemble, ["std"], random_state=0).fit(frames),
    }.get(kind, lambda: LatentDistance(fitted, level=level).fit(frames))()
    estimator = ensemble if kind == "std" else fitted
    atoms = frames[1].copy()
    if kind in ("std", "ensemble"):
        std = ensemble.predict_forces([atoms], return_std=True)[1][0]
        expected = np.linalg.norm(std, axis=1).max()
    elif kind == "flags":
        expected = novelty.grade([atoms])[0]
    else:
        expected = novelty.distance([atoms])[0] / -novelty.offset_
    options = {"novelty": novelty, "on_extrapolation": "stop"}
    atoms.calc = SkatomCalculator(estimator, threshold=1.01 * expected, **options)
    atoms.get_potential_energy()
    assert_allclose(atoms.calc.extras["extrapolation"], expected, rtol=1e-6)
    atoms.calc = SkatomCalculator(estimator, threshold=0.99 * expected, **options)
    words = "eV/Å" if kind in ("std", "ensemble") else "extrapolation grade"
    with pytest.raises(ExtrapolationError, match=words):
        atoms.get_potential_energy()

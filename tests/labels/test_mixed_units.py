"""Energies in another unit are noticed, and ordinary data sets are left alone."""

import re
import warnings

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from conftest import rattled

from skatom.datasets import list_datasets, load_dataset
from skatom.featurizers import ACSF
from skatom.labels import LabelWarning
from skatom.labels._judge import judge_fit
from skatom.models import AtomicKernelRidge, AtomicRidge, NeuralNetworkRegressor
from skatom.structures import Structures

# Total energies of about the size that all-electron methods give, in eV.
FREE = {"H": -13.6, "C": -1029.5, "O": -2041.0, "Cu": -45000.0}


def features(frames):
    return ACSF(r_cut=3.0, g2=[(0.5, 0.0)], g4=None).fit_transform(frames)


@pytest.fixture(scope="module")
def frames():
    kinds = [molecule(name) for name in ("H2O", "CH4", "CH3OH")]
    return [rattled(kinds[k % 3], k) for k in range(24)]


@pytest.fixture
def y(frames):
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(frames))
    return np.array([sum(FREE[s] for s in a.symbols) for a in frames]) + noise


def silent(frames, y) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge_fit(Structures(frames), np.asarray(y, dtype=float), None)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("Hartree", units.Hartree),
        ("Rydberg", units.Rydberg),
        ("meV", 1e-3),
        ("kcal/mol", units.kcal / units.mol),
        ("kJ/mol", units.kJ / units.mol),
    ],
)
def test_energies_in_another_unit_are_named_with_the_unit(unit, size, frames, y):
    y[[4, 9]] /= size
    with pytest.warns(
        LabelWarning,
        match=f"structures 4, 9 lie .*They fit if they are in {unit}: conv",
    ):
        judge_fit(Structures(frames), y, None)


def test_a_quarter_of_the_energies_in_another_unit_is_noticed(frames, y):
    y[::4] /= units.Hartree
    with pytest.warns(
        LabelWarning, match=re.escape("structures 0, 4, 8, 12, 16 and 1 m")
    ):
        judge_fit(Structures(frames), y, None)


def test_small_energies_in_mev_are_noticed_by_their_size(frames):
    y = np.random.default_rng(1).normal(scale=0.3, size=len(frames))
    y[5] = 1000 * 0.4
    with pytest.warns(LabelWarning, match="structures 5 lie .* Check their units"):
        judge_fit(Structures(frames), y, None)


@pytest.mark.parametrize(
    "model",
    [
        AtomicRidge(forces=None),
        AtomicKernelRidge(forces=None),
        NeuralNetworkRegressor(hidden_layers=(4,), max_epochs=1, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_every_model_of_atoms_warns(model, frames, y):
    y[3] /= units.Hartree
    with pytest.warns(LabelWarning, match="structures 3 lie .* in Hartree"):
        model.fit(features(frames), y)


@pytest.mark.parametrize("name", list_datasets())
def test_shipped_data_sets_are_left_alone(name):
    data = load_dataset(name, "train")
    silent(data.frames[:150], data.energies[:150])


def energies(frames) -> np.ndarray:
    for atoms in frames:
        atoms.calc = EMT()
    return np.array([atoms.get_potential_energy() for atoms in frames])


def test_alloys_and_strained_metals_are_left_alone():
    rng = np.random.default_rng(2)
    alloys = [rattled(bulk("Cu", cubic=True, a=3.7), s) for s in range(20)]
    for atoms in alloys:
        atoms.numbers[rng.random(4) < 0.5] = 79
    silent(alloys, energies(alloys))
    strained = [bulk("Cu", a=3.61 * (1 + e)) for e in rng.normal(0, 0.005, 30)]
    strained += [bulk("Cu", a=3.61 * s) for s in (0.8, 0.85, 1.2, 1.3)]
    silent(strained, energies(strained))


@pytest.mark.parametrize("shift", [0.0, -3.7, -45000.0])
def test_free_atoms_and_dimers_among_crystals_are_left_alone(shift):
    crystals = [rattled(bulk("Cu", cubic=True), s, 0.02) for s in range(20)]
    dimers = [Atoms("Cu2", [[0, 0, 0], [0, 0, d]]) for d in np.linspace(2, 4, 6)]
    frames = [*crystals, *dimers, Atoms("Cu")]
    silent(frames, energies(frames) + shift * np.array([len(a) for a in frames]))


def test_plain_rows_and_a_handful_of_structures_are_not_judged(frames, y):
    y[0] /= units.Hartree
    silent(frames[:8], y[:8])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AtomicRidge().fit(np.arange(40.0)[:, None], np.r_[1e6, np.zeros(39)])

"""Shipped data: intact, physically consistent, and described."""

import re

import numpy as np
import pytest
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.spatial.distance import pdist, squareform

from skatom.datasets import _dataset, dataset_record, list_datasets, load_dataset
from skatom.structures import content_hash

DATA = _dataset._RECORDS


@pytest.fixture(scope="module", params=list_datasets())
def dataset(request):
    return load_dataset(request.param)


def test_counts_match_the_record(dataset):
    assert len(dataset) == dataset.record.n_structures == len(dataset.energies)
    for split, part in dataset.record.splits.items():
        assert len(load_dataset(dataset.record.name, split)) == part.n_structures


def test_all_splits_are_loaded_in_order():
    together = load_dataset("silicon")
    train, test = (load_dataset("silicon", s) for s in ("train", "test"))
    assert together.split is None
    assert train.split == "train"
    expected = np.concatenate([train.energies, test.energies])
    np.testing.assert_array_equal(together.energies, expected)


def test_labels_are_finite_and_net_force_is_zero(dataset):
    assert np.isfinite(dataset.energies).all()
    for forces in dataset.forces:
        assert np.isfinite(forces).all()
        # eight decimals in the file, up to 96 atoms
        assert np.abs(forces.sum(axis=0)).max() < 1e-6


def test_no_structure_is_both_in_train_and_test():
    for name in list_datasets():
        hashes = [
            {content_hash(atoms) for atoms in load_dataset(name, split).frames}
            for split in dataset_record(name).splits
        ]
        assert not set.intersection(*hashes) or len(hashes) == 1


def test_forces_are_minus_the_energy_gradient():
    # Between the closest snapshots, dE is close to -F dx: a wrong sign gives a slope of -1,
    # a wrong unit one of 23; snapshots are too far apart for more.
    data = load_dataset("malonaldehyde")
    x = np.array([a.get_positions() - a.get_center_of_mass() for a in data.frames])
    forces = np.array(data.forces)
    distance = squareform(pdist(x.reshape(len(x), -1)))
    np.fill_diagonal(distance, np.inf)
    i, j = np.nonzero(distance < np.sort(distance, axis=None)[400])
    work = -((forces[i] + forces[j]) / 2 * (x[j] - x[i])).sum(axis=(1, 2))
    change = data.energies[j] - data.energies[i]
    slope = (work @ change) / (work @ work)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(work, change)[0, 1] > 0.9


def test_stress_of_strained_silicon_is_the_energy_derivative_in_ase_convention():
    residuals, changes, checked = [], [], 0
    for path in _strain_paths(load_dataset("silicon").frames):
        for a, b in path:
            mean_cell = (a.cell.array + b.cell.array) / 2
            strain = np.linalg.solve(mean_cell, b.cell.array - a.cell.array)
            strain = (strain + strain.T) / 2
            stress = (a.calc.results["stress"] + b.calc.results["stress"]) / 2
            volume = (a.get_volume() + b.get_volume()) / 2
            work = volume * (voigt_6_to_full_3x3_stress(stress) * strain).sum()
            change = b.calc.results["energy"] - a.calc.results["energy"]
            residuals.append(change - work)
            changes.append(change)
            checked += 1
    assert checked == 48  # eight steps along each of six strains
    # trapezoidal rule over steps of 2 % strain: 0.4 % of the energy change
    assert np.std(residuals) < 0.005 * np.std(changes)


def _strain_paths(frames):
    modes = {}
    for atoms in frames:
        found = re.search(r"mode (\d), strain (\S+)", atoms.info["description"])
        if found:
            modes.setdefault(found[1], []).append((float(found[2]), atoms))
    for mode in sorted(modes):
        path = sorted(modes[mode], key=lambda entry: entry[0])
        yield [(a, b) for (s, a), (t, b) in zip(path, path[1:]) if t - s < 0.03]


def test_only_the_verified_group_of_silicon_has_stress():
    for atoms in load_dataset("silicon").frames:
        assert ("stress" in atoms.calc.results) == (atoms.info["group"] == "Elastic")


def test_isolated_atoms_explain_almost_all_of_the_energy():
    data = load_dataset("3bpa")
    atoms = data.record.isolated_atoms
    assert set(atoms) == {"C", "H", "N", "O"}
    binding = [
        e - sum(atoms[s] for s in a.symbols) for a, e in zip(data.frames, data.energies)
    ]
    # about 5 eV a bond and 28 bonds
    assert -180 < np.mean(binding) < -100


def test_loading_twice_gives_independent_structures():
    first, second = (load_dataset("silicon", "test").frames[0] for _ in range(2))
    first.positions += 1.0
    assert not np.allclose(first.positions, second.positions)


def test_repr_says_what_is_inside():
    assert repr(load_dataset("silicon", "test")) == (
        "Dataset('silicon', split 'test': 25 structures, 1525 atoms, Si)"
    )


def test_unknown_name_offers_the_closest():
    with pytest.raises(ValueError, match=r"no data set 'silicone'.*mean 'silicon'"):
        load_dataset("silicone")


def test_unknown_split_lists_those_there_are():
    with pytest.raises(ValueError, match="no split 'valid'; it has train, test"):
        load_dataset("malonaldehyde", "valid")


@pytest.fixture
def copied_data(tmp_path, monkeypatch):
    for name in ("silicon_test.extxyz.xz", "silicon.toml"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    monkeypatch.setattr(_dataset, "_RECORDS", tmp_path)
    return tmp_path


def test_damaged_file_is_refused(copied_data):
    path = copied_data / "silicon_test.extxyz.xz"
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 1  # a single bit
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"was recorded .* Reinstall skatom"):
        load_dataset("silicon", "test")


def test_missing_file_is_named(copied_data):
    with pytest.raises(FileNotFoundError, match=r"silicon_train.*Reinstall skatom"):
        load_dataset("silicon", "train")


def test_every_file_is_recorded_small_and_licensed():
    licences = (DATA / "LICENSES.md").read_text()
    recorded = {
        part.name
        for name in list_datasets()
        for part in dataset_record(name).splits.values()
    }
    files = {path.name for path in DATA.iterdir()}
    records = {f"{name}.toml" for name in list_datasets()}
    assert files == recorded | records | {"LICENSES.md"}
    assert all(name in licences for name in recorded)
    assert all((DATA / name).stat().st_size < 700_000 for name in recorded)
    assert sum((DATA / name).stat().st_size for name in files) < 1_500_000


@pytest.mark.parametrize("name", list_datasets())
def test_record_is_complete(name):
    record = dataset_record(name)
    assert re.fullmatch(r"[0-9a-f]{40}", record.commit)
    assert record.doi.startswith("10.")
    assert record.licence in {"CC0-1.0", "MIT", "BSD-3-Clause"}
    assert {"positions", "energy", "forces"} <= set(record.units)
    for text in (record.title, record.description, record.changes, record.citation):
        assert text.strip()

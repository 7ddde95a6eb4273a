"""A data set of one's own: a record beside its file, checked entry by entry."""

import hashlib
import lzma
import tomllib

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from conftest import labelled, rattled

from skatom import cli
from skatom.datasets import dataset_record, list_datasets, load_dataset

RECORD = """
title = "Copper, rattled"
description = "Cells of four atoms."
source = "this test"
licence = "CC0-1.0"
citation = "none"
theory = "made up"

[units]
positions = "Å"
energy = "eV"
forces = "eV/Å"

[splits.train]
file = "copper.extxyz"
n_structures = 3
sha256 = "{sha256}"
"""
FRAMES = [labelled(rattled(bulk("Cu", cubic=True), seed=k)) for k in range(3)]


@pytest.fixture
def folder(tmp_path):
    """Give a folder with a file of structures and its record."""
    write(tmp_path / "copper.extxyz", FRAMES)
    record_of(tmp_path / "copper.extxyz")
    return tmp_path


def record_of(path, *changes):
    """Write a record for a file, with some words of the text replaced."""
    text = RECORD.format(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    for old, new in (("copper.extxyz", path.name), *changes):
        assert old in text
        text = text.replace(old, new)
    (path.parent / "mine.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "Path"])
def test_a_record_of_ones_own_is_loaded_by_its_path(folder, kind):
    data = load_dataset(kind(folder / "mine.toml"), "train")
    assert repr(data) == "Dataset('mine', split 'train': 3 structures, 12 atoms, Cu)"
    expected = [atoms.calc.results for atoms in FRAMES]
    # extended XYZ keeps eight decimals
    np.testing.assert_allclose(
        data.energies, [e["energy"] for e in expected], atol=1e-7
    )
    np.testing.assert_allclose(data.forces, [e["forces"] for e in expected], atol=1e-7)
    assert (data.record.folder, data.record.commit) == (folder, "")
    assert "mine" not in list_datasets()


def test_files_may_be_compressed(folder):
    path = folder / "copper.extxyz.xz"
    path.write_bytes(lzma.compress((folder / "copper.extxyz").read_bytes()))
    record_of(path)
    assert len(load_dataset(folder / "mine.toml")) == 3


def test_the_command_line_describes_it(folder, capsys):
    assert cli.main(["datasets", str(folder / "mine.toml")]) == 0
    out = capsys.readouterr().out
    assert "Copper, rattled" in out
    assert f'load_dataset("{folder / "mine.toml"}")' in "".join(out.split("\n"))
    assert "doi" not in out


# -- what may be wrong with a record -----------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence", "license", r"'license' is no entry .* Did you mean 'licence'\?"),
        ('theory = "made up"', "", "theory is missing: the level of theory"),
        ('"made up"', '" "', "theory must be a text"),
        ('"none"', "2020", "citation must be a text"),
        ("[units]", "[isolated_atoms]\n[units]", "isolated_atoms must be a table with"),
        ('energy = "eV"', "", "units.energy is missing: write 'eV'"),
        (
            '"eV/Å"',
            '"Hartree/Bohr"',
            r"units.forces is 'Hartree/Bohr', but .* convert the",
        ),
        (
            "[units]",
            "[isolated_atoms]\nCo2 = 1.0\n[units]",
            "'Co2', which is no chemical",
        ),
        (
            "[units]",
            "[isolated_atoms]\nCu = nan\n[units]",
            "atoms.Cu must be an energy",
        ),
        (
            "n_structures = 3",
            "",
            "splits.train must be a table with file, n_structures",
        ),
        ("copper.extxyz", "../copper.extxyz", "train.file must be the name of a file"),
        ("n_structures = 3", "n_structures = 0", "must be a positive whole number"),
        ("n_structures = 3", "n_structures = true", "must be a positive whole number"),
        ('sha256 = "', 'sha256 = "Z', "sha256 must be 64 hexadecimal digits"),
    ],
)
def test_a_wrong_entry_is_named(folder, old, new, message):
    record_of(folder / "copper.extxyz", (old, new))
    with pytest.raises(ValueError, match=rf"mine\.toml cannot be used: .*{message}"):
        dataset_record(folder / "mine.toml")


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no record .*none\.toml of a data set"
    ):
        load_dataset(tmp_path / "none.toml")
    for text in (b"title = ", b"title = '\xff'"):
        (tmp_path / "mine.toml").write_bytes(text)
        with pytest.raises(ValueError, match=r"mine\.toml is no TOML in UTF-8"):
            load_dataset(tmp_path / "mine.toml")


# -- what may be wrong with a file -------------------------------------------------------


def test_a_changed_file_is_told_with_its_checksum(folder):
    path = folder / "copper.extxyz"
    write(path, FRAMES[:2])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"{found} instead of .* correct the record"):
        load_dataset(folder / "mine.toml")
    record_of(path)
    with pytest.raises(ValueError, match="holds 2 structures, but the record says 3"):
        load_dataset(folder / "mine.toml")


def test_a_file_of_another_kind_is_refused(folder):
    path = folder / "copper.extxyz.xz"
    path.write_bytes(b"not compressed")
    record_of(path)
    with pytest.raises(ValueError, match=r"xz is no extended XYZ: .*not supported"):
        load_dataset(folder / "mine.toml")


def test_forces_that_are_not_there_are_named(tmp_path):
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=-14.0)
    write(tmp_path / "water.extxyz", [atoms] * 3)
    record_of(tmp_path / "water.extxyz")
    data = load_dataset(tmp_path / "mine.toml")
    np.testing.assert_allclose(data.energies, -14.0)
    with pytest.raises(ValueError, match="forces"):
        _ = data.forces


def test_shipped_records_have_every_entry():
    for name in list_datasets():
        path = dataset_record(name).folder / f"{name}.toml"
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        assert {"commit", "changes", "doi"} <= set(content)

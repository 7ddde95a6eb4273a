"""Contradicting labels are refused by name, doubtful ones warned of, right ones pass."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import labelled, rattled

from skatom.datasets import list_datasets, load_dataset
from skatom.featurizers import ACSF
from skatom.labels import LabelWarning, check_labels
from skatom.labels._judge import judge_fit
from skatom.models import AtomicRidge, SchNetRegressor
from skatom.potential import DeltaRegressor, Potential
from skatom.structures import Structures, read_energies

FEATURES = {"r_cut": 4.0, "g2": [(0.5, 0.0), (2.0, 1.0)], "g4": None}


@pytest.fixture(scope="module")
def molecules():
    """Geometries of two molecules of different sizes, with EMT labels."""
    kinds = [molecule("CH3OH"), molecule("C2H6")]
    return [labelled(rattled(kinds[k % 2], k)) for k in range(48)]


@pytest.fixture(scope="module")
def strained():
    """Strained, sheared and rattled copper with stress."""
    rng = np.random.default_rng(0)
    frames = []
    for k in range(40):
        atoms = rattled(bulk("Cu", cubic=True, a=3.6), k, 0.02)
        strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        frames.append(labelled(atoms, stress=True))
    return frames


def forces_of(frames, factor=1.0):
    return [factor * a.calc.results["forces"] for a in frames]


def stress_of(frames):
    return np.array([a.calc.results["stress"] for a in frames])


def only_error(report):
    assert len(report.errors) == 1, str(report)
    return str(report.errors[0])


def bare(frames):
    return [atoms.copy() for atoms in frames]


@pytest.mark.parametrize("name", list_datasets())
def test_shipped_data_sets_have_nothing_to_find(name):
    for split in ("train", "test"):
        if name == "3bpa" and split == "test":
            continue
        frames = load_dataset(name, split).frames[:300]
        report = check_labels(frames)
        assert not report.findings, str(report)
        assert "no contradiction" in str(report)


def test_right_labels_pass(molecules, strained):
    for frames in (molecules, strained):
        report = check_labels(frames)
        assert not report.findings, str(report)
        assert "slope" in report.known[-1]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1.0, "gradients were given"),
        (units.Bohr / units.Hartree, "in Hartree/Bohr"),
        (units.Bohr, "in eV/Bohr"),
        (units.mol / units.kcal, "in kcal/mol/Å"),
        (1000.0, "in meV/Å"),
        (5.0, "multiplied by 0.2"),
    ],
)
def test_forces_of_another_sign_or_unit_are_named(factor, words, molecules):
    forces = forces_of(molecules, factor)
    text = only_error(check_labels(molecules, forces=forces))
    assert words in text
    assert "forces = [" in text


def test_the_line_that_mends_stored_forces_mends_them(molecules):
    frames = bare(molecules)
    for atoms, a in zip(frames, molecules):
        results = {
            "energy": a.calc.results["energy"],
            "forces": -a.calc.results["forces"],
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
    text = only_error(check_labels(frames))
    exec(text.split("`")[1], {"frames": frames})
    assert not check_labels(frames).findings
    for atoms in frames:
        atoms.arrays["grad"] = -atoms.calc.results["forces"]
    text = only_error(check_labels(frames, forces="grad"))
    assert "atoms.arrays['grad'] *= -1" in text


def test_energies_of_another_sign_or_unit_are_named(molecules):
    y, forces = read_energies(molecules), forces_of(molecules)
    text = only_error(check_labels(bare(molecules), -y, forces=forces))
    assert "sign of binding energies" in text
    text = only_error(check_labels(bare(molecules), y / units.Hartree, forces=forces))
    assert "y is in Hartree" in text


def test_energies_per_atom_are_named_without_stored_ones(molecules):
    y = read_energies(molecules) / [len(atoms) for atoms in molecules]
    text = only_error(check_labels(bare(molecules), y, forces=forces_of(molecules)))
    assert "energies per atom" in text


def test_data_converted_by_hand_pass(molecules):
    y, forces = read_energies(molecules), forces_of(molecules)
    frames = bare(molecules)
    for atoms, energy in zip(frames, y):
        results = {"energy": energy / units.Hartree}
        results["forces"] = np.zeros((len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, **results)
    assert not check_labels(frames, y, forces=forces).findings
    few = slice(0, 4)  # too few to show a slope
    assert not check_labels(frames[few], y[few], forces=forces[few]).findings


def test_scaled_targets_beside_stored_forces_stay_refused(molecules):
    y = read_energies(molecules)
    scaled = (y - y.mean()) / y.std()
    for forces in ("auto", forces_of(molecules)):
        assert "y is " in only_error(check_labels(molecules, scaled, forces=forces))


def test_forces_alone_pass(molecules):
    frames = [*molecules, *(labelled(rattled(molecule("H2O"), k)) for k in range(9))]
    for atoms in (frames := [labelled(a) for a in frames]):
        atoms.calc.results["energy"] = 0.0
    assert not check_labels(frames).findings


def test_gradients_alone_are_doubted(molecules):
    frames = bare(molecules)
    for atoms, gradient in zip(frames, forces_of(molecules, -1)):
        atoms.arrays["forces"] = gradient
    report = check_labels(frames, np.zeros(len(frames)))
    assert "stretched bonds push" in str(report.warnings[0])
    assert "atoms.arrays['forces'] *= -1" in str(report.warnings[0])


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1.0, "point against what a fit to all expects: gradients"),
        (units.Bohr / units.Hartree, "another size: they may be in another unit"),
    ],
)
def test_a_fifth_of_forces_of_another_sign_or_unit_are_noticed(
    factor, words, molecules
):
    odd = [k for k in range(len(molecules)) if k % 5 == 3]
    factors = [factor if k in odd else 1.0 for k in range(len(molecules))]
    forces = [c * f for c, f in zip(factors, forces_of(molecules))]
    for y in (read_energies(molecules), np.zeros(len(molecules))):
        (finding,) = check_labels(bare(molecules), y, forces=forces).warnings
        assert words in str(finding)
        assert list(finding.where) == odd


@pytest.mark.parametrize("periodic", [False, True])
def test_forces_of_other_axes_or_another_order_are_noticed(periodic, molecules):
    frames = molecules
    if periodic:
        cell = bulk("Cu", cubic=True).repeat((2, 1, 1))
        frames = [labelled(rattled(cell, k)) for k in range(24)]
    rng = np.random.default_rng(0)
    forces = [rng.permutation(f) for f in forces_of(frames)]
    text = str(check_labels(bare(frames), read_energies(frames), forces=forces))
    assert "another order than positions" in text
    if not periodic:
        turned = [f[:, [1, 2, 0]] for f in forces_of(frames)]
        report = check_labels(bare(frames), read_energies(frames), forces=turned)
        assert "a torque" in str(report)
    pushed = [f + np.array([0.0, 0.0, 0.3]) for f in forces_of(frames)]
    report = check_labels(bare(frames), read_energies(frames), forces=pushed)
    assert "a net force" in str(report.warnings[0])


def test_held_atoms_take_up_a_net_force(slab):
    frames = [labelled(rattled(slab, k)) for k in range(12)]
    forces = [f * (np.arange(len(f)) > 1)[:, None] for f in forces_of(frames)]
    assert not check_labels(bare(frames), read_energies(frames), forces=forces).findings


def test_energies_per_atom_are_noticed_without_forces():
    kinds = [
        molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H6", "H2O2", "CH3CHO")
    ]
    frames = [rattled(kinds[k % 6], k) for k in range(60)]
    bonds = np.random.default_rng(0).normal(-4.0, 0.1, size=60)  # in eV an atom
    energies = {"H": -13.6, "C": -1029.5, "O": -2041.0}
    y = np.array(
        [
            sum(energies[s] for s in a.symbols) + len(a) * e
            for a, e in zip(frames, bonds)
        ]
    )
    assert not check_labels(frames, y).findings
    (finding,) = check_labels(frames, y / [len(atoms) for atoms in frames]).warnings
    assert "does not grow with the number of atoms" in finding.what


def test_energies_per_atom_of_one_size_are_named_beside_stored_ones(molecules):
    y = read_energies(molecules[::2]) / len(molecules[0])
    assert "energies per atom" in only_error(check_labels(molecules[::2], y))


def test_what_explains_a_slope_as_well_is_named_beside_it():
    # 23.06 atoms would be as many as a kcal/mol has in an eV
    frames = [rattled(bulk("Cu", cubic=True).repeat((3, 2, 1)), k) for k in range(30)]
    frames = [labelled(atoms) for atoms in frames]
    forces = forces_of(frames, units.mol / units.kcal)
    text = only_error(check_labels(frames, forces=forces))
    assert "energies per atom" in text
    assert "or they are in kcal/mol/Å" in text


def test_y_from_0_to_1_is_not_refused():
    frames = [labelled(bulk("Cu", a=a)) for a in (3.5, 3.6, 3.7, 3.8)]
    report = check_labels(bare(frames), [0.0, 0.3, 0.6, 1.0], forces=forces_of(frames))
    assert not report.errors


@pytest.mark.parametrize("seed", range(5))
def test_labels_without_meaning_are_not_refused(seed, molecules):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=len(molecules))
    forces = [rng.normal(size=(len(a), 3)) for a in molecules]
    assert not check_labels(bare(molecules), y, forces=forces).errors


@pytest.mark.parametrize("kind", ["lj", "morse"])
def test_coarse_scans_of_a_steep_bond_pass(kind):
    from ase import Atoms

    r = np.linspace(0.9, 2.5, 17)
    if kind == "lj":
        y, slope = r**-12 - r**-6, -12 * r**-13 + 6 * r**-7
    else:
        e = np.exp(-2.5 * (r - 1.2))
        y, slope = (1 - e) ** 2, 5 * (1 - e) * e
    frames = [Atoms("N2", [[0, 0, 0], [0, 0, d]]) for d in r]
    forces = [np.array([[0, 0, g], [0, 0, -g]]) for g in slope]
    assert not check_labels(frames, y, forces=forces).errors
    text = only_error(check_labels(frames, y, forces=[-f for f in forces]))
    assert "multiplied by -1" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, v: -s, "multiplied by -1"),
        (lambda s, v: s / (0.1 * units.GPa), "in kbar"),
        (lambda s, v: s / units.GPa, "in GPa"),
        (lambda s, v: -s * v[:, None] / units.GPa, "multiplied by"),
        (lambda s, v: -s * v[:, None], "a virial in eV"),
        (lambda s, v: s[:, [0, 1, 2, 5, 3, 4]], "in the order xx yy zz xy yz xz"),
    ],
)
def test_stress_of_another_sign_unit_or_order_is_named(change, words, strained):
    volumes = np.array([atoms.cell.volume for atoms in strained])
    stress = change(stress_of(strained), volumes)
    report = check_labels(strained, stress=list(stress))
    text = only_error(report)
    assert words in text
    names = {"stress": stress, "frames": strained, "y": read_energies(strained)}
    if words != "multiplied by":
        exec(text.split("`")[1], names)
        assert not check_labels(strained, stress=list(names["stress"])).findings


def test_stress_without_forces_is_doubted_by_its_size():
    frames = [
        labelled(rattled(bulk("Cu", cubic=True), k), stress=True) for k in range(6)
    ]
    assert not check_labels(frames).findings
    kbar = list(1602 * stress_of(frames))
    report = check_labels(frames, forces=None, stress=kbar)
    assert "centre of the Earth" in str(report.warnings[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: -s, "multiplied by -1"),
        (lambda s: s / (0.1 * units.GPa), "in kbar"),
        (lambda s: s[:, [0, 1, 2, 5, 3, 4]], "in the order xx yy zz xy yz xz"),
    ],
)
def test_stress_of_one_cell_is_compared_with_forces(change, words):
    cell = bulk("Cu", cubic=True).repeat((2, 1, 1))
    frames = [labelled(rattled(cell, k), stress=True) for k in range(40)]
    report = check_labels(frames)
    assert not report.findings
    assert "Stress against a first fit of forces" in report.known[-1]
    report = check_labels(frames, stress=list(change(stress_of(frames))))
    assert words in str(report.warnings[0])


@pytest.mark.parametrize("name", ["REF_forces", "dft_forces", "forces_xtb", "force"])
def test_forces_under_other_names_are_pointed_at(name, molecules):
    frames = bare(molecules)
    for atoms, forces in zip(frames, forces_of(molecules)):
        atoms.arrays[name] = forces
        atoms.arrays["forces_std"] = np.abs(forces)
    y = read_energies(molecules)
    finding = check_labels(frames, y).warnings[0]
    assert f"forces={name!r}" in finding.remedy
    assert not check_labels(frames, y, forces=None).findings
    assert not check_labels(frames, y, forces=name).findings


def test_gradients_under_their_name_are_to_be_turned(molecules):
    frames = bare(molecules)
    for atoms, forces in zip(frames, forces_of(molecules)):
        atoms.arrays["gradient"] = -forces
    finding = check_labels(frames, read_energies(molecules)).warnings[0]
    assert "= -atoms.arrays['gradient']" in finding.remedy


def test_stress_and_energies_under_other_names_are_pointed_at(strained):
    frames = bare(strained)
    for atoms, a in zip(frames, strained):
        atoms.info["REF_stress"] = a.calc.results["stress"]
        atoms.info["REF_energy"] = a.calc.results["energy"]
    remedies = " ".join(f.remedy for f in check_labels(frames).warnings)
    assert "stress='REF_stress'" in remedies
    assert "read_energies(frames, 'REF_energy')" in remedies


def test_labels_that_copies_lost_are_noticed(molecules):
    frames = [a.copy() if k % 3 == 0 else a for k, a in enumerate(molecules)]
    report = check_labels(frames, read_energies(molecules))
    assert "atoms.copy() drops them" in str(report)
    assert report.warnings[0].where[:2] == (0, 3)
    assert "structures 0, 3, 6, 9, 12 and 11 more" in str(report)


def test_energies_beside_free_energies_are_doubted(molecules):
    frames = [labelled(atoms) for atoms in molecules]
    for k, atoms in enumerate(frames):
        atoms.calc.results["free_energy"] = atoms.calc.results["energy"] - 0.02 * (
            k % 7
        )
    y = read_energies(frames)
    assert "slopes of the free energy" in str(check_labels(frames, y).warnings[0])
    free = np.array([a.calc.results["free_energy"] for a in frames])
    assert not check_labels(frames, free).findings
    half = np.where(np.arange(len(y)) % 2, y, free)
    assert "the free energy at" in str(check_labels(frames, half).warnings[0])


@pytest.mark.parametrize(
    "model",
    [
        Potential([("features", ACSF(**FEATURES)), ("model", AtomicRidge())]),
        DeltaRegressor(
            Potential([("features", ACSF(**FEATURES)), ("model", AtomicRidge())])
        ),
        SchNetRegressor(n_features=4, n_interactions=1, max_epochs=1),
    ],
    ids=["features", "delta", "network"],
)
def test_every_fit_refuses_gradients_and_points_at_other_names(model, molecules):
    frames, y = bare(molecules), read_energies(molecules)
    for atoms, gradient in zip(frames, forces_of(molecules, -1)):
        atoms.arrays["forces"] = gradient
    with pytest.raises(ValueError, match="multiplied by -1: gradients were given"):
        model.fit(frames, y)
    for atoms in frames:
        atoms.arrays["REF_forces"] = -atoms.arrays.pop("forces")
    with pytest.warns(LabelWarning, match="forces='REF_forces'"):
        model.fit(frames, y)


def test_plain_numbers_and_nothing_are_not_judged():
    judge_fit(None, np.zeros(3), None)
    judge_fit(Structures([]), np.zeros(0), None)


def test_large_molecules_are_compared_by_positions():
    cluster = bulk("Cu", cubic=True).repeat(2)
    cluster.pbc, cluster.cell = False, None
    frames = []
    for k in range(16):
        atoms = rattled(cluster, k, 0.03)
        atoms.rotate(20 * k, (1, 2, 3))
        frames.append(labelled(atoms))
    assert not check_labels(frames).findings
    assert "-1" in only_error(check_labels(frames, forces=forces_of(frames, -1)))


def test_atoms_that_left_the_cell_are_brought_back():
    frames = []
    for k in range(16):
        atoms = rattled(bulk("Cu", cubic=True), k)
        atoms.positions += np.array([0.3, 0, 0]) * k
        atoms.wrap()
        atoms.positions[k % 4] += atoms.cell[k % 3]
        frames.append(labelled(atoms))
    report = check_labels(frames)
    assert not report.findings
    assert "slope" in report.known[0]

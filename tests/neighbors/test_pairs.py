"""Neighbour pairs against ASE's list, their order, and the sums over them."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.neighborlist import neighbor_list
from hypothesis import example, given
from hypothesis import strategies as st

from skatom.neighbors import neighbor_pairs, ranges
from skatom.structures import Structures, check_structures

R_CUT = 3.3


def find(*frames: Atoms, r_cut: float = R_CUT):
    return neighbor_pairs(check_structures(frames), r_cut)


def table(i, j, shifts, vectors):
    """Rows (i, j, shift) in a fixed order, and the vectors in the same."""
    rows = np.column_stack([i, j, shifts]).astype(int)
    order = np.lexsort(rows.T[::-1])
    return rows[order], np.asarray(vectors)[order]


def ase_table(atoms: Atoms, r_cut: float = R_CUT):
    atoms = atoms.copy()
    if not atoms.pbc.all():  # ASE wants a full cell, and ignores what is not periodic
        basis = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        atoms.cell = basis
        atoms.cell = atoms.cell.complete()
    return table(*neighbor_list("ijSD", atoms, r_cut))


def assert_same_as_ase(atoms: Atoms, r_cut: float = R_CUT):
    pairs = find(atoms, r_cut=r_cut)
    ours = table(pairs.centers, pairs.neighbors, pairs.shifts, pairs.vectors)
    rows, vectors = ase_table(atoms, r_cut)
    np.testing.assert_array_equal(ours[0], rows)
    # wrapping moves atoms by whole cell vectors: a few ulp of the coordinates
    scale = np.abs(atoms.positions).max() + np.abs(atoms.cell.array).max() + 1
    np.testing.assert_allclose(ours[1], vectors, rtol=0, atol=1e-14 * scale)


@st.composite
def structures(draw):
    """Up to six atoms in any cell: skewed, left-handed, small; any mix of pbc."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(1, 6))
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    lengths = [draw(st.sampled_from([0.9, 1.7, 3.0, 6.5, 11.0])) for _ in range(3)]
    skew = draw(st.sampled_from([0.0, 0.4, 2.5]))
    handed = draw(st.sampled_from([1, -1]))
    cell = np.diag(lengths) + skew * rng.uniform(-1, 1, (3, 3)) * min(lengths)
    if abs(np.linalg.det(cell)) < 0.05 * np.prod(lengths):
        cell = np.diag(lengths)
    cell[0] *= handed
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    fractional = rng.uniform(0, 1, (n, 3))
    unwrapped = draw(st.sampled_from([0, 1, 40]))
    fractional += rng.integers(-unwrapped, unwrapped + 1, (n, 3))
    numbers = rng.choice([1, 8, 29], n)
    cell = cell @ rotation
    positions = fractional @ cell
    if draw(st.booleans()):  # a vector that is not periodic may well be missing
        cell[~np.array(pbc)] = 0.0
    return Atoms(numbers, positions, cell=cell, pbc=pbc)


@given(structures())
@example(Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
@example(Atoms("H2", [[0, 0, 0], [1e-20, 0, 0.74]]))  # flat but for rounding
@example(Atoms("H2", [[0, 0, 0], [1e-300, 0, 0.74]], cell=[0, 0, 3], pbc=[0, 0, 1]))
@example(Atoms("H", cell=[1, 1, 1], pbc=True))
@example(Atoms("H", [[1, 1, 1]], cell=[1, 1, 1], pbc=True))
@example(Atoms("H", [[-1e-17, 0, 0]], cell=[1, 1, 1], pbc=True))
@example(Atoms("H", cell=[[1, 0, 0], [30, 1, 0], [0, 0, 1]], pbc=True))
@example(Atoms("H", cell=[60, 60, 0.7], pbc=True))
@example(bulk("Cu"))
def test_pairs_are_those_of_ase(atoms):
    assert_same_as_ase(atoms)


@pytest.mark.peer
@given(structures())
def test_pairs_are_those_of_vesin(atoms):
    vesin = pytest.importorskip("vesin")
    search = vesin.NeighborList(cutoff=R_CUT, full_list=True)
    i, j, shifts, vectors = search.compute(
        points=atoms.positions,
        box=atoms.cell.array,
        periodic=atoms.pbc,
        quantities="ijSD",
    )
    pairs = find(atoms)
    ours = table(pairs.centers, pairs.neighbors, pairs.shifts, pairs.vectors)
    theirs = table(i, j, shifts, vectors)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(
        ours[1], theirs[1], atol=1e-11
    )  # 40 cells away: 1e-14 * 500


def test_all_kinds_of_frames_agree_with_ase(frames):
    for atoms in frames:
        assert_same_as_ase(atoms, r_cut=5.2)


def test_large_cells_agree_with_ase():
    atoms = bulk("Cu", cubic=True).repeat((6, 5, 4))
    atoms.positions += np.random.default_rng(0).normal(scale=0.05, size=(len(atoms), 3))
    assert_same_as_ase(atoms, r_cut=4.0)


def test_a_crowded_sphere_has_no_largest_number_of_neighbours():
    assert find(bulk("Cu"), r_cut=15.0).n_pairs == len(
        neighbor_list("i", bulk("Cu"), 15.0)
    )


def test_every_pair_has_its_reverse(skewed_crystal):
    pairs = find(skewed_crystal)
    forward = table(pairs.centers, pairs.neighbors, pairs.shifts, pairs.vectors)
    back = table(pairs.neighbors, pairs.centers, -pairs.shifts, -pairs.vectors)
    np.testing.assert_array_equal(forward[0], back[0])
    np.testing.assert_allclose(forward[1], back[1], atol=1e-14)


def test_rows_are_sorted_by_atomic_number(frames):
    pairs = find(*frames)
    for start, stop in zip(pairs.offsets[:-1], pairs.offsets[1:]):
        species = pairs.numbers[pairs.neighbors[start:stop]]
        assert (np.diff(species) >= 0).all()


def test_pairs_do_not_depend_on_the_companions_of_a_structure(frames):
    together = find(*frames)
    offsets = Structures(frames).offsets
    for s, atoms in enumerate(frames):
        alone = find(atoms)
        part = together.of_structures(np.array([s]), offsets)
        for name in ("offsets", "neighbors", "vectors", "shifts", "numbers"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


def test_the_search_repeats_itself_bit_for_bit(frames):
    one, two = find(*frames), find(*frames)
    np.testing.assert_array_equal(one.vectors, two.vectors)
    np.testing.assert_array_equal(one.neighbors, two.neighbors)


def test_selected_structures_are_as_found_anew(frames):
    keep = np.array([4, 1, 4])
    part = find(*frames).of_structures(keep, Structures(frames).offsets)
    anew = find(*[frames[s] for s in keep])
    for name in ("offsets", "neighbors", "vectors", "shifts", "numbers"):
        np.testing.assert_array_equal(getattr(part, name), getattr(anew, name))


def test_no_structures_have_no_pairs():
    pairs = neighbor_pairs(Structures([]), R_CUT)
    assert (pairs.n_atoms, pairs.n_pairs) == (0, 0)


def test_an_isolated_atom_has_no_pairs():
    assert find(Atoms("H"), Atoms("H", cell=[20] * 3, pbc=True)).n_pairs == 0


def test_masked_pairs_are_as_those_of_a_smaller_radius(frames):
    wide = find(*frames, r_cut=4.5)
    near = wide.where(np.linalg.norm(wide.vectors, axis=1) < R_CUT)
    small = find(*frames)
    np.testing.assert_array_equal(near.offsets, small.offsets)
    ours = table(near.centers, near.neighbors, near.shifts, near.vectors)
    theirs = table(small.centers, small.neighbors, small.shifts, small.vectors)
    np.testing.assert_array_equal(ours[0], theirs[0])


def test_a_mask_may_drop_every_pair(water):
    pairs = find(water)
    assert pairs.where(np.zeros(pairs.n_pairs, dtype=bool)).offsets.tolist() == [0] * 4


def test_moved_pairs_have_the_vectors_of_the_new_geometry(skewed_crystal):
    pairs = find(skewed_crystal)
    new = skewed_crystal.copy()
    new.positions += np.random.default_rng(0).normal(scale=1e-3, size=(4, 3))
    new.set_cell(new.cell.array * 1.001)
    moved = pairs.moved(new.positions, new.cell.array)
    rows, vectors = ase_table(new, R_CUT + 0.5)
    lookup = {tuple(row): vector for row, vector in zip(rows, vectors)}
    for p, row in enumerate(zip(moved.centers, moved.neighbors, *moved.shifts.T)):
        np.testing.assert_allclose(moved.vectors[p], lookup[row], atol=1e-13)


@pytest.mark.parametrize("turns", [0, 3])
def test_unmoved_pairs_keep_their_vectors(skewed_crystal, turns):
    skewed_crystal.positions[1] += turns * skewed_crystal.cell.array[2]
    pairs = find(skewed_crystal)
    again = pairs.moved(skewed_crystal.positions, skewed_crystal.cell.array)
    np.testing.assert_allclose(again.vectors, pairs.vectors, atol=1e-13)


def test_coincident_atoms_are_named_with_their_structure(water):
    double = molecule("CH4")
    double.positions[3] = double.positions[1]
    with pytest.raises(
        ValueError, match="Atoms 1 and 3 of structure 1 are at the same"
    ):
        find(water, double)


def test_atoms_one_cell_vector_apart_coincide():
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 4]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(ValueError, match="Atoms 0 and 1 of structure 0"):
        find(atoms)


# -- sums over pairs -----------------------------------------------------------------


def energy(pairs) -> float:
    """A pair potential: half the sum of exp(-r), with its gradient by every vector."""
    return 0.5 * np.exp(-np.linalg.norm(pairs.vectors, axis=1)).sum()


def gradient(pairs) -> np.ndarray:
    r = np.linalg.norm(pairs.vectors, axis=1)[:, None]
    return -0.5 * np.exp(-r) * pairs.vectors / r


@pytest.mark.parametrize("step", [1e-3, 1e-4])
def test_forces_are_minus_the_slope_of_the_energy(skewed_crystal, step):
    pairs = find(skewed_crystal)
    forces = pairs.forces(gradient(pairs))
    cell = skewed_crystal.cell.array
    for i, a in np.ndindex(4, 3):
        change = np.zeros((4, 3))
        change[i, a] = step
        up = energy(pairs.moved(skewed_crystal.positions + change, cell))
        down = energy(pairs.moved(skewed_crystal.positions - change, cell))
        assert forces[i, a] == pytest.approx(-(up - down) / (2 * step), abs=step**2)
    assert np.abs(forces).max() > 1e-3


def test_the_virial_is_the_slope_by_strain(skewed_crystal):
    pairs = find(skewed_crystal)
    (virial,) = pairs.virial(gradient(pairs), np.array([0, 4]))
    step = 1e-4
    for a, b in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[a, b] += step / 2
        strain[b, a] += step / 2
        ends = []
        for sign in (1, -1):
            stretch = np.eye(3) + sign * strain
            ends.append(
                energy(
                    pairs.moved(
                        skewed_crystal.positions @ stretch,
                        skewed_crystal.cell.array @ stretch,
                    )
                )
            )
        slope = (ends[0] - ends[1]) / (2 * step)
        assert virial[a, b] == pytest.approx(slope, abs=1e-6)  # step squared, 50 pairs
    assert np.abs(virial).max() > 1e-2


def test_forces_sum_to_zero_in_every_structure(frames):
    pairs = find(*frames)
    forces = pairs.forces(np.random.default_rng(0).normal(size=(pairs.n_pairs, 3)))
    sums = np.add.reduceat(forces, Structures(frames).offsets[:-1])
    np.testing.assert_allclose(sums, 0, atol=1e-11)  # rounding of some 500 terms


def test_transposes_are_transposes(frames):
    rng = np.random.default_rng(0)
    pairs = find(*frames)
    offsets = Structures(frames).offsets
    g = rng.normal(size=(pairs.n_pairs, 3))
    f = rng.normal(size=(pairs.n_atoms, 3))
    w = rng.normal(size=(len(frames), 3, 3))
    forces = (pairs.forces(g) * f).sum()
    assert forces == pytest.approx((g * pairs.forces_transpose(f)).sum(), rel=1e-12)
    virial = (pairs.virial(g, offsets) * w).sum()
    transposed = (g * pairs.virial_transpose(w, offsets)).sum()
    assert virial == pytest.approx(transposed, rel=1e-12)


def test_arrays_that_are_not_contiguous_are_summed_alike(water):
    pairs = find(water)
    g = np.asfortranarray(gradient(pairs))
    np.testing.assert_array_equal(
        pairs.forces(g), pairs.forces(np.ascontiguousarray(g))
    )


def test_a_supercell_repeats_the_pairs(skewed_crystal):
    one = find(skewed_crystal)
    eight = find(make_supercell(skewed_crystal, 2 * np.eye(3)))
    assert eight.n_pairs == 8 * one.n_pairs
    lengths = np.sort(np.linalg.norm(one.vectors, axis=1))
    repeated = np.sort(np.linalg.norm(eight.vectors, axis=1))
    np.testing.assert_allclose(repeated, np.repeat(lengths, 8), atol=1e-12)


@pytest.mark.slow
def test_time_grows_linearly_to_1e5_atoms():
    from time import process_time

    times = []
    for n in (14, 29):  # 10,976 and 97,556 atoms
        atoms = bulk("Cu", cubic=True).repeat(n)
        start = process_time()
        pairs = find(atoms, r_cut=4.0)
        times.append((process_time() - start) / len(atoms))
        assert pairs.n_pairs == 18 * len(atoms)  # 12 at 2.55 Å and 6 at 3.61 Å
    assert times[1] < 3 * times[0]  # caches spill; a quadratic search would be 9 times


def test_ranges_are_concatenated():
    starts, stops = np.array([3, 0, 7]), np.array([5, 0, 8])
    assert ranges(starts, stops).tolist() == [3, 4, 7]
    assert ranges(starts[:0], stops[:0]).tolist() == []


def test_more_pairs_than_memory_holds_are_an_error_with_the_remedy(frames, monkeypatch):
    def full(*args):
        raise MemoryError("Allocation failed")

    monkeypatch.setattr("skatom.neighbors._search.search_pairs", full)
    with pytest.raises(MemoryError, match="within 900 Å in 8 structures"):
        neighbor_pairs(check_structures(frames), 900.0)


@pytest.mark.parametrize("worth", [1, 2, 5, 11])
def test_pairs_are_equal_bit_for_bit_for_any_number_of_threads(worth, monkeypatch):
    rng = np.random.default_rng(0)
    frames = [molecule("C2H6"), bulk("NaCl", "rocksalt", a=4.1), Atoms("H")]
    frames += [Atoms("H4", rng.uniform(0, 9, (4, 3)), cell=[4, 5, 6], pbc=True)]
    structures = check_structures(frames)
    expected = neighbor_pairs(structures, 4.0)
    monkeypatch.setattr("skatom._runtime.threads.ATOMS_WORTH_A_THREAD", worth)
    found = neighbor_pairs(structures, 4.0, n_jobs=4)
    for name in ("offsets", "neighbors", "vectors", "shifts", "numbers"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given
from hypothesis import strategies as st

from skatom.neighbors import neighbor_pairs
from skatom.neighbors._skin import SkinPairs
from skatom.structures import Structures

R_CUT = 3.5


def inside(pairs):
    """Pairs within the cutoff as sorted rows: centre, neighbour, shift, vector."""
    near = np.linalg.norm(pairs.vectors, axis=1) <= R_CUT
    rows = np.column_stack(
        [pairs.centers[near], pairs.neighbors[near], pairs.shifts[near]]
    )
    order = np.lexsort(rows.T)
    return rows[order], pairs.vectors[near][order]


def assert_same_pairs(pairs, atoms):
    rows, vectors = inside(pairs)
    expected_rows, expected = inside(neighbor_pairs(Structures([atoms]), R_CUT))
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


def walker(kind):
    if kind == "molecule":
        return molecule("CH3CH2OH")
    if kind == "crystal":
        return bulk("NaCl", "rocksalt", a=5.6).repeat((2, 1, 1))
    atoms = bulk("Cu", a=3.6).repeat((2, 2, 1))
    atoms.pbc = [True, True, False]
    return atoms


@given(
    st.sampled_from(["molecule", "crystal", "slab"]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 1000),
)
def test_pairs_inside_the_cutoff_are_those_of_a_fresh_search(kind, skin, seed):
    rng = np.random.default_rng(seed)
    atoms = walker(kind)
    neighbors = SkinPairs(R_CUT, skin)
    for _ in range(8):
        atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
        assert_same_pairs(neighbors.pairs_of(atoms), atoms)


def test_it_searches_when_an_atom_has_moved_by_half_the_skin():
    atoms = molecule("CH4")
    neighbors = SkinPairs(R_CUT, 0.5)
    neighbors.pairs_of(atoms)
    atoms.positions[2, 0] += 0.2499
    neighbors.pairs_of(atoms)
    assert neighbors.n_searches == 1
    atoms.positions[2, 0] += 0.0002
    neighbors.pairs_of(atoms)
    assert neighbors.n_searches == 2


def changed(name, atoms):
    atoms = atoms.copy()
    if name == "cell":
        atoms.cell[0, 0] += 1e-9
    elif name == "pbc":
        atoms.pbc = [True, True, False]
    elif name == "numbers":
        atoms.numbers[0] = 29
    elif name == "size":
        atoms = atoms[:-1]
    elif name == "wrapped":
        atoms.positions[0] += atoms.cell[0]
    return atoms


@pytest.mark.parametrize("what", ["cell", "pbc", "numbers", "size", "wrapped"])
def test_it_searches_when_anything_but_a_small_step_changes(what):
    atoms = walker("crystal")
    neighbors = SkinPairs(R_CUT, 0.5)
    neighbors.pairs_of(atoms)
    neighbors.pairs_of(atoms)
    assert neighbors.n_searches == 1
    other = changed(what, atoms)
    assert_same_pairs(neighbors.pairs_of(other), other)
    assert neighbors.n_searches == 2


def test_without_skin_every_call_searches():
    neighbors = SkinPairs(R_CUT, 0.0)
    for _ in range(3):
        neighbors.pairs_of(molecule("H2O"))
    assert neighbors.n_searches == 3


def test_atoms_that_meet_under_a_kept_list_are_refused():
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.2]])
    neighbors = SkinPairs(R_CUT, 2.0)
    neighbors.pairs_of(atoms)
    atoms.positions[1, 2] = 0.0
    with pytest.raises(ValueError, match="at the same place"):
        neighbors.pairs_of(atoms)


def test_changing_the_atoms_afterwards_does_not_change_the_memory():
    atoms = molecule("H2O")
    neighbors = SkinPairs(R_CUT, 0.5)
    neighbors.pairs_of(atoms)
    atoms.positions[0] += 5.0
    assert_same_pairs(neighbors.pairs_of(atoms), atoms)
    assert neighbors.n_searches == 2

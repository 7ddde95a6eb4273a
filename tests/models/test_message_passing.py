"""Sums over neighbours, radial functions and the modules made of them."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

torch = pytest.importorskip("torch")

from skatom._training.readouts import sum_atoms
from skatom.models._message_passing import pair_products
from skatom.models._message_passing.graphs import GraphBatch
from skatom.models._message_passing.heads import make_head
from skatom.models._message_passing.painn import PaiNN
from skatom.models._message_passing.radial import BASES, CUTOFFS
from skatom.models._message_passing.schnet import SchNet
from skatom.neighbors import neighbor_pairs
from skatom.structures import check_structures

R_CUT = 4.0
COMMON = {
    "n_features": 8,
    "n_interactions": 2,
    "n_basis": 6,
    "r_cut": R_CUT,
    "cutoff": "cosine",
    "activation": "silu",
    "n_head_layers": 2,
    "numbers": [1, 6, 8, 13],
    "n_outputs": 1,
    "seed": 0,
}


def schnet(**params):
    settings = COMMON | {"n_filters": 5, "radial_basis": "gaussian", "head": "atomwise"}
    return SchNet(**(settings | params)).double()


def painn(**params):
    settings = COMMON | {"radial_basis": "bessel", "head": "elemental"}
    return PaiNN(**(settings | params)).double()


NETWORKS = {"schnet": schnet, "painn": painn}


def graph(frames):
    X = check_structures(frames)
    pairs = neighbor_pairs(X, R_CUT)
    return GraphBatch.of(pairs, X.offsets, torch.float64, has_virials=True)


def evaluate(network, frames):
    batch = graph(frames)
    batch.leaf.requires_grad_(True)
    energies = sum_atoms(batch, network(batch))[:, 0]
    forces, virials = batch.forces(torch.autograd.grad(energies.sum(), batch.leaf)[0])
    return energies.detach().numpy(), forces.numpy(), virials.numpy()


def crystal():
    atoms = bulk("Al", "fcc", a=3.9) * (2, 1, 1)
    atoms.rattle(0.1, seed=3)
    return atoms


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=4)
    return atoms


def sums_of(pairs, x, v, w):
    even = pairs.sum_even(x, w)
    return even, pairs.sum_odd(x[:, 0], v)


def test_sums_over_neighbours_equal_their_definition_through_all_pairs():
    X = check_structures([ethanol(), crystal()])
    ordered = neighbor_pairs(X, R_CUT)
    pairs = graph([ethanol(), crystal()]).pairs
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(X.numbers), 3, 4))
    # a filter that depends on the pair alone, and a vector that changes sign
    expected_even, expected_odd = np.zeros_like(x), np.zeros_like(x)
    for i, j, r in zip(ordered.centers, ordered.neighbors, ordered.vectors):
        distance = np.linalg.norm(r)
        w = np.cos(distance * np.arange(1, 5))
        expected_even[i] += w * x[j]
        expected_odd[i] += r[:, None] * w * x[j, 0]
    batch = graph([ethanol(), crystal()])
    orders = torch.arange(1, 5, dtype=torch.float64)
    w = torch.cos(batch.distances()[:, None] * orders)
    even = pairs.sum_even(torch.tensor(x), w)
    odd = pairs.sum_odd(torch.tensor(x[:, 0]), batch.vectors[:, :, None] * w[:, None])
    assert_allclose(even.numpy(), expected_even, rtol=0, atol=1e-12)
    assert_allclose(odd.numpy(), expected_odd, rtol=0, atol=1e-12)


def random_pairs(rng):
    n = 5
    first, second = torch.tensor(rng.integers(0, n, (2, 9)))
    pairs = pair_products.Pairs(first, second, n)
    x = torch.tensor(rng.normal(size=(n, 3, 2)), requires_grad=True)
    v = torch.tensor(rng.normal(size=(9, 3, 2)), requires_grad=True)
    w = torch.tensor(rng.normal(size=(9, 2)), requires_grad=True)
    return pairs, x, v, w


def test_sums_over_neighbours_can_be_differentiated_twice():
    pairs, x, v, w = random_pairs(np.random.default_rng(1))

    def both(x, v, w):
        even, odd = sums_of(pairs, x, v, w)
        return even.sin(), odd.sin()

    assert torch.autograd.gradcheck(both, (x, v, w))
    assert torch.autograd.gradgradcheck(both, (x, v, w))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        ("even_by_atoms", "xw"),
        ("even_by_pairs", "xx"),
        ("odd_by_vectors", "sv"),
        ("odd_by_scalars", "xv"),
        ("odd_by_pairs", "xs"),
    ],
)
def test_compiled_loops_equal_gathers_and_scatters(function, shapes, monkeypatch):
    pairs, x, v, w = random_pairs(np.random.default_rng(2))
    given = {"x": x, "v": v, "w": w, "s": x[:, 0]}
    a, b = (given[kind].detach().clone() for kind in shapes)
    compiled = getattr(pair_products, function)(pairs, a, b)
    monkeypatch.setattr(pair_products, "COMPILED_ON", "nowhere")
    general = getattr(pair_products, function)(pairs, a, b)
    assert_allclose(compiled.numpy(), general.numpy(), rtol=0, atol=1e-13)
    assert compiled.abs().max() > 0.1


@pytest.mark.parametrize("name", NETWORKS)
def test_energies_and_forces_follow_the_structure(name):
    network = NETWORKS[name]()
    atoms = ethanol()
    turn = Rotation.random(random_state=5).as_matrix()
    order = np.random.default_rng(6).permutation(len(atoms))
    energy, forces, _ = evaluate(network, [atoms])
    turned = atoms.copy()
    turned.positions = atoms.positions @ turn.T + 7.0
    inverted = atoms.copy()
    inverted.positions *= -1.0
    for moved, expected in (
        (turned, forces @ turn.T),
        (inverted, -forces),
        (atoms[order], forces[order]),
    ):
        e, f, _ = evaluate(network, [moved])
        assert_allclose(e, energy, rtol=0, atol=1e-10)
        assert_allclose(f, expected, rtol=0, atol=1e-10)
    assert np.abs(forces).max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_a_supercell_has_the_energy_of_its_cells(name):
    network = NETWORKS[name]()
    energy, _, _ = evaluate(network, [crystal()])
    more, _, _ = evaluate(network, [crystal() * (1, 2, 3)])
    assert_allclose(more, 6 * energy, rtol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("radial_basis", BASES)
@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_forces_and_virials_are_derivatives(name, radial_basis, cutoff):
    network = NETWORKS[name](radial_basis=radial_basis, cutoff=cutoff)
    atoms, h = crystal(), 1e-4
    _, forces, virials = evaluate(network, [atoms])

    def energy(positions=None, strain=None):
        moved = atoms.copy()
        if positions is not None:
            moved.positions += positions
        if strain is not None:
            moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return evaluate(network, [moved])[0][0]

    step = np.zeros((2, 3))
    step[1, 2] = h
    assert_allclose(
        forces[1, 2], -(energy(step) - energy(-step)) / (2 * h), rtol=0, atol=1e-7
    )
    strain = np.zeros((3, 3))
    strain[0, 1] = strain[1, 0] = h / 2
    assert_allclose(
        virials[0, 0, 1],
        (energy(strain=strain) - energy(strain=-strain)) / (2 * h),
        rtol=0,
        atol=1e-6,
    )
    assert abs(forces[1, 2]) > 1e-4


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_energies_are_smooth_where_an_atom_leaves(name, cutoff):
    network = NETWORKS[name](cutoff=cutoff)
    apart, _, _ = evaluate(network, [Atoms("H"), Atoms("O")])
    for gap, tolerance in ((1e-3, 1e-5), (-1e-3, 0.0)):
        pair = Atoms("HO", positions=[[0, 0, 0], [0, 0, R_CUT - gap]])
        energy, forces, _ = evaluate(network, [pair])
        assert_allclose(energy, apart.sum(), rtol=0, atol=tolerance + 1e-14)
        assert_allclose(forces, 0.0, rtol=0, atol=5e-3 if gap > 0 else 0.0)


@pytest.mark.parametrize("name", NETWORKS)
def test_atoms_without_neighbours_have_energies(name):
    energies, forces, _ = evaluate(NETWORKS[name](), [Atoms("H"), Atoms("C")])
    assert np.isfinite(energies).all()
    assert energies[0] != energies[1]
    assert_allclose(forces, 0.0, rtol=0, atol=0)


def test_a_mollifier_has_no_nan_anywhere():
    r = torch.tensor([0.0, R_CUT / 2, R_CUT, 2 * R_CUT], dtype=torch.float64)
    r.requires_grad_(True)
    value = CUTOFFS["mollifier"](R_CUT)(r)
    slope = torch.autograd.grad(value.sum(), r)[0]
    assert_allclose(value.detach(), [1, np.exp(1 - 4 / 3), 0, 0], rtol=1e-12)
    assert torch.isfinite(slope).all()


def test_a_head_an_element_gives_every_atom_its_own():
    generator = torch.Generator().manual_seed(0)
    head = make_head("elemental", 4, 2, 1, generator, [1, 8]).double()
    x = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    numbers = torch.tensor([8, 1, 1, 8, 1])
    together = head(x, numbers)
    for i, z in enumerate(numbers.tolist()):
        alone = head.heads[[1, 8].index(z)](x[i : i + 1], None)
        assert_allclose(together[i].detach(), alone[0].detach(), rtol=1e-12)
    latent, H = (
        head.latent(x, numbers),
        numbers == 1,
    )  # each element has its own columns
    assert latent.shape == (5, 4)
    assert not latent[H, 2:].any()
    assert not latent[~H, :2].any()

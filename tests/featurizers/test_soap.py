"""SOAP: values against DScribe and by hand, channels, cutoffs, names and errors."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sklearn.base import clone

from skatom.featurizers import SOAP
from skatom.neighbors import neighbor_pairs
from skatom.structures import check_structures

TEN = ["H", "C", "N", "O", "F", "Na", "Cl", "Cu", "Zn", "Br"]


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def rock_salt():
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    return atoms


def triclinic():
    """Three species in a skewed cell smaller than the radius."""
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.symbols[1:3] = "OH"
    shear = np.array([[1.0, 0.15, 0.0], [0.0, 1.0, 0.3], [0.1, 0.0, 0.95]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    atoms.wrap()
    return atoms


def alloy():
    """Ten elements in a disordered box."""
    atoms = bulk("Cu", "fcc", a=4.2, cubic=True) * (3, 3, 2)
    atoms.symbols = np.random.default_rng(0).choice(TEN, len(atoms))
    atoms.rattle(0.2, seed=0)
    return atoms


STRUCTURES = {"ethanol": ethanol(), "NaCl": rock_salt(), "triclinic": triclinic()}


def dscribe_values(atoms, species, **options):
    dscribe = pytest.importorskip("dscribe.descriptors")
    peer = dscribe.SOAP(species=species, periodic=bool(atoms.pbc.all()), **options)
    return peer.create(atoms)


@pytest.mark.peer
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize(
    ("rbf", "n_max", "l_max", "tolerance"),
    [
        # DScribe inverts the overlap of its functions, whose condition is 1e3 (n_max = 4),
        # 2e7 (gto, 8) and 2e12 (polynomial, 6); we factorise the functions themselves
        ("gto", 8, 6, 1e-7),
        ("gto", 4, 9, 1e-8),
        ("gto", 1, 0, 1e-8),
        ("polynomial", 6, 4, 1e-6),
        ("polynomial", 3, 6, 1e-8),
    ],
)
def test_values_equal_those_of_dscribe(name, rbf, n_max, l_max, tolerance):
    atoms = STRUCTURES[name]
    soap = SOAP.like_dscribe(4.5, n_max, l_max, sigma=0.5, rbf=rbf).fit([atoms])
    expected = dscribe_values(
        atoms, soap.species_, r_cut=4.5, n_max=n_max, l_max=l_max, sigma=0.5, rbf=rbf
    )
    np.testing.assert_allclose(soap.transform([atoms]).values, expected, atol=tolerance)
    assert np.abs(expected).max() > 1.0


@pytest.mark.peer
@pytest.mark.parametrize("compression", ["mu2", "mu1nu1", "crossover"])
def test_compressed_values_equal_those_of_dscribe(compression):
    atoms = ethanol()
    weights = {"H": 0.5, "C": 1.5, "O": 2.0}
    soap = SOAP.like_dscribe(4.0, 5, 3, sigma=0.4).set_params(
        compression=compression, species_weights=np.diag(list(weights.values()))
    )
    expected = dscribe_values(
        atoms, list(weights), r_cut=4.0, n_max=5, l_max=3, sigma=0.4,
        compression={"mode": compression, "species_weighting": weights},
    )  # fmt: skip
    np.testing.assert_allclose(soap.fit_transform([atoms]).values, expected, atol=1e-8)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            {"weighting": "power", "weighting_radius": 2.0, "weighting_exponent": 3},
            {"function": "pow", "r0": 2.0, "m": 3, "c": 1, "d": 1},
        ),
        (
            {"r_cut": 4.0, "weighting": "cubic", "weighting_exponent": 2},
            {"function": "poly", "r0": 4.0, "m": 2, "c": 1},
        ),
        ({"center_weight": 0.25}, {"w0": 0.25}),
    ],
)
def test_weighted_values_equal_those_of_dscribe(ours, theirs):
    atoms = rock_salt()
    soap = SOAP.like_dscribe(4.0, 5, 3, sigma=0.4).set_params(**ours)
    expected = dscribe_values(
        atoms, ["Na", "Cl"], r_cut=4.0, n_max=5, l_max=3, sigma=0.4, weighting=theirs
    )
    np.testing.assert_allclose(soap.fit_transform([atoms]).values, expected, atol=1e-8)


def test_lone_atom_is_its_own_density():
    soap = SOAP(n_max=4, l_max=2).fit([molecule("H2O")])
    values = soap.transform([Atoms("O")]).values[0]
    names = list(soap.get_feature_names_out())
    alive = [n for n, value in zip(names, values) if value != 0.0]
    assert alive == [n for n in names if n.startswith("SOAP_O-O") and n.endswith("_l0")]
    # <g_n| rho> of one Gaussian: p_nn' = pi sqrt(8) c_n c_n', a matrix of rank one
    matrix = np.zeros((4, 4))
    matrix[np.triu_indices(4)] = [v for v in values if v != 0.0]
    matrix += np.triu(matrix, 1).T
    assert np.linalg.matrix_rank(matrix, tol=1e-10 * np.trace(matrix)) == 1
    # a complete orthonormal set would hold the norm of the density, 4 pi its integral
    norm = np.pi * np.sqrt(8) * 0.5**3 * np.pi**1.5
    assert 0.9 * norm < np.trace(matrix) <= norm


def test_two_atoms_are_as_worked_out_by_hand():
    """One function, l = 0 and 1: Gaussian integrals known in closed form."""
    distance, sigma, r_basis = 1.7, 0.6, 4.0
    soap = SOAP(
        6.0,
        n_max=1,
        l_max=1,
        sigma=sigma,
        r_basis=r_basis,
        cutoff=None,
        center_weight=0,
    )
    values = soap.fit_transform([Atoms("H2", [[0, 0, 0], [0, 0, distance]])]).values
    eta, p = 0.5 / sigma**2, []
    for l in (0, 1):
        alpha = np.log(1e3)  # the first width is reached at 1 Å
        # norm of r^l exp(-alpha r²) is Gamma(l + 3/2) / (2 (2 alpha)^(l + 3/2))
        gamma = np.sqrt(np.pi) / 2 * (1 if l == 0 else 1.5)
        norm = np.sqrt(2 * (2 * alpha) ** (l + 1.5) / gamma)
        integral = np.sqrt(np.pi / 2) * (2 * eta * distance) ** l
        integral /= (2 * (alpha + eta)) ** (l + 1.5)
        integral *= np.exp(-alpha * eta / (alpha + eta) * distance**2)
        c = norm * 4 * np.pi * integral * np.sqrt((2 * l + 1) / (4 * np.pi))
        p.append(np.pi * np.sqrt(8 / (2 * l + 1)) * c**2)
    np.testing.assert_allclose(values, [p, p], rtol=1e-9)


def test_absent_species_leave_zeros_and_the_rest_as_it_was():
    atoms = ethanol()
    few = SOAP(n_max=3, l_max=2).fit([atoms])
    many = SOAP(n_max=3, l_max=2, species=TEN).fit([atoms])
    values = many.transform([atoms]).values
    columns = {name: k for k, name in enumerate(many.get_feature_names_out())}
    kept = [columns[name] for name in few.get_feature_names_out()]
    np.testing.assert_array_equal(values[:, kept], few.transform([atoms]).values)
    assert not np.delete(values, kept, axis=1).any()


def test_two_of_ten_elements_that_change_places_swap_their_blocks():
    atoms = alloy()
    soap = SOAP(4.0, n_max=2, l_max=3, cutoff="cosine").fit([atoms])
    values = soap.transform([atoms]).values
    swapped = atoms.copy()
    numbers = swapped.numbers.copy()
    swapped.numbers[numbers == 1], swapped.numbers[numbers == 6] = 6, 1
    names = list(soap.get_feature_names_out())
    columns = {name: k for k, name in enumerate(names)}
    moved = [columns[_swap(name, "H", "C", columns)] for name in names]
    other = soap.transform([swapped]).values
    np.testing.assert_allclose(other[:, moved], values, atol=1e-13)
    assert (values != 0).sum(axis=1).min() > len(names) // 10


def _swap(name, a, b, known):
    """Name of the same feature when two species change places."""
    head, n, k, l = name.removeprefix("SOAP_").split("_")
    p, q = ({a: b, b: a}.get(symbol, symbol) for symbol in head.split("-"))
    swapped = f"SOAP_{p}-{q}_{n}_{k}_{l}"
    if swapped in known:
        return swapped
    if p == q:
        return f"SOAP_{p}-{q}_n{k[1:]}_n{n[1:]}_{l}"
    return f"SOAP_{q}-{p}_n{k[1:]}_n{n[1:]}_{l}"


def test_coupled_species_contract_the_full_spectrum():
    atoms = ethanol()
    U = np.random.default_rng(0).normal(size=(3, 2))
    options = {"n_max": 3, "l_max": 2}
    full = SOAP(**options).fit_transform([atoms]).values
    found = SOAP(**options, species_weights=U).fit_transform([atoms]).values
    blocks = _spectra(full, 3, 3, 3)
    coupled = np.einsum("ap,bq,iablnk->ipqlnk", U, U, blocks)
    np.testing.assert_allclose(_spectra(found, 2, 3, 3), coupled, atol=1e-12)


def _spectra(values, n_channels, n_max, n_orders):
    """Features as an array over both channels, l, n and n'."""
    spectra = np.zeros((len(values), n_channels, n_channels, n_orders, n_max, n_max))
    n, k = np.triu_indices(n_max)
    first = 0
    for p in range(n_channels):
        for q in range(p, n_channels):
            size = n_orders * (len(n) if p == q else n_max**2)
            block = values[:, first : first + size].reshape(len(values), n_orders, -1)
            if p == q:
                spectra[:, p, p][:, :, n, k] = block
                spectra[:, p, p][:, :, k, n] = block
            else:
                block = block.reshape(len(values), n_orders, n_max, n_max)
                spectra[:, p, q] = block
                spectra[:, q, p] = block.swapaxes(2, 3)
            first += size
    return spectra


def test_identity_as_weights_changes_names_only():
    atoms = ethanol()
    plain = SOAP(n_max=3, l_max=2).fit([atoms])
    coupled = SOAP(n_max=3, l_max=2, species_weights=np.eye(3)).fit([atoms])
    np.testing.assert_array_equal(
        plain.transform([atoms]).values, coupled.transform([atoms]).values
    )
    assert coupled.get_feature_names_out()[-1] == "SOAP_J2-J2_n2_n2_l2"


@pytest.mark.parametrize("cutoff", ["quintic", "cosine"])
def test_atom_that_leaves_fades_without_jump_or_kink(cutoff):
    soap = SOAP(4.0, n_max=4, l_max=3, cutoff=cutoff, cutoff_width=1.0)
    soap.fit([molecule("H2O")])
    alone = soap.transform([Atoms("O")]).values[0]

    def change(distance):
        pair = Atoms("OH", [[0, 0, 0], [0, 0, distance]])
        return np.abs(soap.transform([pair]).values[0] - alone).max()

    inside = change(2.9)
    assert change(4.0) == 0.0
    # f falls as x² (cosine) or x³ (quintic), x being the distance to r_cut
    power = 2 if cutoff == "cosine" else 3
    factors = [change(4.0 - 10.0**-k) / inside for k in (2, 3)]
    assert factors[0] < 20 * 10.0 ** (-2 * power)
    assert factors[1] / factors[0] == pytest.approx(10.0**-power, rel=0.1)
    # where the transition begins, at 3 Å, values and slopes go on
    steps = [change(3.0 + x) for x in (-2e-5, -1e-5, 1e-5, 2e-5)]
    slope = (steps[1] - steps[0], steps[3] - steps[2])
    assert slope[0] == pytest.approx(slope[1], rel=1e-3)


def test_without_cutoff_values_jump_where_a_neighbour_enters():
    soap = SOAP(4.0, n_max=4, l_max=3, cutoff=None).fit([molecule("H2")])
    near, far = (
        soap.transform([Atoms("H2", [[0, 0, 0], [0, 0, d]])]).values
        for d in (3.9999, 4.0001)
    )
    assert np.abs(near - far).max() > 1e-3


@pytest.mark.parametrize(
    "atoms", [ethanol(), triclinic()], ids=["ethanol", "triclinic"]
)
def test_pairs_beyond_the_radius_count_as_absent(atoms):
    soap = SOAP(3.0, n_max=3, l_max=2).fit([atoms])
    structures = check_structures([atoms])
    long = neighbor_pairs(structures, 6.0)
    expected, found = soap.transform([atoms]), soap.transform_pairs(structures, long)
    # the same terms in the same order of species, but not of neighbours
    np.testing.assert_allclose(found.values, expected.values, atol=1e-13)
    g = np.random.default_rng(0).normal(size=found.values.shape)
    np.testing.assert_allclose(
        long.forces(found.pullback(g)),
        expected.pairs.forces(expected.pullback(g)),
        atol=1e-12,
    )


@given(seed=st.integers(0, 1000), atom=st.integers(0, 8))
def test_rotated_inverted_and_permuted_atoms_keep_their_features(seed, atom):
    rng = np.random.default_rng(seed)
    atoms = ethanol()
    atoms.rattle(0.2, rng=rng)
    soap = SOAP(4.0, n_max=4, l_max=5).fit([atoms])
    values = soap.transform([atoms]).values
    changed = atoms.copy()
    changed.positions = -changed.positions @ Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    found = soap.transform([changed[order]]).values
    scale = np.abs(values).max()
    # what the spline of radial functions and sums of float64 leave
    np.testing.assert_allclose(found, values[order], atol=1e-12 * scale)
    # and the features are not blind: one atom moved by 0.1 Å is felt
    changed.positions[atom] += [0.1, 0.0, 0.0]
    assert np.abs(soap.transform([changed]).values - values).max() > 1e-4 * scale


def test_slab_equals_the_same_atoms_in_a_larger_cell():
    slab = fcc111("Cu", (1, 2, 3), a=3.6, vacuum=6.0)
    slab.rattle(0.05, seed=1)
    soap = SOAP(4.0, n_max=3, l_max=3).fit([slab])
    twice = soap.transform([slab * (2, 3, 1)]).values
    once = soap.transform([slab]).values
    np.testing.assert_allclose(twice, np.tile(once, (6, 1)), atol=1e-12)


def test_ignored_species_are_absent_neighbours():
    water = molecule("H2O")
    soap = SOAP(n_max=3, l_max=2, handle_unknown="ignore").fit([water])
    more = water + Atoms("Xe", [[0.0, 1.5, 1.5]])
    found = soap.transform([more]).values
    np.testing.assert_allclose(found[:3], soap.transform([water]).values, atol=1e-14)


def test_names_say_channels_functions_and_order():
    soap = SOAP(n_max=2, l_max=1, species=["O", "H"]).fit([molecule("H2")])
    names = soap.get_feature_names_out()
    assert len(names) == soap.n_atom_features_ == 20
    assert list(names[:3]) == [f"SOAP_H-H_{n}_l0" for n in ("n0_n0", "n0_n1", "n1_n1")]
    assert list(names[6:10]) == [
        f"SOAP_H-O_{n}_l0" for n in ("n0_n0", "n0_n1", "n1_n0", "n1_n1")
    ]
    short = SOAP(n_max=1, l_max=0, compression="mu1nu1").fit([molecule("H2O")])
    assert list(short.get_feature_names_out()) == [
        "SOAP_H-all_n0_n0_l0",
        "SOAP_O-all_n0_n0_l0",
    ]
    short = SOAP(n_max=1, l_max=0, compression="mu2").fit([molecule("H2O")])
    assert list(short.get_feature_names_out()) == ["SOAP_all-all_n0_n0_l0"]


def test_fitted_estimator_travels_light_and_gives_the_same():
    atoms = ethanol()
    soap = SOAP().fit([atoms])
    packed = pickle.dumps(soap)
    assert len(packed) < 5000  # the splines, some 0.5 MB, are made anew
    copy = pickle.loads(packed)
    np.testing.assert_array_equal(
        copy.transform([atoms]).values, soap.transform([atoms]).values
    )
    assert clone(soap).get_params().keys() == soap.get_params().keys()


def test_threads_give_the_same_bits():
    atoms = bulk("Cu", cubic=True) * (9, 9, 7)
    atoms.rattle(0.1, seed=1)
    one, two = (
        SOAP(3.5, n_max=2, l_max=2, n_jobs=n).fit_transform([atoms]) for n in (1, 2)
    )
    np.testing.assert_array_equal(one.values, two.values)
    g = np.random.default_rng(0).normal(size=one.values.shape)
    np.testing.assert_array_equal(one.pullback(g), two.pullback(g))


def test_gradient_of_absent_blocks_is_never_read():
    """Where a pair of species is absent, even NaN in the cotangent does no harm."""
    atoms = ethanol()
    features = SOAP(n_max=3, l_max=2, species=TEN).fit_transform([atoms])
    g = np.where(features.values.any(axis=0), 1.0, np.nan)
    g = np.tile(g, (len(atoms), 1))
    assert np.isfinite(features.pullback(g)).all()


def test_values_do_not_depend_on_companions():
    frames = [ethanol(), rock_salt(), Atoms("H")]
    soap = SOAP(n_max=3, l_max=2).fit(frames)
    together = soap.transform(frames)
    for s, atoms in enumerate(frames):
        np.testing.assert_array_equal(
            together[[s]].values, soap.transform([atoms]).values
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r_cut": 0.9}, "gto basis spans 1 Å to r_basis=0.9"),
        ({"r_basis": 1.0}, "must be more than 1 Å"),
        ({"weighting": "power", "weighting_exponent": 1.5}, "needs at least 2"),
        ({"weighting": "cubic", "weighting_radius": 2.0}, "inside r_cut=5.0"),
        ({"radial_basis": "polynomial", "n_max": 30}, "linearly dependent"),
        ({"species_weights": [[1.0], [1.0, 2.0]]}, "all numbers"),
        ({"species_weights": [[1.0, 2.0]]}, r"its shape is \(1, 2\)"),
        ({"species_weights": [[1.0], [np.nan]]}, "must be finite"),
    ],
)
def test_contradicting_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SOAP(**options).fit([molecule("H2O")])

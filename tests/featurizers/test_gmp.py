"""GMP: the sum over Legendre polynomials as oracle, derivatives, densities, messages."""

from math import factorial

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.data import chemical_symbols
from scipy.special import eval_legendre

from skatom.featurizers import GMP, valence_density
from skatom.featurizers._gmp.densities import (
    EFFECTIVE_N,
    SHELL_SHAPES,
    electron_configuration,
)
from skatom.testing import check_featurizer


@pytest.fixture
def frames():
    out = [molecule("CH3CH2OH"), bulk("NaCl", "rocksalt", a=5.6), molecule("SiH4")]
    for k, atoms in enumerate(out):
        atoms.rattle(0.1, seed=k)
    return out


def by_definition(gmp, features):
    """n! (2n-1)!! sum_jk R_n(r_j) R_n(r_k) P_n(cos), by loops over the definition."""
    pairs, columns = features.pairs, []
    for n in range(gmp.max_order + 1):
        for sigma in gmp.sigmas:
            columns.append(
                [
                    factorial(n) * np.prod(np.arange(1.0, 2 * n, 2)) * power
                    for power in _powers(gmp, pairs, n, sigma)
                ]
            )
    return np.array(columns).T


def _powers(gmp, pairs, n, sigma):
    alpha, norm = 0.5 / sigma**2, (sigma * np.sqrt(2 * np.pi)) ** -3
    for i in range(pairs.n_atoms):
        rows = slice(pairs.offsets[i], pairs.offsets[i + 1])
        vectors = np.vstack([np.zeros((1, 3)), pairs.vectors[rows]])
        numbers = [pairs.numbers[i], *pairs.numbers[pairs.neighbors[rows]]]
        radial, units = [], []
        for vector, z in zip(vectors, numbers):
            r = np.linalg.norm(vector)
            smooth = 0.5 * (1 + np.cos(np.pi * r / gmp.r_cut)) if gmp.cutoff else 1.0
            weight, beta = valence_density(chemical_symbols[z]).T
            joint = alpha + beta
            overlap = norm * weight * (np.pi / joint) ** 1.5
            overlap = overlap * np.exp(-alpha * beta / joint * r**2)
            radial.append(smooth * (overlap * (beta / joint * r) ** n).sum())
            units.append(vector / r if r else vector)
        cosines = np.clip(np.array(units) @ np.array(units).T, -1, 1)
        yield np.array(radial) @ eval_legendre(n, cosines) @ np.array(radial)


@pytest.mark.parametrize("cutoff", ["cosine", None])
def test_gmp_equals_its_definition_by_legendre_polynomials(frames, cutoff):
    gmp = GMP(r_cut=4.5, sigmas=(0.4, 0.9), max_order=5, cutoff=cutoff)
    features = gmp.fit_transform(frames)
    expected = by_definition(gmp, features)
    # the oracle cancels terms in double sums, ours squares single sums
    np.testing.assert_allclose(
        features.values, expected, rtol=1e-9, atol=1e-12 * expected.max()
    )


@pytest.mark.parametrize("max_order", [0, 3, 9])
def test_gmp_meets_the_contract_of_featurizers(max_order):
    check_featurizer(GMP(r_cut=4.0, sigmas=(0.3, 0.8), max_order=max_order))


def test_number_of_features_does_not_depend_on_the_elements():
    many = [bulk("Cu"), bulk("Fe"), bulk("W"), bulk("Pb"), molecule("SiCl4")]
    assert (
        GMP().fit_transform(many).shape[1] == GMP().fit_transform([bulk("Cu")]).shape[1]
    )
    # columns mean the same, whatever else was in fit
    alone = GMP().fit(many[:1]).transform(many[:1]).values
    together = GMP().fit(many).transform(many[:1]).values
    np.testing.assert_array_equal(alone, together)


def test_without_cutoff_the_full_radius_is_long_enough():
    frame = bulk("Al", cubic=True)
    gmp = GMP(sigmas=(0.5, 1.0), max_order=2, cutoff=None)
    reach = gmp.full_radius(["Al"])
    near = GMP(reach, sigmas=(0.5, 1.0), max_order=2, cutoff=None).fit_transform(
        [frame]
    )
    far = GMP(reach + 3, sigmas=(0.5, 1.0), max_order=2, cutoff=None).fit_transform(
        [frame]
    )
    # what is left out is 1e-8 electrons of a density near 0.1
    np.testing.assert_allclose(near.values, far.values, rtol=1e-5, atol=1e-8)


def test_densities_given_take_the_place_of_our_own():
    frames = [molecule("H2O")]
    own = {"O": valence_density("O"), "H": [[1.0, 2.0]]}
    given = GMP(r_cut=4.0, densities=own).fit_transform(frames).values
    assert not np.allclose(given, GMP(r_cut=4.0).fit_transform(frames).values)
    same = {s: valence_density(s) for s in ("H", "O")}
    np.testing.assert_array_equal(
        GMP(r_cut=4.0, densities=same).fit_transform(frames).values,
        GMP(r_cut=4.0).fit_transform(frames).values,
    )


@pytest.mark.parametrize("z", range(1, 119))
def test_every_element_has_a_density_that_holds_its_valence_electrons(z):
    electrons = electron_configuration(z)
    assert sum(electrons.values()) == z
    weight, beta = valence_density(chemical_symbols[z]).T
    count = (weight * (np.pi / beta) ** 1.5).sum()
    assert abs(count - round(count)) < 1e-4 * round(count)
    assert 1 <= round(count) <= 18


@pytest.mark.parametrize(
    ("symbol", "count"),
    [("H", 1), ("C", 4), ("Cl", 7), ("Fe", 8), ("Cu", 11), ("Ga", 3)],
)
def test_valence_electrons_are_those_of_the_periodic_table(symbol, count):
    weight, beta = valence_density(symbol).T
    assert (weight * (np.pi / beta) ** 1.5).sum() == pytest.approx(count, rel=1e-5)


def test_no_density_is_negative_anywhere():
    nearer, far = np.linspace(0, 0.3, 200), np.linspace(0.3, 12, 2000)  # in Å
    r = np.concatenate([nearer, far])
    for symbol in chemical_symbols[1:]:
        weight, beta = valence_density(symbol).T
        density = np.exp(-np.outer(r**2, beta)) @ weight
        # terms cancel to rounding at the nucleus
        assert density.min() >= -1e-14 * density.max(), symbol


def test_narrow_probes_find_no_negative_density_at_a_nucleus():
    # order 0 is the square of the probed density; the probe itself is positive
    from skatom.featurizers.gmp import _overlaps

    symbols = chemical_symbols[1:]
    widths = np.array([0.01, 0.05, 0.2])
    _, table = _overlaps([valence_density(s) for s in symbols], widths)
    assert (table[..., 0].sum(axis=-1) > 0).all()


@pytest.mark.parametrize("n", sorted(EFFECTIVE_N.values()))
def test_shell_shapes_fit_slater_shells_to_two_per_cent(n):
    from scipy.special import gamma

    r = np.linspace(1e-3, 4 * n + 8, 4000)
    norm = 2 ** (2 * n + 1) / gamma(2 * n + 1) / (4 * np.pi)
    exact = norm * r ** (2 * n - 2) * np.exp(-2 * r)
    exponents, coefficients = map(np.array, SHELL_SHAPES[n])
    fitted = np.exp(-np.outer(r**2, exponents)) @ coefficients
    error = np.sqrt((((fitted - exact) * r) ** 2).sum() / ((exact * r) ** 2).sum())
    assert error < 0.0205


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigmas": []}, "at least one width"),
        ({"sigmas": [0.3, -1.0]}, "entries 1 are not"),
        ({"densities": {"H": [1.0, 2.0]}}, "density of H has shape"),
        ({"densities": {"H": [[1.0, 0.0]]}}, "every beta positive"),
        ({"max_order": 10}, "max_order"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        GMP(**parameters).fit([molecule("H2O")])

"""G5 by moments: the same as the sum over triples, in all four directions."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from numpy.polynomial.legendre import legval
from numpy.testing import assert_allclose

from skatom.featurizers import ACSF, acsf_grid
from skatom.featurizers._acsf.moment_tables import (
    MAX_ZETA,
    crossover,
    harmonic_ladder,
    harmonic_steps,
    legendre_series,
)

ALL, NONE = 2**62, 0
GRIDS = {
    "one function": [[0.05, 1, -1]],
    "a full grid": acsf_grid([0.01, 0.1, 0.3], [1, 2, 5], [-1, 1]),
    "the highest powers": [[0.01, 16, 1], [0.01, 16, -1], [0.2, 3, 1]],
    "eleven etas": acsf_grid(np.linspace(0.0, 1.0, 11), [2], [1]),
}


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def alloy():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 1, 1)
    atoms.symbols[[1, 3, 6]] = "Au"
    atoms.rattle(0.1, seed=2)
    return atoms


def features_of(atoms, most, **parameters):
    """Features with sums over triples up to `most` neighbours and moments beyond."""
    acsf = ACSF(5.0, **{"g2": None, "g4": None, **parameters}).fit([atoms])
    acsf._angular = [(grid, e, (*part[:-1], most)) for grid, e, part in acsf._angular]
    return acsf.transform([atoms])


@pytest.mark.parametrize("cutoff", ["cosine", "polynomial", "tanh3"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("atoms", [ethanol(), alloy()], ids=["ethanol", "alloy"])
def test_moments_equal_the_sum_over_triples(atoms, grid, cutoff):
    parameters = {"g5": GRIDS[grid], "cutoff": cutoff}
    slow = features_of(atoms, ALL, **parameters)
    fast = features_of(atoms, NONE, **parameters)
    rng = np.random.default_rng(0)
    g, v = rng.normal(size=slow.values.shape), rng.normal(size=slow.pairs.vectors.shape)
    for name, expected, values in (
        ("values", slow.values, fast.values),
        ("pullback", slow.pullback(g), fast.pullback(g)),
        ("pushforward", slow.pushforward(v), fast.pushforward(v)),
        ("jacobian", slow.jacobian(0), fast.jacobian(0)),
    ):
        # sums of at most a few thousand terms, each smaller than two
        scale = max(np.abs(expected).max(), 1.0)
        assert_allclose(values, expected, rtol=0, atol=1e-12 * scale, err_msg=name)
    assert np.abs(slow.values).max() > 1e-3


def test_moments_equal_the_definition():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    grid = acsf_grid([0.01, 0.2], [1, 8, 16], [-1, 1])
    features = features_of(atoms, NONE, g5=grid)
    r = features.pairs.vectors[: features.pairs.offsets[1]]
    d = np.linalg.norm(r, axis=1)
    f = 0.5 * (1 + np.cos(np.pi * d / 5.0))
    cosines = r @ r.T / np.outer(d, d)
    for column, (eta, zeta, sign) in enumerate(grid):
        e = np.exp(-eta * d**2) * f
        terms = 2 ** (1 - zeta) * (1 + sign * cosines) ** zeta * np.outer(e, e)
        expected = sum(terms[j, k] for j, k in combinations(range(len(d)), 2))
        assert features.values[0, column] == pytest.approx(expected, abs=1e-13 * 80)


def test_an_atom_makes_no_triple_with_itself():
    # the part of j = k is taken away from the product of moments
    atoms = Atoms("H2", [[0, 0, 0], [0.3, 0.5, 0.9]])
    dimer = features_of(atoms, NONE, g5=GRIDS["a full grid"])
    assert_allclose(dimer.values, 0.0, rtol=0, atol=1e-15)
    assert_allclose(dimer.jacobian(0), 0.0, rtol=0, atol=1e-15)


def test_the_way_is_chosen_for_each_centre():
    # two atoms with many neighbours and one, far away, with a single one
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (3, 3, 3)
    atoms = Atoms(atoms.symbols, atoms.positions)
    atoms += Atoms("Cu2", [[40.0, 0, 0], [42.0, 0.5, 0]])
    acsf = ACSF(5.0, g2=None, g4=None, g5=GRIDS["a full grid"]).fit([atoms])
    features = acsf.transform([atoms])
    counts, most = np.diff(features.pairs.offsets), acsf._angular[0][2][-1]
    assert counts.min() < most < counts.max()
    expected = features_of(atoms, ALL, g5=GRIDS["a full grid"])
    assert_allclose(features.values, expected.values, rtol=0, atol=1e-12)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    assert_allclose(features.pullback(g), expected.pullback(g), rtol=0, atol=1e-12)


def test_powers_that_moments_do_not_suit_keep_their_columns():
    mixed = [[0.01, 2.5, 1], [0.01, 2, 1], [0.1, 17, -1], [0.1, 3, -1]]
    atoms = alloy()
    acsf = ACSF(5.0, g2=[[1.0, 1.0]], g4=[[0.1, 1, 1]], g5=mixed).fit([atoms])
    assert [len(grid[2]) for grid, *_ in acsf._angular] == [1, 2, 2]
    parameters = {"g2": acsf.g2, "g4": acsf.g4, "g5": mixed}
    slow = features_of(atoms, ALL, **parameters)
    features = acsf.transform([atoms])
    assert_allclose(features.values, slow.values, rtol=0, atol=1e-12)
    one = features_of(atoms, ALL, g5=[mixed[1]]).values
    names = list(acsf.get_feature_names_out())
    column = names.index("G5_Cu-Cu_eta0.01_zeta2_lambda1")
    assert_allclose(features.values[:, column], one[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("zeta", [1, 2, 7, MAX_ZETA])
def test_legendre_series_sums_to_the_power(zeta, sign):
    c = np.linspace(-1.0, 1.0, 41)
    series = legendre_series(zeta, sign)
    expected = 2.0 ** (1 - zeta) * (1 + sign * c) ** zeta
    assert_allclose(legval(c, series), expected, rtol=0, atol=2e-15)
    # no cancellation: the coefficients have the size of what they sum to
    assert np.abs(series).sum() == pytest.approx(2.0, rel=1e-14)


def harmonics(r, l_max):
    """Solid harmonics by the recursion, in plain NumPy, of a complex or real vector."""
    x, y, z = r
    steps = harmonic_steps(l_max)
    h = np.zeros((l_max + 1) ** 2, dtype=r.dtype)
    h[:4] = 1.0, y, z, x
    for l in range(2, l_max + 1):
        here, below, lower = l * l + l, l * l - l, l * l - 3 * l + 2
        for m in range(1 - l, l):
            h[here + m] = z * h[below + m] * steps[0, here + m]
            if abs(m) <= l - 2:
                h[here + m] -= r @ r * h[lower + m] * steps[1, here + m]
        plus, minus = h[below + l - 1], h[below - l + 1]
        h[here + l] = (x * plus - y * minus) * steps[0, here + l]
        h[here - l] = (y * plus + x * minus) * steps[0, here - l]
    return h


def test_harmonics_obey_the_addition_theorem():
    u, v = np.random.default_rng(0).normal(size=(2, 3))
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    products = harmonics(u, MAX_ZETA) * harmonics(v, MAX_ZETA)
    for l in range(MAX_ZETA + 1):
        power = products[l * l : (l + 1) ** 2].sum()
        assert power == pytest.approx(legval(u @ v, [0.0] * l + [1.0]), abs=1e-14)


def test_ladder_gives_the_derivatives_of_harmonics():
    l_max = 7
    r = np.random.default_rng(0).normal(size=3)
    values = harmonics(r, l_max)
    for direction in range(3):
        step = np.zeros(3, dtype=complex)
        step[direction] = 1e-30j  # exact: a polynomial has no rounding along i
        expected = harmonics(r + step, l_max).imag / 1e-30
        slopes = np.zeros_like(values)
        for d, place, source, factor in harmonic_ladder(l_max):
            if d == direction:
                slopes[int(place)] += factor * values[int(source)]
        assert_allclose(slopes, expected, rtol=1e-12, atol=1e-12)


def test_crossover_grows_with_the_number_of_moments():
    assert crossover(2, 1) < crossover(8, 1) < crossover(8, 4) < crossover(16, 4)

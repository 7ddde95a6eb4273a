"""AEV: values against TorchANI and the definition, derivatives, contract, messages."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import atomic_numbers
from numba import njit

from skatom.featurizers import AEV
from skatom.testing import check_featurizer

ODD = {"angular_shifts": 5, "angles": 11, "zeta": 3.3, "radial_shifts": [0.7, 2.0]}
KINDS = {"1x": {}, "2x": AEV.ani2x(species=None).get_params(), "odd": ODD}


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def rock_salt():
    atoms = bulk("NaCl", "rocksalt", a=4.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    return atoms


def cosine_cutoff(r, r_cut):
    return 0.5 * (1 + np.cos(np.pi * r / r_cut)) * (r < r_cut)


def by_definition(aev, features):
    """Loops over neighbours, with angles in radians."""
    pairs, n = features.pairs, len(aev.species_)
    channel = {atomic_numbers[s]: k for k, s in enumerate(aev.species_)}
    of_pair = np.array([channel[z] for z in pairs.numbers[pairs.neighbors]])
    r = np.linalg.norm(pairs.vectors, axis=1)
    radial = np.zeros((pairs.n_atoms, n, len(aev.radial_shifts_)))
    angular = np.zeros(
        (pairs.n_atoms, n, n, len(aev.angular_shifts_), len(aev.angles_))
    )
    for i in range(pairs.n_atoms):
        for j in range(pairs.offsets[i], pairs.offsets[i + 1]):
            gauss = np.exp(-aev.radial_eta * (r[j] - aev.radial_shifts_) ** 2)
            radial[i, of_pair[j]] += 0.25 * gauss * cosine_cutoff(r[j], aev.r_cut)
            for k in range(j + 1, pairs.offsets[i + 1]):
                cosine = pairs.vectors[j] @ pairs.vectors[k] / (r[j] * r[k])
                theta = np.arccos(0.95 * cosine)
                turn = 1 + np.cos(theta - aev.angles_)
                mean = (r[j] + r[k]) / 2
                term = np.exp(-aev.angular_eta * (mean - aev.angular_shifts_) ** 2)
                term = np.outer(term, 2 ** (1 - aev.zeta) * turn**aev.zeta)
                term *= cosine_cutoff(r[j], aev.r_cut_angular)
                term *= cosine_cutoff(r[k], aev.r_cut_angular)
                a, b = sorted((of_pair[j], of_pair[k]))
                angular[i, a, b] += term
    a, b = np.triu_indices(n)
    rows = pairs.n_atoms
    return np.hstack([radial.reshape(rows, -1), angular[:, a, b].reshape(rows, -1)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_values_equal_the_definition(atoms, kind):
    aev = AEV(**KINDS[kind])
    features = aev.fit_transform([atoms])
    expected = by_definition(aev, features)
    # rounding in sums of terms of order one
    np.testing.assert_allclose(features.values, expected, atol=1e-13)
    assert expected.max() > 1.0


def computer_of(torchani, aev, species):
    """Make TorchANI's computer, in double precision."""
    import torch

    preset = "ani1x" if aev.angular_eta == 8.0 else "ani2x"
    like = {"ani1x": "like_1x", "ani2x": "like_2x"}[preset]
    radial = getattr(torchani.aev.ANIRadial, like)()
    angular = getattr(torchani.aev.ANIAngular, like)()
    computer = torchani.aev.AEVComputer(radial, angular, num_species=len(species))
    computer = computer.double()
    # its constants are rounded to single precision before .double()
    for module, name, value in (
        (computer.radial, "eta", [aev.radial_eta]),
        (computer.radial, "shifts", aev.radial_shifts_),
        (computer.angular, "eta", [aev.angular_eta]),
        (computer.angular, "zeta", [aev.zeta]),
        (computer.angular, "shifts", aev.angular_shifts_),
        (computer.angular, "sections", aev.angles_),
    ):
        given = getattr(module, name)
        exact = torch.as_tensor(np.asarray(value), dtype=torch.float64)
        assert torch.allclose(given, exact, rtol=1e-6)
        given.copy_(exact)
    return computer


@pytest.mark.peer
@pytest.mark.parametrize("preset", ["ani1x", "ani2x"])
@pytest.mark.parametrize("periodic", [False, True])
def test_values_equal_those_of_torchani(preset, periodic, monkeypatch):
    monkeypatch.setenv("TORCHANI_NO_WARN_EXTENSIONS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchani = pytest.importorskip("torchani")
    import torch

    aev = getattr(AEV, preset)()
    species = aev.species
    atoms = ethanol()
    if preset == "ani2x":
        atoms.symbols[-1], atoms.symbols[-2] = "S", "Cl"
    if periodic:  # larger than twice the radius, as TorchANI wants it
        atoms.set_cell([[11.0, 0, 0], [2.0, 11.5, 0], [0.5, 1.0, 12.0]])
        atoms.pbc = True
        atoms.positions += 10.0
    aev.fit([atoms])
    numbers = [species.index(s) for s in atoms.symbols]
    places = (
        (torch.tensor(atoms.cell.array), torch.ones(3, dtype=torch.bool))
        if periodic
        else (None, None)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = computer_of(torchani, aev, species)(
            torch.tensor([numbers]), torch.tensor(atoms.positions)[None], *places
        )[0].numpy()
    values = aev.transform([atoms]).values[:, aev.columns_for(species)]
    # both in double precision, over a few hundred terms of order one
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert expected.max() > 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_derivatives_equal_differences_and_each_other(atoms, kind):
    aev = AEV(**KINDS[kind])
    features = aev.fit_transform([atoms])
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    v = rng.normal(size=features.pairs.vectors.shape)

    def moved(h):
        pairs = replace(features.pairs, vectors=features.pairs.vectors + h * v)
        return aev.transform_pairs(features.structures, pairs).values

    pushed, pulled = features.pushforward(v), features.pullback(g)
    errors = [
        np.abs((moved(h) - moved(-h)) / (2 * h) - pushed).max() for h in (1e-4, 1e-5)
    ]
    scale = np.abs(pushed).max()
    assert scale > 0.1
    # second order: a tenth of the step has a hundredth of the error
    assert errors[1] < 0.02 * errors[0]
    assert errors[1] < 1e-7 * scale
    # one bilinear form in three ways, to rounding of its terms
    assert np.sum(pulled * v) == pytest.approx(np.sum(pushed * g), rel=1e-11)
    jacobian = features.jacobian(0)
    centres = features.pairs.centers
    np.testing.assert_allclose(
        np.einsum("pxf,pf->px", jacobian, g[centres]), pulled, atol=1e-11
    )


@pytest.mark.parametrize("kind", KINDS)
def test_aev_meets_the_contract_of_featurizers(kind):
    check_featurizer(AEV(**{**KINDS[kind], "species": None}))


def test_right_angle_is_as_worked_out_by_hand():
    r = 1.1
    atoms = Atoms("CH2", [[0, 0, 0], [r, 0, 0], [0, r, 0]])
    aev = AEV(radial_shifts=[1.0], angular_shifts=[1.2], angles=[np.pi / 2], zeta=5)
    values = dict(
        zip(aev.fit([atoms]).get_feature_names_out(), aev.transform([atoms]).values[0])
    )
    radial = 2 * 0.25 * np.exp(-16 * 0.1**2) * cosine_cutoff(r, 5.2)
    angular = 2 * np.exp(-8 * 0.1**2) * cosine_cutoff(r, 3.5) ** 2
    expected = {"AEV_H_rs1": radial, "AEV_H-H_rs1.2_theta1.5708": angular}
    for name, value in values.items():
        assert value == pytest.approx(expected.get(name, 0.0), rel=1e-14), name
    assert set(expected) <= set(values)


def test_atoms_in_a_line_have_finite_slopes():
    atoms = Atoms("CO2", [[0, 0, 0], [1.2, 0, 0], [-1.2, 0, 0]])
    features = AEV(zeta=1.0).fit_transform([atoms])
    jacobian = features.jacobian(0)
    assert np.isfinite(jacobian).all()
    np.testing.assert_allclose(
        np.einsum("pxf->px", jacobian),
        features.pullback(np.ones_like(features.values)),
        atol=1e-12,
    )


@pytest.mark.parametrize("r_cut", [3.5, 5.2])
def test_values_and_slopes_vanish_at_both_radii(r_cut):
    aev = AEV(radial_eta=0.5, angular_eta=0.5).fit([Atoms("H3")])
    angular = slice(16 if r_cut == 3.5 else 0, None)
    for gap in (1e-3, 1e-6, 0.0):
        atoms = Atoms("H3", [[0, 0, 0], [1.0, 0.5, 0], [-r_cut + gap, 0, 0]])
        features, near = aev.transform([atoms]), aev.transform([atoms[:2]])
        change = (features.values - near.values[[0, 1, 0]])[0, angular]
        last = np.isclose(features.pairs.vectors[:, 0], -r_cut + gap)
        slope = np.abs(features.jacobian(0)[last][..., angular]).max(initial=0.0)
        # the cosine ends like (1 - x)^2, with prefactors below 20
        assert np.abs(change).max() <= 20 * gap**2
        assert slope <= 20 * gap


def test_pairs_beyond_the_radii_count_for_nothing():
    from skatom.neighbors import neighbor_pairs

    atoms = ethanol()
    aev = AEV(2.6, r_cut_angular=2.0).fit([atoms])
    features = aev.transform([atoms])
    pairs = neighbor_pairs(features.structures, 5.0)
    assert pairs.n_pairs > features.pairs.n_pairs
    wide = aev.transform_pairs(features.structures, pairs)
    # the same neighbours may come in another order, so sums differ by rounding
    np.testing.assert_allclose(wide.values, features.values, atol=1e-13)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    far = np.linalg.norm(pairs.vectors, axis=1) >= 2.6
    assert not wide.pullback(g)[far].any()
    assert not wide.jacobian(0)[far].any()
    assert not aev.pushforward(pairs, pairs.vectors * far[:, None]).any()


def test_columns_of_another_order_of_species_are_those_of_another_fit():
    atoms = ethanol()
    renamed = atoms.copy()
    renamed.numbers = [{1: 8, 6: 1, 8: 6}[z] for z in atoms.numbers]  # H C O to O H C
    aev, other = AEV().fit([atoms]), AEV().fit([renamed])
    columns = other.columns_for(["O", "H", "C"])
    # neighbours are summed in the order of their species
    np.testing.assert_allclose(
        aev.transform([atoms]).values,
        other.transform([renamed]).values[:, columns],
        atol=1e-13,
    )


def test_presets_have_as_many_features_as_published():
    assert AEV.ani1x().fit([ethanol()]).n_atom_features_ == 384
    assert AEV.ani2x().fit([ethanol()]).n_atom_features_ == 1008


def test_real_powers_equal_those_of_numpy():
    from skatom.featurizers._aev.powers import quick_power
    from skatom.featurizers._simd.lanes import load, store

    @njit
    def run(x, exponent, out):
        for t in range(0, x.shape[1], 8):
            store(out, 0, t, quick_power(load(x, 0, t), exponent))

    x = np.concatenate([np.linspace(1e-3, 1.0, 796), [0.0, -1e-17, 1e-9, 0.5]])[None]
    out = np.empty_like(x)
    for exponent in (0.0, 1.0, 32.0, 14.1, 0.3):
        run(x, exponent, out)
        # log2 up to 30 carries one unit in the last place, times the exponent
        np.testing.assert_allclose(
            out, np.maximum(x, 0.0) ** exponent, rtol=3e-13, atol=2e-17
        )


def test_names_tell_close_shells_apart():
    aev = AEV(radial_shifts=[1.0, 1.0 + 1e-9], angular_shifts=1, angles=1)
    assert len(set(aev.fit([Atoms("H")]).get_feature_names_out())) == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"r_cut": 3.0}, "r_cut_angular=3.5 Å is larger than r_cut=3 Å"),
        ({"angular_eta": 500.0}, "angular_eta=500 makes shells that are too narrow"),
        ({"r_start": 3.6}, "r_start=3.6 Å leaves no room for angular_shifts"),
        ({"radial_shifts": [1.0, 9.0]}, "radial_shifts must lie .* entries 1 do not"),
        ({"angular_shifts": []}, "angular_shifts must be a number or a list"),
        ({"angles": ["a"]}, "angles must hold numbers only"),
        ({"angles": [0.1, 0.1]}, "angles holds a number twice"),
        ({"angles": [np.nan]}, "angles must lie between 0 and 3.142; entries 0"),
        ({"zeta": 0.5}, "'zeta' parameter of AEV must be"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AEV(**parameters).fit([Atoms("H")])


def test_columns_for_other_species_are_refused():
    with pytest.raises(ValueError, match="species must hold H, C, O in any order"):
        AEV().fit([ethanol()]).columns_for(["H", "C"])

"""AlchemicalCompression against SOAP's own contraction, weighted ACSF and counting."""

import pickle
from itertools import combinations_with_replacement

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from conftest import labelled, rattled
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skatom.elements._couplings import element_kernel
from skatom.featurizers import ACSF, AEV, GMP, SOAP, WeightedACSF
from skatom.models import AtomicRidge
from skatom.potential import make_potential
from skatom.preprocessing import AlchemicalCompression, AtomFeatureUnion

NAMES = ("CH3OH", "CH3SH", "H2O", "CH4")
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def frames():
    return [rattled(molecule(n), seed=k) for k, n in enumerate(NAMES)]


def compressed(featurizer, frames, U):
    features = featurizer.fit_transform(frames)
    return AlchemicalCompression(U.shape[1], init=U.T).fit_transform(features)


@pytest.mark.parametrize("n_components", [1, 2, 4])
def test_compressed_soap_is_soap_of_weighted_species(frames, n_components):
    U = RNG.normal(size=(4, n_components))
    ours = compressed(SOAP(4.0, n_max=3, l_max=2), frames, U)
    soap = SOAP(4.0, n_max=3, l_max=2, species_weights=U)
    theirs = soap.fit_transform(frames)
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-10, atol=1e-12)
    assert list(ours.feature_names) == list(soap.get_feature_names_out())
    g = RNG.normal(size=ours.values.shape)
    np.testing.assert_allclose(ours.pullback(g), theirs.pullback(g), atol=1e-11)


def test_one_pseudo_element_of_acsf_is_a_weighted_acsf(frames):
    U = RNG.uniform(0.5, 2.0, size=(4, 1))
    g2, g5 = [[0.5, 0.0], [1.0, 1.5]], [[0.01, 1, 1], [0.1, 4, -1]]
    ours = compressed(ACSF(4.0, g2=g2, g4=None, g5=g5), frames, U)
    weighted = WeightedACSF(4.0, g2=g2, g5=g5, weights=U, cutoff="cosine")
    theirs = weighted.fit_transform(frames)
    order = np.argsort([name[1:].replace("_0_", "_") for name in theirs.feature_names])
    plain = [n.replace("_J0-J0", "").replace("_J0", "") for n in ours.feature_names]
    np.testing.assert_allclose(
        ours.values[:, np.argsort(plain)], theirs.values[:, order], rtol=1e-10
    )


def test_two_pseudo_elements_weigh_pairs_of_neighbours_both_ways():
    """Two neighbours of one centre: one angle, whose weight is counted by hand."""
    positions = [[0, 0, 0], [0, 0, 1.1], [0, 1.3, 0]]
    acsf = ACSF(3.0, g2=[[0.5, 0.0]], g4=[[0.01, 1, 1]], species=["H", "C", "O"])
    U = RNG.normal(size=(3, 2))
    rows = {"H": U[0], "C": U[1], "O": U[2]}
    for j, k in combinations_with_replacement("HCO", 2):
        X = [Atoms(f"C{j}{k}", positions)]
        angle = acsf.fit_transform(X).values[0]
        name = f"G4_{min(j, k, key='HCO'.index)}-{max(j, k, key='HCO'.index)}"
        at = [n.startswith(name) for n in acsf.get_feature_names_out()].index(True)
        Y = compressed(acsf, X, U)
        found = dict(
            zip([n.split("_")[1] for n in Y.feature_names[2:]], Y.values[0, 2:])
        )
        u, v = rows[j], rows[k]
        expected = {
            "J0-J0": u[0] * v[0],
            "J0-J1": u[0] * v[1] + u[1] * v[0],
            "J1-J1": u[1] * v[1],
        }
        for pair, weight in expected.items():
            np.testing.assert_allclose(found[pair], weight * angle[at], rtol=1e-12)


@pytest.mark.parametrize(
    "featurizer", [ACSF(4.0), AEV(), SOAP(4.0, n_max=2, l_max=1)], ids=str
)
def test_as_many_pseudo_elements_as_species_give_the_features_back(frames, featurizer):
    ours = compressed(featurizer, frames, np.eye(4))
    species = featurizer.species_
    names = list(ours.feature_names)
    for k, symbol in enumerate(species):
        names = [n.replace(f"J{k}", symbol) for n in names]
    theirs = featurizer.fit_transform(frames)
    assert sorted(names) == sorted(theirs.feature_names)
    order = [list(theirs.feature_names).index(n) for n in names]
    np.testing.assert_array_equal(ours.values, theirs.values[:, order])


def test_columns_without_species_and_equal_names_are_kept_apart(frames):
    union = AtomFeatureUnion(
        [
            ("near", ACSF(3.0, g2=[[0.5, 0.0]], g4=None)),
            ("gmp", GMP(4.0, sigmas=(0.5,), max_order=1)),
            ("far", ACSF(6.0, g2=[[0.5, 0.0]], g4=None)),
        ]
    )
    features = union.fit_transform(frames)
    U = RNG.normal(size=(4, 2))
    Y = AlchemicalCompression(2, init=U.T).fit_transform(features)
    v = features.values
    np.testing.assert_allclose(Y.values[:, [0, 2]], v[:, :4] @ U, rtol=1e-12)
    np.testing.assert_allclose(Y.values[:, [1, 3]], v[:, -4:] @ U, rtol=1e-12)
    np.testing.assert_array_equal(Y.values[:, 4:], v[:, 4:-4])
    assert list(Y.feature_names)[4:] == list(features.feature_names)[4:-4]


def test_similar_elements_are_coupled_by_their_properties():
    kernel = element_kernel(["F", "Na", "Cl", "K", "Br"])
    np.testing.assert_allclose(np.diag(kernel), 1.0)
    assert kernel[2, 4] > kernel[2, 0] > kernel[2, 1]  # Cl: Br, then F, then Na
    d = (3.16 - 2.96, (1.02 - 1.20) / 0.5)
    np.testing.assert_allclose(kernel[2, 4], np.exp(-0.5 * np.dot(d, d)), rtol=1e-12)
    step = AlchemicalCompression(5).fit(
        ACSF(4.0, species=["F", "Na", "Cl", "K", "Br"]).fit_transform(
            [bulk("Na", "bcc")]
        )
    )
    U = step.alchemical_components_.T
    np.testing.assert_allclose(U @ U.T, kernel, atol=1e-12)
    assert step.species_ == ["F", "Na", "Cl", "K", "Br"]


@pytest.mark.parametrize("many", [False, True])
def test_pca_finds_the_directions_that_carry_most(frames, many, monkeypatch):
    """Each function of one pair of species, with the other species held fixed."""
    if many:
        monkeypatch.setattr("skatom.elements._couplings.GRAM_COLUMNS", 10)
    soap = SOAP(4.0, n_max=2, l_max=1)
    features = soap.fit_transform(frames)
    step = AlchemicalCompression(4, init="pca").fit(features)
    names = {name: k for k, name in enumerate(features.feature_names)}
    blocks, n_max, l_max = [], soap.n_max, soap.l_max
    for b in soap.species_:
        for l in range(l_max + 1):
            for n in range(n_max):
                for k in range(n_max):
                    columns = [
                        names.get(f"SOAP_{a}-{b}_n{n}_n{k}_l{l}",
                                  names.get(f"SOAP_{b}-{a}_n{k}_n{n}_l{l}"))
                        for a in soap.species_
                    ]  # fmt: skip
                    blocks.append(features.values[:, columns])
    _, sizes, directions = np.linalg.svd(np.concatenate(blocks), full_matrices=False)
    found = step.alchemical_components_
    np.testing.assert_allclose(np.abs(np.sum(found * directions, axis=1)), 1, rtol=1e-6)
    assert sizes[0] > sizes[1] > sizes[2]


def test_forces_pass_through(frames):
    labels = [
        labelled(rattled(molecule(n), seed=s)) for s in range(4) for n in NAMES[::2]
    ]
    y = [atoms.get_potential_energy() for atoms in labels]
    model = make_potential(
        SOAP(4.0, n_max=3, l_max=2), AlchemicalCompression(2), AtomicRidge(alpha=1e-6)
    ).fit(labels, y)
    atoms, h = labels[0].copy(), 1e-4
    force = model.predict_forces([atoms])[0][1, 2]
    up, down = atoms.copy(), atoms.copy()
    up.positions[1, 2] += h
    down.positions[1, 2] -= h
    e = model.predict([up, down])
    np.testing.assert_allclose(force, (e[1] - e[0]) / (2 * h), rtol=1e-5)
    assert abs(force) > 0.01
    again = pickle.loads(pickle.dumps(clone(model).fit(labels, y)))
    np.testing.assert_array_equal(again.predict(labels), model.predict(labels))


def test_single_precision_and_random_couplings(frames):
    features = ACSF(4.0, dtype="float32").fit_transform(frames)
    steps = [AlchemicalCompression(2, init="random", random_state=s) for s in (1, 1, 2)]
    U = [step.fit(features).alchemical_components_ for step in steps]
    np.testing.assert_array_equal(U[0], U[1])
    assert not np.allclose(U[0], U[2])
    assert steps[0].transform(features).values.dtype == np.float32


# -- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 5}, "n_components=5, but the features have 4 species"),
        ({"init": np.ones((4, 2))}, r"of shape \(2, 4\).*its shape is \(4, 2\)"),
        ({"init": [["a"] * 4] * 2}, r"of shape \(2, 4\).*all numbers"),
        ({"init": np.full((2, 4), np.nan)}, "init must be finite"),
        ({"init": "properties"}, "'init' parameter of AlchemicalCompression must be"),
    ],
)
def test_wrong_couplings_are_refused(frames, params, message):
    features = ACSF(4.0, g4=None).fit_transform(frames)
    with pytest.raises(ValueError, match=message):
        AlchemicalCompression(**params).fit(features)


def test_noble_gases_have_a_place_among_the_elements():
    kernel = element_kernel(["He", "Ne", "Ar", "Kr", "Xe", "Cs"])
    assert kernel[3, 2] > kernel[3, 5]
    assert np.isfinite(kernel).all()


def test_elements_without_properties_are_named():
    features = ACSF(4.0, g4=None).fit_transform(
        [Atoms("RfH", [[0, 0, 0], [0, 0, 2.0]])]
    )
    with pytest.raises(
        ValueError, match=r"no electronegativity of Rf.*'pca' or 'random'"
    ):
        AlchemicalCompression().fit(features)


def test_features_that_do_not_tell_species_apart_are_refused(frames):
    message = "No column is resolved by species.*'GMP.*' is the first of"
    with pytest.raises(ValueError, match=message):
        make_pipeline(GMP(), AlchemicalCompression()).fit(frames)


def test_rows_of_numbers_and_other_widths_are_refused(frames):
    with pytest.raises(TypeError, match=r"takes per-atom features.*ndarray has none"):
        AlchemicalCompression().fit(np.ones((3, 2)))
    step = AlchemicalCompression().fit(ACSF(4.0).fit_transform(frames))
    with pytest.raises(ValueError, match="X has 48 features per atom, but Alchemical"):
        step.transform(ACSF(4.0, g4=None).fit_transform(frames))

"""Features of whole structures through DScribe, and what all such transformers share."""

import pickle
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline

from skatom import Structures, predict_forces, predict_stress
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.featurizers import (
    LMBTR,
    MBTR,
    Composition,
    CoulombMatrix,
    EwaldSumMatrix,
    SineMatrix,
    ValleOganov,
)
from skatom.featurizers._structure_rows.dscribe import descriptor_class
from skatom.preprocessing import Pool

pytest.importorskip("dscribe")


def rattled(atoms, seed=0):
    atoms = atoms.copy()
    noise = np.random.default_rng(seed).normal(scale=0.08, size=(len(atoms), 3))
    atoms.positions += noise
    return atoms


def molecules():
    return [
        rattled(molecule(name), seed) for seed, name in enumerate(["H2O", "CH4", "H2"])
    ]


def crystals():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    frames = [salt.repeat((2, 1, 1)), salt, bulk("Na", cubic=True)]
    return [rattled(atoms, seed) for seed, atoms in enumerate(frames)]


CRYSTALS = [
    SineMatrix(),
    SineMatrix("eigenspectrum"),
    SineMatrix("random", random_state=0),
    EwaldSumMatrix(),
    EwaldSumMatrix("none"),
    ValleOganov(n_grid=8, r_cut=4.0),
    ValleOganov("angle", n_grid=8, r_cut=4.0),
    MBTR("cosine", n_grid=8, r_cut=3.0, weighting="smooth_cutoff"),
    MBTR("distance", n_grid=8, r_cut=4.0, normalization="valle_oganov"),
]
MOLECULES = [
    CoulombMatrix(),
    CoulombMatrix("eigenspectrum"),
    CoulombMatrix("random", random_state=0),
    CoulombMatrix(rows="atoms"),
    MBTR(n_grid=8),
    MBTR("atomic_number", n_grid=8),
    MBTR("distance", n_grid=8, weighting="unity", normalization="n_atoms"),
    LMBTR(n_grid=8),
    LMBTR("cosine", n_grid=8, r_cut=3.0, normalization="l2"),
    Composition(),
    Composition("counts"),
    Composition("properties"),
]
CASES = [pytest.param(t, crystals(), id=str(t)) for t in CRYSTALS] + [
    pytest.param(t, molecules(), id=str(t)) for t in MOLECULES
]
every = pytest.mark.parametrize(("transformer", "frames"), CASES)


def values(X):
    return X.values if isinstance(X, AtomFeatures) else np.asarray(X)


# -- what all share --------------------------------------------------------------------


@every
def test_rows_are_finite_and_named(transformer, frames):
    fitted = clone(transformer).fit(frames)
    found = fitted.transform(frames)
    names = fitted.get_feature_names_out()
    assert found.shape == (3, len(names))
    assert len(set(names)) == len(names)
    assert values(found).dtype == np.float64
    assert np.isfinite(values(found)).all()
    assert np.ptp(values(found), axis=0).any()


@every
def test_every_kind_of_sequence_gives_the_same(transformer, frames):
    import pandas as pd

    fitted = clone(transformer).fit(frames)
    expected = values(fitted.transform(frames))
    for X in (tuple(frames), Structures(frames), pd.Series(frames), iter(frames)):
        np.testing.assert_array_equal(values(fitted.transform(X)), expected)


@every
def test_structures_one_by_one_are_the_batch(transformer, frames):
    fitted = clone(transformer).fit(frames)
    alone = [values(fitted.transform([atoms])) for atoms in frames]
    batch = values(fitted.transform(frames))
    np.testing.assert_allclose(np.concatenate(alone), batch, rtol=1e-13, atol=1e-13)
    assert fitted.transform([]).shape == (0, batch.shape[1])


@every
def test_input_is_unchanged(transformer, frames):
    before = [atoms.copy() for atoms in frames]
    clone(transformer).fit(frames).transform(frames)
    assert all(a == b for a, b in zip(frames, before))


@every
def test_copies_are_alike(transformer, frames):
    fitted = clone(transformer).fit(frames)
    expected = values(fitted.transform(frames))
    twin = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(values(twin.transform(frames)), expected)
    fresh = clone(fitted).fit(frames)
    np.testing.assert_array_equal(values(fresh.transform(frames)), expected)


@every
def test_pandas_output_has_names(transformer, frames):
    per_atom = isinstance(clone(transformer).fit_transform(frames), AtomFeatures)
    fitted = clone(transformer).set_output(transform="pandas")
    table = fitted.fit_transform(frames)
    if per_atom:
        assert isinstance(table, AtomFeatures)
    else:
        assert list(table.columns) == list(fitted.get_feature_names_out())
    with config_context(transform_output="pandas"):
        assert isinstance(clone(transformer).fit_transform(frames), AtomFeatures) == (
            per_atom
        )


@every
def test_threads_and_processes_agree(transformer, frames):
    fitted = clone(transformer).fit(frames)
    if "n_jobs" not in fitted.get_params():
        pytest.skip("too cheap for a second job")
    expected = values(fitted.transform(frames))
    with parallel_config(backend="threading"):  # processes would take seconds to start
        found = values(fitted.set_params(n_jobs=2).transform(frames))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_processes_give_the_same_as_one():
    mbtr = MBTR(n_grid=8).fit(molecules())
    expected = mbtr.transform(molecules())
    found = mbtr.set_params(n_jobs=2).transform(molecules())
    np.testing.assert_array_equal(found, expected)


@every
def test_unfitted_is_refused(transformer, frames):
    for call in (transformer.transform, transformer.get_feature_names_out):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call(frames)


@every
def test_atoms_that_are_nowhere_are_refused(transformer, frames):
    fitted = clone(transformer).fit(frames)
    broken = [atoms.copy() for atoms in frames]
    broken[1].positions[0, 2] = np.nan  # would end the interpreter inside DScribe
    with pytest.raises(ValueError, match="NaN or infinite at atoms 0 in structure 1"):
        fitted.transform(broken)


@every
def test_atoms_at_one_place_are_refused(transformer, frames):
    if isinstance(transformer, Composition):
        pytest.skip("does not look at positions")
    fitted = clone(transformer).fit(frames)
    broken = [atoms.copy() for atoms in frames]
    broken[1].positions[1] = broken[1].positions[0]
    with pytest.raises(ValueError, match="0 and 1 of structure 1 are at the same"):
        fitted.transform(broken)


@pytest.mark.parametrize("transformer", CRYSTALS, ids=str)
def test_unwrapped_atoms_are_their_images(transformer):
    fitted = clone(transformer).fit(crystals())
    if getattr(transformer, "permutation", "") == "random":
        pytest.skip("noise is drawn from the positions")
    moved = crystals()
    for atoms in moved:
        turns = np.random.default_rng(1).integers(-3, 4, (len(atoms), 3))
        atoms.positions += turns @ atoms.cell.array
    expected = fitted.transform(crystals())
    np.testing.assert_allclose(
        fitted.transform(moved), expected, atol=1e-9 * np.abs(expected).max()
    )


def turned(atoms, seed=3):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ rotation)
    copy.positions = atoms.positions @ rotation
    return copy


@every
def test_rotated_structures_are_the_same(transformer, frames):
    if getattr(transformer, "permutation", "") == "random":
        pytest.skip("noise is drawn from the positions")
    fitted = clone(transformer).fit(frames)
    found = values(fitted.transform([turned(atoms) for atoms in frames]))
    expected = values(fitted.transform(frames))
    # 1e-5 is the accuracy of the Ewald sums, whose radii cut shells of images
    tolerance = 1e-5 if isinstance(transformer, EwaldSumMatrix) else 1e-9
    np.testing.assert_allclose(
        found, expected, atol=tolerance * np.abs(expected).max(), rtol=0
    )


# -- against DScribe called by hand ----------------------------------------------------


@pytest.mark.peer
def test_sine_and_ewald_matrices_are_those_of_dscribe():
    frames = crystals()
    for atoms in frames:
        atoms.wrap()
    for name, ours in (("SineMatrix", SineMatrix), ("EwaldSumMatrix", EwaldSumMatrix)):
        for permutation in ("sorted_l2", "none", "eigenspectrum"):
            peer = descriptor_class(name)(n_atoms_max=4, permutation=permutation)
            expected = peer.create(frames)
            found = ours(permutation).fit_transform(frames)
            scale = np.abs(expected).max()  # LAPACK's eig and eigh differ by rounding
            np.testing.assert_allclose(found, expected, atol=1e-12 * scale, rtol=0)


@pytest.mark.peer
@pytest.mark.parametrize("normalization", ["l2", "n_atoms", "none"])
def test_mbtr_is_that_of_dscribe(normalization):
    frames = molecules()
    ours = MBTR("distance", r_cut=4.0, n_grid=8, normalization=normalization)
    peer = descriptor_class("MBTR")(
        geometry={"function": "distance"},
        grid={"min": 0, "max": 4, "n": 8, "sigma": 8 / 7},
        weighting={"function": "exp", "r_cut": 4.0, "threshold": 1e-3},
        normalization=normalization,
        species=["H", "C", "O"],
        periodic=True,
    )
    for atoms in frames:
        atoms.set_cell(np.eye(3))  # which DScribe asks for even where nothing repeats
    found = ours.fit_transform(frames)
    np.testing.assert_allclose(found, peer.create(frames), rtol=1e-13, atol=1e-15)
    for pair in (("H", "H"), ("H", "O"), ("C", "O")):
        names = ours.get_feature_names_out()[peer.get_location(pair)]
        assert all(name.startswith(f"distance_{'-'.join(pair)}_") for name in names)


@pytest.mark.peer
@pytest.mark.parametrize("geometry", ["distance", "angle"])
def test_valle_oganov_is_that_of_dscribe(geometry):
    frames = crystals()
    for atoms in frames:
        atoms.wrap()
    ours = ValleOganov(geometry, n_grid=8, r_cut=4.0, sigma=0.5)
    peer = descriptor_class("ValleOganov")(
        species=["Na", "Cl"], function=geometry, n=8, sigma=0.5, r_cut=4.0
    )
    expected = peer.create(frames)
    found = ours.fit_transform(frames)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.peer
@pytest.mark.parametrize("geometry", ["distance", "cosine"])
def test_columns_of_lmbtr_are_where_dscribe_says(geometry):
    ours = LMBTR(geometry, n_grid=5).fit(molecules())
    weighting = {"function": "exp", "scale": 1.0, "threshold": 1e-3}
    peer = descriptor_class("LMBTR")(
        geometry={"function": geometry},
        grid=dict(ours.grid_),
        weighting=weighting,
        species=["H", "C", "O"],
        periodic=True,
    )
    names = ours.get_feature_names_out()
    assert len(names) == peer.get_number_of_features()
    places = {"distance": [("X", "H"), ("X", "O")]}.get(
        geometry,
        [("H", "X", "H"), ("H", "X", "O"), ("X", "H", "O"), ("X", "C", "C")],
    )
    for place in places:
        for name in names[peer.get_location(place)]:
            assert name.startswith(f"{geometry}_{'-'.join(place)}_")


@pytest.mark.peer
def test_triples_of_mbtr_are_where_dscribe_says():
    ours = MBTR("angle", n_grid=5).fit(molecules())
    peer = descriptor_class("MBTR")(**ours._settings())
    names = ours.get_feature_names_out()
    written = {"H-O-H": "HOH", "H-H-C": "CHH", "H-C-O": "HCO", "O-O-O": "OOO"}
    for expected, place in written.items():
        for name in names[peer.get_location(tuple(place))]:
            assert name.startswith(f"angle_{expected}_")


def test_dscribe_itself_stays_as_it_is():
    from dscribe.core import System
    from dscribe.descriptors import MBTR as Peer
    from dscribe.descriptors import mbtr

    before = dict(vars(Peer)), vars(System)["from_atoms"], mbtr.System
    MBTR(n_grid=8).fit_transform(molecules())
    assert (dict(vars(Peer)), vars(System)["from_atoms"], mbtr.System) == before


def test_a_missing_dscribe_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dscribe.descriptors", None)
    with pytest.raises(ImportError, match=r'pip install "skatom\[dscribe\]"'):
        MBTR().fit_transform(molecules())


# -- physics ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transformer",
    [
        MBTR("distance", n_grid=8, r_cut=4.0, normalization="n_atoms"),
        MBTR("cosine", n_grid=8, r_cut=3.0),
        ValleOganov(n_grid=8, r_cut=4.0),
    ],
    ids=str,
)
def test_a_supercell_is_its_cell(transformer):
    atoms = rattled(bulk("NaCl", "rocksalt", a=5.6))
    fitted = clone(transformer).fit([atoms])
    one, many = fitted.transform([atoms, atoms.repeat((2, 1, 3))])
    # pairs exactly at the end of the weighting may be left out: 1e-3 of one weight
    np.testing.assert_allclose(one, many, atol=1e-9 * one.max(), rtol=1e-9)


def test_a_sheet_without_third_vector_is_one_in_a_high_cell():
    sheet = Atoms("CuO", [[0, 0, 0], [1.3, 1.4, 0.5]], cell=[2.9, 2.8, 0])
    sheet.pbc = [True, True, False]
    high = sheet.copy()
    high.cell[2, 2] = 50
    one, two = MBTR(n_grid=10, r_cut=4.0).fit_transform([sheet, high])
    np.testing.assert_allclose(one, two, atol=1e-12)


DIFFERENTIABLE = [
    (MBTR("distance", n_grid=10, r_cut=4.0), molecules()),
    (MBTR("inverse_distance", n_grid=10, weighting="inverse_square"), molecules()),
    (MBTR("cosine", n_grid=10, r_cut=3.0, normalization="n_atoms"), molecules()),
    (MBTR("distance", n_grid=10, r_cut=4.0, normalization="none"), crystals()),
    (ValleOganov(n_grid=10, r_cut=4.0), crystals()),
    (Composition(), molecules()),
]


def numerical_forces(model, atoms, step=1e-4):
    out = np.zeros((len(atoms), 3))
    for i, k in np.ndindex(out.shape):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, k] += sign * step
            energies.append(model.predict([moved])[0])
        out[i, k] = -(energies[0] - energies[1]) / (2 * step)
    return out


@pytest.mark.parametrize(("transformer", "frames"), DIFFERENTIABLE, ids=str)
def test_forces_are_those_of_central_differences(transformer, frames):
    model = make_pipeline(clone(transformer), Ridge(alpha=1e-9))
    model.fit(frames, [1.0, 3.0, -2.0])
    forces = predict_forces(model, frames)[0]
    expected = numerical_forces(model, frames[0])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(forces, expected, atol=1e-6 * scale)
    assert isinstance(transformer, Composition) or scale > 1e-3


def test_forces_pass_through_a_union():
    union = FeatureUnion([("shape", MBTR(n_grid=6)), ("what", Composition("counts"))])
    model = make_pipeline(union, Ridge()).fit(molecules(), [1.0, 3.0, -2.0])
    forces = predict_forces(model, molecules())
    expected = numerical_forces(model, molecules()[0])
    np.testing.assert_allclose(forces[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("step", "frames", "words"),
    [
        (MBTR("angle", n_grid=6), molecules(), "no derivatives of angles in degrees"),
        (ValleOganov("angle", n_grid=6), crystals(), "no derivatives of angles"),
        (SineMatrix(), crystals(), "SineMatrix does not carry derivatives back"),
        (
            make_pipeline(LMBTR(n_grid=6), Pool()),
            molecules(),
            "LMBTR has no derivatives",
        ),
    ],
)
def test_what_has_no_derivatives_says_so(step, frames, words):
    model = make_pipeline(step, Ridge()).fit(frames, [1.0, 3.0, -2.0])
    assert np.isfinite(model.predict(frames)).all()
    with pytest.raises(NoDerivativeError, match=words):
        predict_forces(model, frames)


def test_stress_is_refused():
    model = make_pipeline(MBTR(n_grid=6), Ridge()).fit(crystals(), [1.0, 3.0, -2.0])
    with pytest.raises(NoDerivativeError, match="by positions, but none by the cell"):
        predict_stress(model, crystals())


@pytest.mark.parametrize("call", ["pullback", "pushforward", "jacobian"])
def test_rows_of_lmbtr_refuse_to_be_differentiated(call):
    X = LMBTR(n_grid=6).fit_transform(molecules())[:1]
    with pytest.raises(NoDerivativeError, match="use ACSF, AEV or SOAP"):
        getattr(X, call)(*([] if call == "jacobian" else [np.zeros((3, 24))]))


def test_lmbtr_of_an_isolated_atom_is_zero_also_when_normalised():
    lone = Atoms("H")
    X = LMBTR(n_grid=6, normalization="l2").fit([lone]).transform([lone])
    assert not X.values.any()
    assert not MBTR(n_grid=6).fit([lone]).transform([lone]).any()


# -- the right words -------------------------------------------------------------------


@pytest.mark.parametrize("cls", [MBTR, LMBTR, ValleOganov])
def test_unseen_species_are_named(cls):
    frames = crystals()
    fitted = cls(n_grid=6, r_cut=3.0).fit(frames)
    frames[1].symbols[1] = "K"
    with pytest.raises(
        ValueError, match=rf"Structure 1, atom 1 is K, but {cls.__name__} knows"
    ):
        fitted.transform(frames)
    listed = cls(n_grid=6, r_cut=3.0, species=["K", "Na", "Cl"]).fit(crystals())
    assert listed.species_ == ["Na", "Cl", "K"]
    # of LMBTR's features of atoms a model tells by itself
    warned = nullcontext() if cls is LMBTR else pytest.warns(match="atom 1 is K, but")
    with warned:
        assert np.isfinite(values(listed.transform(frames))).all()


@pytest.mark.parametrize("cls", [SineMatrix, EwaldSumMatrix])
def test_larger_structures_are_refused(cls):
    frames = crystals()
    with pytest.raises(ValueError, match="Structure 0 has 4 atoms, but the matrix has"):
        cls().fit(frames[1:]).transform(frames)
    with pytest.raises(ValueError, match="set n_atoms_max=4 and fit again"):
        cls(n_atoms_max=3).fit(frames)
    assert cls(n_atoms_max=5).fit_transform(frames).shape == (3, 25)


@pytest.mark.parametrize("cls", [SineMatrix, EwaldSumMatrix, ValleOganov])
def test_molecules_are_refused_where_a_cell_is_needed(cls):
    fitted = cls().fit(crystals())
    with pytest.raises(ValueError, match="Structure 1 is not periodic in three direct"):
        fitted.transform([crystals()[0], molecule("H2O")])


@pytest.mark.parametrize(
    ("params", "frames", "words"),
    [
        ({"geometry": "angle", "weighting": "inverse_square"}, molecules(),
         "'inverse_square' is not for geometry='angle': use 'exp' or 'smooth_cutoff'"),
        ({"geometry": "distance", "weighting": "smooth_cutoff"}, molecules(),
         "'smooth_cutoff' is not for geometry='distance'"),
        ({"weighting": "unity"}, crystals(),
         "Structure 0 is periodic, and with weighting='unity' the sum"),
        ({"normalization": "valle_oganov"}, molecules(),
         "Structure 0 is not periodic in three directions"),
        ({"grid": (0, 1, 2)}, molecules(), "grid has shape [(]3,[)]; give its two ends"),
        ({"grid": (2, 1)}, molecules(), "grid is [(]2, 1[)]; give its two ends"),
        ({"species": ["H", "Xx"]}, molecules(), "species holds 'Xx', which is no"),
        ({"geometry": "dihedral"}, molecules(), "'geometry' parameter of MBTR must be"),
    ],
)  # fmt: skip
def test_wrong_options_of_mbtr_are_named(params, frames, words):
    with pytest.raises(ValueError, match=words):
        MBTR(**params).fit(frames)

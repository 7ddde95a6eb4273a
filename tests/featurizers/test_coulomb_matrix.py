"""The Coulomb matrix: values, order, derivatives, words. What it shares with other
transformers of structures is in test_dscribe_adapters.py."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline

from skatom import predict_forces
from skatom.features import NoDerivativeError
from skatom.featurizers import CoulombMatrix
from skatom.models import AtomicKernelRidge
from skatom.preprocessing import Pool

NAMES = ("H2O", "CH4", "CH3OH", "CO2", "C6H6")


def frames(scale=0.1):
    out = [molecule(name) for name in NAMES]
    for seed, atoms in enumerate(out):
        noise = np.random.default_rng(seed).normal(scale=scale, size=(len(atoms), 3))
        atoms.positions += noise
    return out


def test_two_atoms_worked_out_by_hand():
    atoms = Atoms("HO", [[0, 0, 0], [0, 0, 2.0]])
    row = CoulombMatrix(n_atoms_max=3).fit_transform([atoms])[0].reshape(3, 3)
    expected = [[0.5 * 8**2.4, 8 / 2, 0], [8 / 2, 0.5, 0], [0, 0, 0]]
    np.testing.assert_allclose(row, expected, rtol=1e-15)


@pytest.mark.peer
@pytest.mark.parametrize("permutation", ["sorted_l2", "eigenspectrum", "none"])
def test_values_are_those_of_dscribe(permutation):
    peer = pytest.importorskip("dscribe.descriptors").CoulombMatrix
    expected = peer(n_atoms_max=12, permutation=permutation).create(frames())
    found = CoulombMatrix(permutation).fit_transform(frames())
    # the eigenvalues of two LAPACK drivers differ by rounding
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())


def test_order_of_atoms_does_not_matter_once_sorted():
    atoms = frames()[2]
    mixed = atoms[[3, 1, 5, 0, 2, 4]]
    for permutation in ("sorted_l2", "eigenspectrum"):
        cm = CoulombMatrix(permutation).fit([atoms])
        np.testing.assert_allclose(
            cm.transform([mixed]), cm.transform([atoms]), rtol=0, atol=1e-12
        )
    rows = CoulombMatrix(rows="atoms").fit([atoms])
    np.testing.assert_allclose(
        rows.transform([mixed]).values,
        rows.transform([atoms]).values[[3, 1, 5, 0, 2, 4]],
        atol=1e-13,
    )
    kept = CoulombMatrix("none").fit([atoms])
    assert np.abs(kept.transform([mixed]) - kept.transform([atoms])).max() > 1


def test_a_symmetric_molecule_keeps_its_matrix_when_turned():
    benzene = molecule("C6H6")  # six norms equal but for rounding
    cm = CoulombMatrix().fit([benzene])
    expected = cm.transform([benzene])
    for seed in range(20):
        rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        turned = benzene.copy()
        turned.positions = benzene.positions @ rotation
        np.testing.assert_allclose(cm.transform([turned]), expected, atol=1e-12)


def test_rows_of_sorted_matrices_fall():
    matrices = CoulombMatrix().fit_transform(frames()).reshape(-1, 12, 12)
    norms = np.linalg.norm(matrices, axis=2)
    assert (np.diff(norms, axis=1) <= 1e-6 * norms.max()).all()
    np.testing.assert_array_equal(matrices, matrices.transpose(0, 2, 1))


def test_random_order_has_a_seed_and_needs_no_companions():
    X = frames()

    def rows(seed, sigma=20.0):
        cm = CoulombMatrix("random", sigma=sigma, random_state=seed).fit(X)
        return cm.transform(X), cm.transform(X[::-1])[::-1]

    first, backwards = rows(0)
    np.testing.assert_array_equal(first, backwards)
    np.testing.assert_array_equal(first, rows(0)[0])
    assert (first != rows(1)[0]).any()
    small = rows(0, sigma=1e-9)[0]
    np.testing.assert_array_equal(small, CoulombMatrix().fit_transform(X))
    np.testing.assert_array_equal(
        np.sort(first), np.sort(small)
    )  # the same entries, elsewhere


def test_rows_of_atoms_are_the_rows_of_the_matrix():
    X = frames()
    whole = CoulombMatrix("none").fit_transform(X).reshape(-1, 12, 12)
    rows = CoulombMatrix("none", rows="atoms").fit_transform(X)
    for s, atoms in enumerate(X):
        np.testing.assert_array_equal(rows[s].values, whole[s, : len(atoms)])
    assert rows.feature_names[:2] == ["C_0", "C_1"]


# -- derivatives -----------------------------------------------------------------------


def numerical_forces(model, atoms, step):
    out = np.zeros((len(atoms), 3))
    for i, k in np.ndindex(out.shape):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, k] += sign * step
            energies.append(model.predict([moved])[0])
        out[i, k] = -(energies[0] - energies[1]) / (2 * step)
    return out


@pytest.mark.parametrize("step", [1e-4, 3e-4])
@pytest.mark.parametrize(
    "steps",
    [
        (CoulombMatrix(),),
        (CoulombMatrix("none"),),
        (CoulombMatrix("eigenspectrum"),),
        (CoulombMatrix(rows="atoms"), Pool("sum", by_species=True)),
        (CoulombMatrix("none", rows="atoms"), Pool("mean")),
    ],
    ids=str,
)
def test_forces_are_those_of_central_differences(steps, step):
    X = frames()[:4]
    model = make_pipeline(*steps, KernelRidge(kernel="rbf", gamma=1e-4, alpha=1e-3))
    model.fit(X, [1.0, 2.0, 4.0, -3.0])
    for atoms, forces in zip(X, predict_forces(model, X)):
        expected = numerical_forces(model, atoms, step)
        assert np.abs(expected).max() > 1e-3
        # the error of central differences grows with the square of the step
        np.testing.assert_allclose(forces, expected, atol=10 * step**2)
        np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12)


def test_rows_of_atoms_agree_with_themselves_in_all_directions():
    X = CoulombMatrix(rows="atoms").fit_transform(frames())[[2, 0]]
    rng = np.random.default_rng(0)
    g = rng.normal(size=X.values.shape)
    v = rng.normal(size=(X.pairs.n_pairs, 3))
    np.testing.assert_allclose(np.sum(g * X.pushforward(v)), np.sum(v * X.pullback(g)))
    one = X[1]
    full = one.jacobian()
    g = rng.normal(size=one.values.shape)
    np.testing.assert_allclose(
        np.einsum("pkf,pf->pk", full, g[one.pairs.centers]), one.pullback(g)
    )


@pytest.mark.filterwarnings("ignore::skatom.labels.LabelWarning")  # made-up forces
def test_rows_of_atoms_train_a_model_on_forces():
    X = frames(scale=0.02)[:3]
    for seed, atoms in enumerate(X):
        shape = (len(atoms), 3)
        atoms.arrays["forces"] = np.random.default_rng(seed).normal(size=shape)
    model = make_pipeline(CoulombMatrix(rows="atoms"), AtomicKernelRidge())
    model.fit(X, [1.0, 2.0, 3.0])
    forces = predict_forces(model, X)
    expected = numerical_forces(model, X[0], 1e-4)
    np.testing.assert_allclose(forces[0], expected, atol=1e-5)


def test_a_random_order_has_no_forces():
    model = make_pipeline(CoulombMatrix("random"), KernelRidge()).fit(frames(), NAMES_Y)
    with pytest.raises(
        NoDerivativeError, match="jumps when atoms move: use 'sorted_l2'"
    ):
        predict_forces(model, frames())


NAMES_Y = np.arange(len(NAMES), dtype=float)


# -- the right words -------------------------------------------------------------------


def test_larger_molecules_are_refused():
    small = CoulombMatrix().fit(frames()[:2])
    with pytest.raises(
        ValueError,
        match=r"Structure 2 has 6 atoms, but the matrix has room for 5 \(2 such",
    ):
        small.transform([*frames()[:3], molecule("C6H6")])
    with pytest.raises(ValueError, match="set n_atoms_max=12 and fit again"):
        CoulombMatrix(n_atoms_max=4).fit(frames())


def test_crystals_are_refused():
    with pytest.raises(ValueError, match="Structure 1 is periodic, and the Coulomb"):
        CoulombMatrix().fit([molecule("H2"), bulk("Cu")])


@pytest.mark.parametrize("permutation", ["eigenspectrum", "random"])
def test_rows_of_atoms_need_a_matrix(permutation):
    with pytest.raises(
        ValueError, match="rows='atoms' has no meaning with permutation"
    ):
        CoulombMatrix(permutation, rows="atoms").fit(frames())


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"permutation": "sorted"}, "'permutation' parameter of CoulombMatrix must be"),
        ({"rows": "columns"}, "'rows' parameter of CoulombMatrix must be"),
        ({"n_atoms_max": 0}, "'n_atoms_max' parameter of CoulombMatrix must be"),
        ({"sigma": -1.0}, "'sigma' parameter of CoulombMatrix must be"),
    ],
)
def test_wrong_options_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        CoulombMatrix(**params).fit(frames())


def test_any_number_of_threads_gives_the_same():
    X = frames() * 500
    one = CoulombMatrix(n_jobs=1).fit_transform(X)
    two = CoulombMatrix(n_jobs=2).fit_transform(X)
    np.testing.assert_array_equal(one, two)

"""The Coulomb matrix of molecules, whole or atom by atom."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skatom._runtime.threads import run_chunks
from skatom._validation import (
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_random_state,
)
from skatom.base._atom_transformer import ReadsOnce
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.features._fitted_on import remember
from skatom.featurizers._structure_rows.base import warn_of_new_elements
from skatom.featurizers._structure_rows.coulomb_gradient import (
    CoulombOrigin,
    all_pairs,
    slopes,
)
from skatom.featurizers._structure_rows.matrix import (
    MATRIX_CONSTRAINTS,
    check_size,
    matrix_names,
    noise_of,
    spectra,
)
from skatom.neighbors import COINCIDENT, neighbor_pairs
from skatom.structures import Structures, check_structures

# Diagonal by atomic number: a fit to the energies of free atoms [1].
DIAGONAL = 0.5 * np.arange(119.0) ** 2.4


class CoulombMatrix(ReadsOnce, TransformerMixin, BaseEstimator):
    """Repulsion of nuclei: Z_i Z_j / r_ij, and 0.5 Z^2.4 on the diagonal.

    One row of features a molecule, padded with zeros to the size of the largest
    molecule seen in fit; or one row an atom, with derivatives.

    Parameters
    ----------
    permutation : {"sorted_l2", "eigenspectrum", "random", "none"}, default="sorted_l2"
        How the order of the atoms is made not to matter. ``"sorted_l2"`` sorts rows and
        columns by the norm of the rows, the largest first; ``"eigenspectrum"`` gives the
        eigenvalues only, the largest in magnitude first; ``"random"`` sorts by norms
        with noise of width ``sigma`` added, to train on several realisations; ``"none"``
        keeps the order of the atoms.
    rows : {"structure", "atoms"}, default="structure"
        ``"atoms"`` gives every atom its row of the matrix, as AtomFeatures, for models
        of sums over atoms. Columns are in the order of ``permutation``, "sorted_l2" or
        "none".
    n_atoms_max : int, default=None
        Number of atoms to pad to; by default that of the largest molecule in fit.
    sigma : float, default=1.0
        Width of the noise of ``"random"``, in units of the matrix.
    random_state : int, RandomState instance or None, default=None
        Seed of that noise.
    n_jobs : int, default=None
        Number of threads.

    Attributes
    ----------
    n_atoms_max_ : int
        Number of atoms that the rows are padded to.
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    SineMatrix : The same idea for crystals.
    EwaldSumMatrix : Electrostatics of crystals, summed in full.

    Notes
    -----
    Lengths are in Å, as in DScribe and qmllib; in Bohr the off-diagonal part is 1.9
    times smaller.

    Rows whose norms agree to single precision count as equal and keep the order of the
    atoms, so that rotating a symmetric molecule does not reorder its matrix. Where the
    norms of two different atoms cross, the sorted matrix jumps; forces are those of the
    side at hand. The eigenspectrum does not jump.

    The noise of "random" depends on ``random_state`` and on the molecule, not on its
    companions: the same molecule gets the same rows from a fitted instance, and others
    from one with another seed.

    References
    ----------
    .. [1] M. Rupp, A. Tkatchenko, K.-R. Müller and O. A. von Lilienfeld, Phys. Rev.
       Lett. 108, 058301 (2012). doi:10.1103/PhysRevLett.108.058301
    .. [2] G. Montavon et al., Advances in Neural Information Processing Systems 25
       (2012): sorted and random matrices.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import CoulombMatrix
    >>> frames = [molecule("H2O"), molecule("CH4")]
    >>> CoulombMatrix(permutation="eigenspectrum").fit_transform(frames).shape
    (2, 5)
    >>> CoulombMatrix(rows="atoms").fit_transform(frames).values.shape
    (8, 5)
    """

    _parameter_constraints: dict = {
        **MATRIX_CONSTRAINTS,
        "rows": [StrOptions({"structure", "atoms"})],
    }

    _warm_up = ({"permutation": "eigenspectrum"}, {}, {"rows": "atoms"})
    _shares_kernels_of = None

    def __init__(
        self,
        permutation="sorted_l2",
        *,
        rows="structure",
        n_atoms_max=None,
        sigma=1.0,
        random_state=None,
        n_jobs=None,
    ):
        self.permutation = permutation
        self.rows = rows
        self.n_atoms_max = n_atoms_max
        self.sigma = sigma
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the size of the largest molecule.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Molecules; periodic structures are refused.
        y : ignored

        Returns
        -------
        self : object
        """
        structures = _molecules(X)
        if self.rows == "atoms" and self.permutation not in ("sorted_l2", "none"):
            raise ValueError(
                f"rows='atoms' has no meaning with permutation={self.permutation!r}: "
                "use 'sorted_l2' or 'none'."
            )
        self._permutation, self._width = self.permutation, self.sigma
        self._by_atom = self.rows == "atoms"
        self.n_atoms_max_ = self.n_atoms_max or int(structures.n_atoms.max())
        check_size(structures, self.n_atoms_max_)
        vectors = self._by_atom or self.permutation == "eigenspectrum"
        self.n_features_out_ = self.n_atoms_max_ ** (1 if vectors else 2)
        remember(self, structures)
        self._numbers_of_fit = np.unique(structures.numbers)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        # rows of atoms are no table, so there is nothing for set_output to wrap
        self._sklearn_auto_wrap_output_keys = set() if self._by_atom else {"transform"}
        return self

    def transform(self, X):
        """Compute the matrices.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Molecules of at most ``n_atoms_max_`` atoms.

        Returns
        -------
        features : ndarray of shape (n_structures, ``n_features_out_``), or AtomFeatures
            A data frame after ``set_output(transform="pandas")``.

        Raises
        ------
        ValueError
            If a structure is periodic, larger than ``n_atoms_max_``, or has two atoms
            at the same place.

        Warns
        -----
        UserWarning
            If rows are of structures, and one has an element that no structure of fit has.
        """
        if not hasattr(self, "n_atoms_max_"):  # asking for tags takes 0.1 ms
            check_is_fitted(self)
        structures = _molecules(X, allow_empty=True)
        check_size(structures, self.n_atoms_max_)
        values, ranks = self._compute(structures)
        if self._by_atom:
            return self._atom_features(structures, values, ranks)
        warn_of_new_elements(self, structures)
        if self._permutation == "eigenspectrum":
            return spectra(self._square(values), structures.n_atoms)[0]
        return values

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Name the columns: ``C_0_1`` for an entry, ``eigenvalue_0`` for an eigenvalue.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, shape (``n_features_out_``,)
        """
        check_is_fitted(self)
        if self._by_atom:
            names = [f"C_{k}" for k in range(self.n_atoms_max_)]
            return np.array(names, dtype=object)
        return matrix_names(self._permutation, self.n_atoms_max_)

    def set_output(self, *, transform=None):
        """Choose what transform gives; rows of atoms stay AtomFeatures.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None

        Returns
        -------
        self : object
        """
        if self.rows == "atoms":
            return self
        return super().set_output(transform=transform)

    def pullback_structures(self, X, g: np.ndarray) -> np.ndarray:
        """Carry a gradient by the columns back to the positions of the atoms.

        Parameters
        ----------
        X : sequence of ase.Atoms
        g : ndarray of shape (n_structures, ``n_features_out_``)
            dE/dfeatures.

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, 3)
            dE/dR, in eV/Å when E is in eV.

        Raises
        ------
        NoDerivativeError
            For ``permutation="random"``.
        """
        check_is_fitted(self)
        if self._permutation == "random":
            raise NoDerivativeError(
                "CoulombMatrix(permutation='random') jumps when atoms move: use "
                "'sorted_l2' or 'eigenspectrum' for forces."
            )
        structures = _molecules(X)
        check_size(structures, self.n_atoms_max_)
        values, ranks = self._compute(structures)
        if self._permutation == "eigenspectrum":
            vectors = spectra(self._square(values), structures.n_atoms)[1]
            blocks = [(v * row[: len(v)]) @ v.T for v, row in zip(vectors, g)]
        else:
            blocks = []
            for square, a, b in zip(
                self._square(g), structures.offsets[:-1], structures.offsets[1:]
            ):
                blocks.append(square[np.ix_(ranks[a:b], ranks[a:b])])
        # each pair of atoms stands twice, as do its entries (i, j) and (j, i)
        entries = [block[~np.eye(len(block), dtype=bool)] for block in blocks]
        pairs = all_pairs(structures)
        return -pairs.forces(slopes(pairs) * np.concatenate(entries)[:, None])

    def _compute(self, structures: Structures) -> tuple[np.ndarray, np.ndarray]:
        """Give matrices (n_structures, n_max²) or rows of atoms, and columns of atoms."""
        from skatom.featurizers._structure_rows.coulomb_kernels import (
            atom_rows,
            matrices,
        )

        n_max, numbers, offsets = (
            self.n_atoms_max_, structures.numbers, structures.offsets
        )  # fmt: skip
        positions = np.concatenate(
            [np.zeros((0, 3)), *[atoms.positions for atoms in structures.frames]]
        )
        noise = np.zeros(len(numbers))
        if self._permutation == "random":
            noise = noise_of(structures, self._width, self._seed)
        is_sorted = self._permutation in ("sorted_l2", "random")
        kernel = atom_rows if self._by_atom else matrices
        shape = (len(numbers), n_max) if self._by_atom else (len(structures), n_max**2)
        values, ranks = np.zeros(shape), np.empty(len(numbers), dtype=np.int64)
        molecules = (positions, numbers, offsets)

        def task(start: int, stop: int) -> None:
            kernel(
                molecules, DIAGONAL, is_sorted, noise, start, stop, ranks, values
            )  # fmt: skip

        run_chunks(task, offsets, self.n_jobs)
        if not np.isfinite(values.sum()):
            neighbor_pairs(structures, COINCIDENT)  # tells which atoms coincide
        return values, ranks

    def _square(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(-1, self.n_atoms_max_, self.n_atoms_max_)

    def _atom_features(self, structures, values, ranks) -> AtomFeatures:
        pairs = all_pairs(structures)
        offsets = structures.offsets
        origin = CoulombOrigin(self, pairs, ranks[pairs.neighbors], offsets)
        return AtomFeatures(values, offsets, pairs.numbers, structures, origin)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


def _molecules(X, allow_empty: bool = False) -> Structures:
    structures = check_structures(X, allow_empty=allow_empty)
    periodic = np.concatenate([[], *[atoms.pbc for atoms in structures.frames]])
    if periodic.any():
        s = int(np.argmax(periodic)) // 3
        raise ValueError(
            f"Structure {s} is periodic, and the Coulomb matrix knows no images: use "
            "SineMatrix or EwaldSumMatrix, or set pbc=False if it is a molecule in a box."
        )
    return structures

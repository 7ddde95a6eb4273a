"""The Ewald sum matrix of crystals."""

from __future__ import annotations

from skatom._validation import Interval, Real
from skatom.featurizers._structure_rows.crystals import CrystalMatrix


class EwaldSumMatrix(CrystalMatrix):
    """Electrostatic energy of each pair of nuclei of a crystal with all their images.

    Entry (i, j) is the Ewald sum over the sublattices of atoms i and j, in a background
    that makes them neutral. Computed by DScribe (``pip install "skatom[dscribe]"``).

    Parameters
    ----------
    permutation : {"sorted_l2", "eigenspectrum", "random", "none"}, default="sorted_l2"
        How the order of the atoms is made not to matter, as in :class:`CoulombMatrix`.
    accuracy : float, default=1e-5
        Relative size of the terms that the sums leave out, which sets their radii.
    n_atoms_max : int, default=None
        Number of atoms to pad to; by default that of the largest structure in fit.
    sigma : float, default=1.0
        Width of the noise of ``"random"``, in units of the matrix.
    random_state : int, RandomState instance or None, default=None
        Seed of that noise.
    n_jobs : int, default=None
        Number of processes.

    Attributes
    ----------
    n_atoms_max_ : int
        Number of atoms that the rows are padded to.
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    SineMatrix : Much cheaper, without lattice sums.
    CoulombMatrix : For molecules, with forces.

    Notes
    -----
    There are no derivatives. The screening of the sums follows from the cell as in [2]_
    and does not change the entries beyond ``accuracy``.

    References
    ----------
    .. [1] F. Faber, A. Lindmaa, O. A. von Lilienfeld and R. Armiento, Int. J. Quantum
       Chem. 115, 1094 (2015). doi:10.1002/qua.24917
    .. [2] R. A. Jackson and C. R. A. Catlow, Mol. Simul. 1, 207 (1988).
       doi:10.1080/08927022.2013.840898

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.featurizers import EwaldSumMatrix
    >>> frames = [bulk("NaCl", "rocksalt", a=5.6), bulk("Cu", cubic=True)]
    >>> EwaldSumMatrix("eigenspectrum").fit_transform(frames).shape
    (2, 4)
    """

    _parameter_constraints: dict = {
        **CrystalMatrix._parameter_constraints,
        "accuracy": [Interval(Real, 0, 1, closed="neither")],
    }

    _dscribe_name = "EwaldSumMatrix"

    def __init__(
        self,
        permutation="sorted_l2",
        *,
        accuracy=1e-5,
        n_atoms_max=None,
        sigma=1.0,
        random_state=None,
        n_jobs=None,
    ):
        self.permutation = permutation
        self.accuracy = accuracy
        self.n_atoms_max = n_atoms_max
        self.sigma = sigma
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _options(self) -> dict:
        return {"accuracy": self.accuracy}

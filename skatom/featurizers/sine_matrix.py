"""The sine matrix of crystals."""

from skatom.featurizers._structure_rows.crystals import CrystalMatrix


class SineMatrix(CrystalMatrix):
    r"""Coulomb matrix of a crystal with a periodic stand-in for the distance.

    Entries are Z_i Z_j / \|B sum_k e_k sin²(pi e_k B⁻¹ r_ij)\| with the cell B, and
    0.5 Z^2.4 on the diagonal: as cheap as the Coulomb matrix, and free of lattice sums.
    Computed by DScribe (``pip install "skatom[dscribe]"``).

    Parameters
    ----------
    permutation : {"sorted_l2", "eigenspectrum", "random", "none"}, default="sorted_l2"
        How the order of the atoms is made not to matter, as in :class:`CoulombMatrix`.
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
    EwaldSumMatrix : Electrostatics of crystals, summed in full.
    CoulombMatrix : For molecules, with forces.

    Notes
    -----
    There are no derivatives. The matrix depends on the choice of the cell: a supercell
    has other features than its primitive cell.

    References
    ----------
    .. [1] F. Faber, A. Lindmaa, O. A. von Lilienfeld and R. Armiento, Int. J. Quantum
       Chem. 115, 1094 (2015). doi:10.1002/qua.24917

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.featurizers import SineMatrix
    >>> frames = [bulk("NaCl", "rocksalt", a=5.6), bulk("Cu", cubic=True)]
    >>> SineMatrix().fit_transform(frames).shape
    (2, 16)
    """

    _dscribe_name = "SineMatrix"

    def __init__(
        self,
        permutation="sorted_l2",
        *,
        n_atoms_max=None,
        sigma=1.0,
        random_state=None,
        n_jobs=None,
    ):
        self.permutation = permutation
        self.n_atoms_max = n_atoms_max
        self.sigma = sigma
        self.random_state = random_state
        self.n_jobs = n_jobs

"""Symmetry functions as other packages define them by default.

Each function gives an :class:`~skatom.featurizers.ACSF` whose values equal those of the
package it is named after. What differs between packages is easily mixed up: the numbers
of the functions, whether eta is divided by r_cut², and the order of columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skatom.featurizers._acsf.grids import acsf_grid
from skatom.featurizers.acsf import ACSF

# Four etas from 0.05 to 5 on a logarithmic scale, in units of 1/r_cut².
AMP_ETAS = tuple(np.logspace(np.log10(0.05), np.log10(5.0), 4))
AMP_ANGULAR = ((0.005,), (1.0, 4.0), (1.0, -1.0))


def amp_acsf(r_cut: float = 6.5, *, cutoff: str = "cosine", **parameters) -> ACSF:
    """Give the default Gaussian descriptor of Amp.

    G2 with four eta and r_s = 0, G4 with eta = 0.005, zeta = 1, 4 and both lambda; every
    eta is divided by r_cut².

    Parameters
    ----------
    r_cut : float, default=6.5
        In Å.
    cutoff : {"cosine", "polynomial"}, default="cosine"
        The latter with gamma = 4.
    **parameters
        Other parameters of :class:`ACSF`.

    Returns
    -------
    acsf : ACSF

    References
    ----------
    .. [1] A. Khorshidi and A. A. Peterson, Comput. Phys. Commun. 207, 310 (2016).
       doi:10.1016/j.cpc.2016.05.010

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers.acsf_presets import amp_acsf
    >>> amp_acsf().fit_transform([molecule("H2O")]).values.shape
    (3, 20)
    """
    return ACSF(
        r_cut,
        g2=acsf_grid(AMP_ETAS, [0.0]),
        g4=acsf_grid(*AMP_ANGULAR),
        eta_scale="rc2",
        cutoff=cutoff,
        **parameters,
    )


def ml4chem_acsf(
    r_cut: float = 6.5,
    *,
    angular_type: str = "G3",
    normalized: bool = True,
    **parameters,
) -> ACSF:
    """Give the default Gaussian features of ML4Chem.

    The functions are those of Amp under other names: what ML4Chem calls "G3" is Behler's
    G4, and its "G4" is Behler's G5.

    Parameters
    ----------
    r_cut : float, default=6.5
        In Å.
    angular_type : {"G3", "G4"}, default="G3"
        In ML4Chem's naming.
    normalized : bool, default=True
        Whether every eta is divided by r_cut².
    **parameters
        Other parameters of :class:`ACSF`.

    Returns
    -------
    acsf : ACSF

    Raises
    ------
    ValueError
        If ``angular_type`` is neither "G3" nor "G4".

    References
    ----------
    .. [1] M. El Khatib and W. A. de Jong, arXiv:2003.13388 (2020).

    Examples
    --------
    >>> from skatom.featurizers.acsf_presets import ml4chem_acsf
    >>> ml4chem_acsf(angular_type="G4").g4 is None
    True
    """
    if angular_type not in ("G3", "G4"):
        raise ValueError(
            f'angular_type must be "G3" or "G4" in the naming of ML4Chem, not '
            f"{angular_type!r}: its G3 is Behler's G4, its G4 is Behler's G5."
        )
    angular = acsf_grid(*AMP_ANGULAR)
    return ACSF(
        r_cut,
        g2=acsf_grid(AMP_ETAS, [0.0]),
        g4=angular if angular_type == "G3" else None,
        g5=angular if angular_type == "G4" else None,
        eta_scale="rc2" if normalized else "none",
        **parameters,
    )


def amptorch_acsf(
    r_cut: float = 6.0,
    *,
    g2_etas: Sequence[float] = AMP_ETAS,
    g2_centres: Sequence[float] = (0.0,),
    g4: tuple | None = AMP_ANGULAR,
    g5: tuple | None = None,
    **parameters,
) -> ACSF:
    """Give the Gaussian fingerprints of AmpTorch, by default those of its examples.

    AmpTorch divides eta by r_cut² for G2 and G4 but not for G5.

    Parameters
    ----------
    r_cut : float, default=6.0
        In Å.
    g2_etas, g2_centres : sequence of float
        eta, times r_cut², and r_s in Å ("rs_s") of G2.
    g4, g5 : tuple of three sequences, or None
        eta, zeta and gamma (lambda) of G4 and G5; eta times r_cut² for G4, and in 1/Å²
        for G5.
    **parameters
        Other parameters of :class:`ACSF`.

    Returns
    -------
    acsf : ACSF

    References
    ----------
    .. [1] K. Lee, D. Yoo, W. Jeong and S. Han, Comput. Phys. Commun. 242, 95 (2019),
       the code that AmpTorch's fingerprints derive from.
       doi:10.1016/j.cpc.2019.04.014

    Examples
    --------
    >>> from skatom.featurizers.acsf_presets import amptorch_acsf
    >>> amptorch_acsf(5.0, g4=None, g5=((0.01,), (1,), (1,))).g5.tolist()
    [[0.25, 1.0, 1.0]]
    """
    unscaled = None
    if g5 is not None:
        unscaled = acsf_grid(*g5) * [r_cut**2, 1.0, 1.0]
    return ACSF(
        r_cut,
        g2=acsf_grid(g2_etas, g2_centres),
        g4=None if g4 is None else acsf_grid(*g4),
        g5=unscaled,
        eta_scale="rc2",
        **parameters,
    )


def dscribe_acsf(
    r_cut: float, g2_params=None, g4_params=None, g5_params=None, **parameters
) -> ACSF:
    """Give the functions of DScribe's ACSF; `dscribe_order` gives its columns.

    DScribe always puts G1, the bare sum of cutoffs, before the G2 functions of a species;
    G1 is G2 with eta = 0. Its G3 has no counterpart here.

    Parameters
    ----------
    r_cut : float
        In Å.
    g2_params : list of (eta, r_s), default=None
    g4_params, g5_params : list of (eta, zeta, lambda), default=None
    **parameters
        Other parameters of :class:`ACSF`.

    Returns
    -------
    acsf : ACSF

    References
    ----------
    .. [1] L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
       doi:10.1016/j.cpc.2019.106949

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers.acsf_presets import dscribe_acsf, dscribe_order
    >>> acsf = dscribe_acsf(5.0, g2_params=[(1, 0)]).fit([molecule("H2O")])
    >>> acsf.get_feature_names_out()[dscribe_order(acsf)].tolist()
    ['G2_H_eta0_rs0', 'G2_H_eta1_rs0', 'G2_O_eta0_rs0', 'G2_O_eta1_rs0']
    """
    g2 = [(0.0, 0.0), *(() if g2_params is None else map(tuple, g2_params))]
    return ACSF(r_cut, g2=g2, g4=g4_params, g5=g5_params, **parameters)


def dscribe_order(acsf: ACSF) -> np.ndarray:
    """Give the columns of a fitted ACSF in the order in which DScribe has them.

    DScribe sorts pairs of species as 00 01 11 02 12 22, and puts G4 and G5 of one pair
    next to each other.

    Parameters
    ----------
    acsf : ACSF
        Fitted.

    Returns
    -------
    order : ndarray of int, shape (n_features,)
        ``values[:, order]`` has DScribe's columns.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers.acsf_presets import dscribe_acsf, dscribe_order
    >>> acsf = dscribe_acsf(5.0, g4_params=[(0.1, 1, 1)]).fit([molecule("CH3OH")])
    >>> dscribe_order(acsf).tolist()
    [0, 1, 2, 3, 4, 6, 5, 7, 8]
    """
    n = len(acsf.species_)
    n_pairs = n * (n + 1) // 2
    first = n * len(acsf.g2_)
    g4 = first + np.arange(n_pairs * len(acsf.g4_)).reshape(n_pairs, -1)
    first += g4.size
    g5 = first + np.arange(n_pairs * len(acsf.g5_)).reshape(n_pairs, -1)
    place = {pair: k for k, pair in enumerate(zip(*np.triu_indices(n)))}
    pairs = [place[a, b] for b in range(n) for a in range(b + 1)]
    angular = np.hstack([g4, g5])[pairs]
    return np.concatenate([np.arange(n * len(acsf.g2_)), angular.ravel()])

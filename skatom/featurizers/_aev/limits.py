"""Limits of the radii and exponents of shells of triples."""

from __future__ import annotations

# W of a triple is a product of exponentials up to exp(eta r_cut²/4); see the kernels.
MAX_ANGULAR_DECAY = 2000.0


def check_shells(r_cut: float, r_cut_angular: float, angular_eta: float) -> None:
    """Refuse shells beyond the neighbours that are listed, or too narrow to compute.

    Parameters
    ----------
    r_cut, r_cut_angular : float
        In Å.
    angular_eta : float
        In 1/Å².
    """
    if r_cut_angular > r_cut:
        raise ValueError(
            f"r_cut_angular={r_cut_angular:g} Å is larger than r_cut={r_cut:g} Å, to "
            "which neighbours are listed. Make r_cut at least as large."
        )
    if angular_eta * r_cut_angular**2 > MAX_ANGULAR_DECAY:
        limit = MAX_ANGULAR_DECAY / r_cut_angular**2
        raise ValueError(
            f"angular_eta={angular_eta:g} makes shells that are too narrow to be "
            f"computed; with r_cut_angular={r_cut_angular:g} Å it may be up to "
            f"{limit:.4g} per Å²."
        )

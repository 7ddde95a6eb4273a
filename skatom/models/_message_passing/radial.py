"""Functions of a distance: radial bases and the cutoffs that take them to zero."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Keeps the mollifier away from its essential singularity at the cutoff.
MOLLIFIER_MARGIN = 1e-7


class GaussianBasis(nn.Module):
    """Gaussians at equal distances from 0 to the cutoff, as wide as they are apart [1]_.

    Parameters
    ----------
    n_basis : int
    r_cut : float
        In Å.

    References
    ----------
    .. [1] K. T. Schuett et al., J. Chem. Phys. 148, 241722 (2018),
       doi:10.1063/1.5019779.
    """

    def __init__(self, n_basis: int, r_cut: float):
        super().__init__()
        centers = torch.linspace(0.0, r_cut, n_basis, dtype=torch.float64)
        spacing = float(centers[1] - centers[0]) if n_basis > 1 else r_cut
        self.exponent = -0.5 / spacing**2
        self.register_buffer("centers", centers)

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate all functions, (n_pairs,) to (n_pairs, n_basis)."""
        return torch.exp(self.exponent * (distances[:, None] - self.centers) ** 2)


class BesselBasis(nn.Module):
    """Spherical Bessel functions of order zero, sin(n pi r / r_cut) / r [1]_.

    Parameters
    ----------
    n_basis : int
    r_cut : float
        In Å.

    References
    ----------
    .. [1] J. Gasteiger, J. Gross, S. Guennemann, ICLR 2020, arXiv:2003.03123, eq. 6.
    """

    def __init__(self, n_basis: int, r_cut: float):
        super().__init__()
        orders = torch.arange(1, n_basis + 1, dtype=torch.float64)
        self.register_buffer("frequencies", orders * math.pi / r_cut)

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate all functions, (n_pairs,) to (n_pairs, n_basis)."""
        r = distances[:, None]
        return torch.sin(r * self.frequencies) / r


class CosineCutoff(nn.Module):
    """Cutoff (1 + cos(pi r / r_cut)) / 2 inside the cutoff, 0 outside.

    Parameters
    ----------
    r_cut : float
        In Å.
    """

    def __init__(self, r_cut: float):
        super().__init__()
        self.r_cut = r_cut

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate, shape as `distances`."""
        inside = (distances < self.r_cut).to(distances.dtype)
        return 0.5 * (1.0 + torch.cos(distances * (math.pi / self.r_cut))) * inside


class MollifierCutoff(nn.Module):
    """Cutoff exp(1 - 1 / (1 - (r / r_cut)^2)), 0 outside; all slopes vanish there.

    Parameters
    ----------
    r_cut : float
        In Å.
    """

    def __init__(self, r_cut: float):
        super().__init__()
        self.r_cut = r_cut

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate, shape as `distances`."""
        inside = distances + MOLLIFIER_MARGIN < self.r_cut
        square = (torch.where(inside, distances, 0.0) / self.r_cut) ** 2
        return torch.exp(1.0 - 1.0 / (1.0 - square)) * inside.to(distances.dtype)


BASES: dict[str, type[nn.Module]] = {"gaussian": GaussianBasis, "bessel": BesselBasis}
CUTOFFS: dict[str, type[nn.Module]] = {
    "cosine": CosineCutoff,
    "mollifier": MollifierCutoff,
}

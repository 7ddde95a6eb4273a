"""Positive numbers beside an energy, and the losses that they are learned by."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

# Smallest variance of an atom, in squares of the unit of spreads: a thousandth of it.
SMALLEST_VARIANCE = 1e-6


def positive_spreads(rows: Tensor, n_spreads: int, unit: float) -> Tensor:
    """Make the last columns of what atoms contribute positive.

    Parameters
    ----------
    rows : Tensor of shape (n_atoms, n_outputs)
    n_spreads : int
    unit : float
        Root of what they are at first, about.
    """
    if not n_spreads:
        return rows
    raw = rows[:, -n_spreads:]
    positive = unit**2 * (softplus(raw) + SMALLEST_VARIANCE)
    return torch.cat([rows[:, :-n_spreads], positive], 1)


def gaussian_loss(error: Tensor, variance: Tensor, beta: float, unit: float) -> Tensor:
    """Give twice the negative log likelihood, weighted by powers of the variance.

    Eq. 5 of M. Seitzer et al., ICLR 2022, arXiv:2203.09168; with beta = 0 that of D. A.
    Nix and A. S. Weigend, ICNN 1994, doi:10.1109/ICNN.1994.374138. With beta = 1, errors
    are learned as by their squares. Variances are counted in squares of the unit and the
    loss is multiplied by that, so that where they are about one, as at first, errors
    weigh as much as their squares for any beta, beside those of forces.

    Parameters
    ----------
    error, variance : Tensor of shape (n,)
    beta : float
    unit : float
    """
    relative = variance / unit**2
    loss = unit**2 * relative.log() + error.square() / relative
    return loss * relative.detach() ** beta if beta else loss


def quantile_loss(error: Tensor, spreads: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Give twice the pinball loss, averaged over quantiles [1]_.

    That of the median alone is the absolute error.

    Parameters
    ----------
    error : Tensor of shape (n,)
        Median minus target.
    spreads : Tensor of shape (n, n_quantiles - 1)
        Squares of the distances between neighbouring quantiles.
    quantiles : sequence of float
        Ascending, with 0.5 among them.

    References
    ----------
    .. [1] R. Koenker, G. Bassett, Econometrica 46, 33 (1978), doi:10.2307/1913643.
    """
    heights = spreads.sqrt().cumsum(1)
    heights = torch.cat([torch.zeros_like(error)[:, None], heights], 1)
    heights = heights - heights[:, quantiles.index(0.5), None]
    below = -(error[:, None] + heights)  # target minus quantile
    levels = torch.tensor(quantiles, dtype=error.dtype, device=error.device)
    return 2 * torch.maximum(levels * below, (levels - 1) * below).mean(1)

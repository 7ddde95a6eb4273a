"""Variances and quantiles that networks give beside their predictions.

Atoms contribute positive numbers beside their share of the energy, which add up as the
energy does: the variance for "gaussian_nll", the squares of the distances between
neighbouring quantiles for "quantile". So error bars grow as the root of the number of
atoms, as those of independent errors do, and quantiles cannot cross.
"""

from __future__ import annotations

import numpy as np

from skatom._validation import Real
from skatom.base import NoStandardDeviationError
from skatom.base._targets import as_targets

# Share of the largest target that standard deviations of atoms are begun with at least.
SMALLEST_SPREAD = 1e-6


def n_spreads(loss: str, quantiles) -> int:
    """Give how many positive numbers an atom contributes beside its share.

    Parameters
    ----------
    loss : str
    quantiles : sequence of float
    """
    return {"gaussian_nll": 1, "quantile": len(quantiles) - 1}.get(loss, 0)


def spread_shape(estimator, spread: float, y: np.ndarray, scale: float) -> dict:
    """Give what a fitted network remembers of its distribution.

    Parameters
    ----------
    estimator : NetworkEstimator
    spread : float
        What targets of an atom spread by, in the unit of y.
    y : ndarray
        Targets.
    scale : float
        Unit of training.
    """
    spread = max(spread, SMALLEST_SPREAD * float(np.abs(y).max())) or scale
    levels = tuple(map(float, estimator.quantiles))
    return {
        "n_spreads": n_spreads(estimator.loss, levels),
        "spread_unit": spread / scale,
        "quantiles": levels if estimator.loss == "quantile" else (),
    }


def check_distribution(estimator) -> None:
    """Refuse parameters that no distribution goes with.

    Parameters
    ----------
    estimator : NetworkEstimator
    """
    loss = estimator.loss
    if loss == "quantile":
        levels = list(estimator.quantiles)
        proper = all(isinstance(q, Real) and 0 < q < 1 for q in levels)
        if not proper or sorted(set(levels)) != levels or 0.5 not in levels:
            raise ValueError(
                f"quantiles is {estimator.quantiles}: give ascending numbers between 0 "
                "and 1, with the median 0.5, which is what predict gives, among them."
            )
    target = as_targets(estimator.target)[0]
    if n_spreads(loss, estimator.quantiles) and not target.adds_up:
        raise ValueError(
            f"loss={loss!r} adds up the spreads of atoms: it goes with targets of kind "
            f"'sum' or 'mean', and {target.name!r} is of kind {target.kind!r}. Use "
            "loss='mse', 'mae' or 'huber'."
        )
    if loss == "gaussian_nll" and estimator.optimizer == "lbfgs" and estimator.nll_beta:
        raise ValueError(
            "optimizer='lbfgs' searches along the slope of a loss, which weighted "
            f"likelihoods have not: set nll_beta, now {estimator.nll_beta}, to 0, or "
            "choose 'adam' or 'layerwise_adam'."
        )


def check_one_target(estimator, n_targets: int) -> None:
    """Refuse distributions of several targets.

    Parameters
    ----------
    estimator : NetworkEstimator
    n_targets : int
    """
    if n_targets > 1 and n_spreads(estimator.loss, estimator.quantiles):
        raise ValueError(
            f"y has {n_targets} columns, but loss={estimator.loss!r} is the distribution "
            "of a single target: fit one network a column."
        )


def check_same_distribution(estimator, shape: dict) -> None:
    """Refuse to go on from a network that was built for another distribution.

    Parameters
    ----------
    estimator : NetworkEstimator
    shape : dict
        What the network remembers, see `spread_shape`.
    """
    wanted = spread_shape(estimator, 1.0, np.ones(1), 1.0)
    if any(wanted[key] != shape[key] for key in ("n_spreads", "quantiles")):
        kinds = [_named(one) for one in (wanted, shape)]
        raise ValueError(
            f"loss={estimator.loss!r} trains {kinds[0]}, but the network that goes on was "
            f"built for {kinds[1]}: set loss and quantiles as they were, or "
            "warm_start=False."
        )


def refuse_without_std(shape: dict, name: str) -> None:
    """Say why a network has no standard deviations, where that is so.

    Parameters
    ----------
    shape : dict
    name : str
        Of the class, for the message.
    """
    if shape["quantiles"] or not shape["n_spreads"]:
        raise NoStandardDeviationError(
            f"This {name} was trained for {_named(shape)} and knows no standard deviation "
            "of its own: train with loss='gaussian_nll', or use LastLayerRigidity, "
            "EnsembleRegressor or CalibratedStdRegressor(source='latent') of "
            "skatom.uncertainty (return_std=True)."
        )


def std_of(spreads: np.ndarray, shape: dict, name: str) -> np.ndarray:
    """Give standard deviations, or say why there are none.

    Parameters
    ----------
    spreads : ndarray of shape (n, n_spreads)
        In squares of the unit of y.
    shape : dict
    name : str
        Of the class, for the message.
    """
    refuse_without_std(shape, name)
    return np.sqrt(spreads[:, 0])


def quantiles_of(
    middle: np.ndarray, spreads: np.ndarray, shape: dict, name: str
) -> np.ndarray:
    """Give quantiles around medians, or say why there are none.

    Parameters
    ----------
    middle : ndarray of shape (n,)
    spreads : ndarray of shape (n, n_quantiles - 1)
        Squares of the distances between neighbouring quantiles.
    shape : dict
    name : str

    Returns
    -------
    quantiles : ndarray of shape (n, n_quantiles)
    """
    if not shape["quantiles"]:
        raise ValueError(
            f"This {name} was trained for {_named(shape)} and knows no quantiles: train "
            "with loss='quantile'."
        )
    heights = np.cumsum(np.sqrt(spreads), axis=1)
    heights = np.concatenate([np.zeros((len(middle), 1)), heights], axis=1)
    median = shape["quantiles"].index(0.5)
    return middle[:, None] + (heights - heights[:, [median]])


def with_spreads(
    y: np.ndarray,
    spreads: np.ndarray,
    shape: dict,
    name: str,
    return_std: bool,
    return_quantiles: bool,
):
    """Give predictions alone, or followed by what was asked for beside them."""
    found = [y]
    if return_std:
        found.append(std_of(spreads, shape, name))
    if return_quantiles:
        found.append(quantiles_of(y, spreads, shape, name))
    return tuple(found) if len(found) > 1 else y


def _named(shape: dict) -> str:
    if shape["quantiles"]:
        return f"quantiles {shape['quantiles']}"
    return "a variance" if shape["n_spreads"] else "its predictions alone"

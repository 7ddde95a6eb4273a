"""Parameters of a ConformalRegressor that do not go together."""

from __future__ import annotations

from skatom._validation import Integral, listing


def check_combination(model, fit_params: dict) -> None:
    """Refuse parameters that would be of no effect.

    Parameters
    ----------
    model : ConformalRegressor
    fit_params : dict
        What fit was given for the estimator.

    Raises
    ------
    ValueError
        Says which do not go together, and what to do.
    """
    method, cv = model.method, model.cv
    folds = method in ("cv+", "jackknife+")
    if fit_params and (cv == "prefit" or folds):
        reason = "does not fit" if cv == "prefit" else "hands nothing to"
        who = "cv='prefit'" if cv == "prefit" else f"method={method!r}"
        raise ValueError(
            f"{who} {reason} the estimator, so {listing(fit_params)} would not be used. "
            "Leave it out, or set cv=None and method='split'."
        )
    if method != "split" and cv == "prefit":
        raise ValueError(
            f"method={method!r} fits several models, so cv='prefit' has no meaning for "
            "it. Use method='split', or leave cv out."
        )
    if not folds and isinstance(cv, Integral):
        raise ValueError(
            f"cv={cv} is a number of folds, and method={method!r} has none. Use "
            "method='cv+', or say how many structures to hold out by calibration_size."
        )
    if folds and (model.groups is not None or model.floor is not None):
        raise ValueError(
            f"method={method!r} knows no groups and no floor. Use method='split', or "
            "leave them out."
        )
    absolute = isinstance(model.conformity_score, str)
    absolute = absolute and model.conformity_score == "absolute"
    if method == "cqr" and not (absolute and model.floor is None):
        raise ValueError(
            "method='cqr' takes its widths from two quantiles: leave conformity_score and "
            "floor out."
        )

"""Checks of the contract of regressors with scikit-learn and calculators."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from skatom.testing._comparisons import require_error


def check_predictions_are_energies(subject, frames, y):
    """``predict`` gives one finite float64 number for every structure."""
    predicted = subject.fitted.predict(frames)
    if not isinstance(predicted, np.ndarray) or predicted.dtype != np.float64:
        raise AssertionError(f"predict gives {type(predicted).__name__}, not float64.")
    if predicted.shape != (len(frames),):
        raise AssertionError(
            f"predict gives {predicted.shape} for {len(frames)} frames."
        )
    if not np.isfinite(predicted).all():
        raise AssertionError("Predictions are not finite.")


def check_targets_matter(subject, frames, y):
    """Other targets give other predictions."""
    one = subject.fitted.predict(frames)
    if np.array_equal(one, subject.fit(frames, y[::-1]).predict(frames)):
        raise AssertionError("Predictions are the same for other targets.")


def check_wrong_targets_are_refused(subject, frames, y):
    """Targets that are missing, too few, NaN or None are errors with their place."""
    holed, none = np.array(y, dtype=float), np.array(y, dtype=object)
    holed[1], none[1] = np.nan, None
    cases = [
        (None, (), "for y=None"),
        (y[:-1], (str(len(y)), str(len(y) - 1)), "for y that is too short"),
        (holed, ("NaN",), "for NaN in y"),
        (none, (), "for None in y"),
    ]
    if not get_tags(subject.estimator).target_tags.multi_output:
        cases.append((np.column_stack([y, y]), (), "for y with two columns"))
    for targets, words, when in cases:
        require_error(
            lambda targets=targets: clone(subject.estimator).fit(frames, targets),
            (ValueError, TypeError),
            words,
            when,
        )


def check_lists_of_numbers_are_targets(subject, frames, y):
    """Targets may be a list; the result is the same."""
    one = subject.fitted.predict(frames)
    two = subject.fit(frames, [float(e) for e in y]).predict(frames)
    if not np.array_equal(one, two):
        raise AssertionError("Predictions differ for y given as a list.")

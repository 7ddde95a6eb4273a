"""Checks of the contract that scikit-learn has with every estimator."""

# ruff: noqa: D401 - the first line of a check is its claim
import pickle

from ase.data import chemical_symbols
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skatom.base._inside import walk
from skatom.testing._comparisons import require_equal, require_error
from skatom.testing._inputs import output_of, same_parameters, stranger
from skatom.testing._other_values import other_values


def check_fit_returns_self(subject, frames, y=None):
    """Chaining works: ``fit`` returns the estimator."""
    fresh = clone(subject.estimator)
    if (fresh.fit(frames) if y is None else fresh.fit(frames, y)) is not fresh:
        raise AssertionError("fit does not return self.")


def check_fit_keeps_parameters(subject, frames, y=None):
    """``__init__``, ``fit`` and output leave every parameter as it was given."""
    before = clone(subject.estimator).get_params()
    fitted = subject.fit(frames, y)
    output_of(fitted, frames)
    changed = same_parameters(before, fitted.get_params())
    if changed:
        raise AssertionError(f"fit or output changed the parameters {changed}.")


def check_unfitted_is_refused(subject, frames, y=None):
    """Output before ``fit`` raises NotFittedError."""
    fresh = clone(subject.estimator)
    require_error(
        lambda: output_of(fresh, frames), (NotFittedError,), (), "before fit was called"
    )


def check_refit_equals_fresh_fit(subject, frames, y=None):
    """Nothing of an earlier fit is left after another."""
    half = len(frames) // 2 + 1
    refitted = subject.fit(frames[:half], None if y is None else y[:half])
    refitted = refitted.fit(frames) if y is None else refitted.fit(frames, y)
    require_equal(
        output_of(refitted, frames),
        output_of(subject.fitted, frames),
        "Output after a second fit differs from that of a fresh estimator",
    )


def check_pickle(subject, frames, y=None):
    """A copy through pickle gives the same bits."""
    fitted = subject.fitted
    require_equal(
        output_of(pickle.loads(pickle.dumps(fitted)), frames),
        output_of(fitted, frames),
        "Output of a pickled copy differs",
    )


def check_fitted_state_is_complete(subject, frames, y=None):
    """Parameters that are set after ``fit`` change nothing before the next one."""
    fitted = subject.fitted
    expected = output_of(fitted, frames)
    changed = []
    for part in walk(fitted):
        if type(part).__module__.startswith("sklearn."):
            continue  # they do as they do
        for name, value in list(other_values(part)):
            now = getattr(part, name)
            setattr(part, name, value)
            try:
                require_equal(output_of(fitted, frames), expected, "It differs")
            except Exception as error:
                label = f"{type(part).__name__}.{name}={value!r}"
                changed.append(f"{label} ({type(error).__name__}: {error})")
            finally:
                setattr(part, name, now)
    if changed:
        raise AssertionError(
            f"Output changes when parameters are set after fit: {'; '.join(changed)}"
        )


def check_unseen_species_is_named(subject, frames, y=None):
    """An element that ``fit`` did not see is an error that names it."""
    symbol = chemical_symbols[stranger(frames)]
    other = frames[0].copy()
    other.symbols[-1] = symbol
    fitted = subject.fitted
    options = fitted.get_params()
    ignored = [v for k, v in options.items() if k.split("__")[-1] == "handle_unknown"]
    listed = [v for k, v in options.items() if k.split("__")[-1] == "species" and v]
    if "ignore" in ignored or any(symbol in species for species in listed):
        return
    require_error(
        lambda: output_of(fitted, [*frames, other]),
        (ValueError,),
        (symbol, str(len(frames))),
        f"for a structure with {symbol}, unseen in fit",
    )


def check_no_number_of_columns_in_X(subject, frames, y=None):
    """``n_features_in_`` stays unset, as rows of X are structures, not columns."""
    if hasattr(subject.fitted, "n_features_in_"):
        raise AssertionError(
            "fit sets n_features_in_; conformal tools would then predict on zeros."
        )

"""Checks that every estimator shares; the only place that imports sklearn-private names."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from ase.data import chemical_symbols
from sklearn.base import _fit_context
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    check_is_fitted,
    check_random_state,
    validate_data,
)

__all__ = [
    "HasMethods",
    "Hidden",
    "Integral",
    "Interval",
    "InvalidParameterError",
    "Options",
    "Real",
    "StrOptions",
    "_check_method_params",
    "_fit_context",
    "_safe_indexing",
    "check_is_fitted",
    "check_n_structures",
    "check_random_state",
    "check_sample_weight",
    "check_targets",
    "closest",
    "listing",
    "locate_atom",
    "refuse_unseen",
    "validate_data",
]


def __getattr__(name: str):
    """Import the base of searches where it is asked for: it loads all of selection."""
    if name == "BaseSearchCV":
        from sklearn.model_selection._search import BaseSearchCV

        return BaseSearchCV
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def closest(name: str, known: Iterable[str]) -> str:
    """Give a sentence that offers the known name nearest to a wrong one, or ""."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


def listing(items: Iterable[object], limit: int = 5) -> str:
    """Write the first items of a long list, and how many more there are."""
    items = list(items)
    head = ", ".join(str(item) for item in items[:limit])
    return head + (f" and {len(items) - limit} more" if len(items) > limit else "")


def locate_atom(atom: int, offsets: np.ndarray) -> tuple[int, int]:
    """Find the structure that an atom of a flat list is in, and its place there."""
    s = int(np.searchsorted(offsets, atom, side="right") - 1)
    return s, int(atom - offsets[s])


def refuse_unseen(
    numbers: np.ndarray, offsets: np.ndarray, known, who: str, remedy: str
) -> None:
    """Refuse atoms of elements that an estimator does not know.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms_total,)
        Atomic numbers.
    offsets : ndarray of int, shape (n_structures + 1,)
        First atom of each structure.
    known : sequence of int
        Atomic numbers that may be there.
    who : str
        What knows them: name of an estimator or table.
    remedy : str
        Sentence that says what the user may do.

    Raises
    ------
    ValueError
        With the first such atom and all such elements.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom._validation import refuse_unseen
    >>> numbers, offsets = np.array([8, 1, 1, 26, 8]), np.array([0, 3, 5])
    >>> refuse_unseen(numbers, offsets, [1, 8], "SOAP", "List it in species.")
    Traceback (most recent call last):
        ...
    ValueError: Structure 1, atom 0 is Fe, but SOAP knows H, O only. List it in species.
    """
    found = _first_unseen(numbers, offsets, known)
    if found:
        raise ValueError(f"{found[0]}, but {who} knows {found[1]}. {remedy}")


def warn_of_unseen(numbers: np.ndarray, offsets: np.ndarray, known, who: str) -> None:
    """Warn of atoms of elements about which a model behind a transformer learned nothing.

    Parameters
    ----------
    numbers, offsets, known, who
        As for `refuse_unseen`; known are the elements of fit.

    Warns
    -----
    UserWarning
        With the first such atom and all such elements.
    """
    found = _first_unseen(numbers, offsets, known)
    if found:
        warnings.warn(
            f"{found[0]}, but {who} was fitted on structures with {found[1]}: a model "
            "that was trained on these has learned nothing about it. Fit on structures "
            "with such elements, or leave these structures out.",
            stacklevel=4,
        )


def _first_unseen(numbers, offsets, known) -> tuple[str, str] | None:
    """Name the first atom of an unknown element, and what is known instead."""
    table = np.zeros(len(chemical_symbols), dtype=bool)
    table[known] = True
    seen = table[numbers]
    if seen.all():
        return None
    s, i = locate_atom(int(np.argmin(seen)), offsets)
    symbol = chemical_symbols[numbers[np.argmin(seen)]]
    unseen = [chemical_symbols[z] for z in np.unique(numbers[~seen])]
    more = f" (unknown here: {listing(unseen)})" if len(unseen) > 1 else ""
    names = listing((chemical_symbols[z] for z in known), 12)
    return f"Structure {s}, atom {i} is {symbol}", f"{names} only{more}"


def check_n_structures(n_expected: int, given, name: str) -> None:
    """Refuse something per structure that is not as long as X."""
    if len(given) != n_expected:
        raise ValueError(
            f"X has {n_expected} structures, but {name} has {len(given)} entries. "
            "Give one entry per structure, in the same order."
        )


def check_targets(y, n_structures: int) -> np.ndarray:
    """Give the targets as a finite float64 vector, one entry per structure.

    Parameters
    ----------
    y : array-like of shape (n_structures,) or (n_structures, 1)
        Total energies in eV, or another scalar property per structure.
    n_structures : int
        Number of structures in X.

    Returns
    -------
    y : ndarray of shape (n_structures,)

    Raises
    ------
    ValueError
        If y is missing, of another length or shape, not real, or not finite.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None: "
            "give one energy per structure, in eV."
        )
    y = _as_numbers(y, n_structures)
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; it is read as "
            "y.ravel().",
            DataConversionWarning,
            stacklevel=3,
        )
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}; expected one number per structure, shape "
            f"({n_structures},). Forces and stress travel with the structures, not in y."
        )
    check_n_structures(n_structures, y, "y")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(
            f"Input y contains NaN or infinity at structures {listing(bad)}. Drop those "
            "structures or repair their energies."
        )
    return y


def _as_numbers(y, n_structures: int) -> np.ndarray:
    """Give targets as float64, or say what in them is no real number."""
    try:
        y = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    except ValueError as error:  # ragged, such as forces of unequal structures
        raise ValueError(
            "y is ragged; expected one number per structure, shape "
            f"({n_structures},). Forces and stress travel with the structures, not in y."
        ) from error
    if y.dtype == object:
        missing = [s for s, value in enumerate(y.ravel()) if value is None]
        if missing:
            raise ValueError(
                f"y is None at structures {listing(missing)}. Drop those structures "
                "or compute their energies."
            )
    if y.dtype.kind in "mM":
        raise ValueError(f"y holds times ({y.dtype}); it must hold real energies.")
    if np.iscomplexobj(y):
        raise ValueError("Complex data not supported: y must hold real energies.")
    try:
        return y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold numbers, one per structure: {error}.") from error


def check_sample_weight(sample_weight, n_structures: int) -> np.ndarray:
    """Give finite, non-negative weights, one per structure, not all zero."""
    if sample_weight is None:
        return np.ones(n_structures)
    given = np.asarray(sample_weight)
    if given.ndim == 1:
        check_n_structures(n_structures, given, "sample_weight")
        bad = np.flatnonzero(~np.isfinite(given)) if given.dtype.kind == "f" else []
        if len(bad):
            raise ValueError(
                f"sample_weight contains NaN or infinity at structures {listing(bad)}; "
                "weights must be zero or positive numbers."
            )
    weights = _check_sample_weight(
        sample_weight, np.empty((n_structures, 1)), dtype=np.float64
    )
    negative = np.flatnonzero(weights < 0)
    if len(negative):
        raise ValueError(
            f"sample_weight is negative at structures {listing(negative)}; weights "
            "must be zero or positive."
        )
    if not weights.any():
        raise ValueError("sample_weight is zero for every structure: nothing to fit.")
    return weights

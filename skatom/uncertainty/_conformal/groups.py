"""Groups of structures that are calibrated by themselves."""

from __future__ import annotations

from numbers import Real

import numpy as np

from skatom._validation import check_n_structures, closest, listing
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.structures import Structures

# Groups that need nothing but the structure.
_OF_STRUCTURE = {
    "composition": lambda atoms: atoms.get_chemical_formula(),
    "size": lambda atoms: str(len(atoms)),
}


def group_labels(groups, X) -> np.ndarray | None:
    """Tell the group of every structure.

    Parameters
    ----------
    groups : {"composition", "size"} or str or callable or None
        Formula, number of atoms, a name in ``info``, or a function of X that gives one
        label per structure.
    X : Structures, AtomFeatures or array-like of shape (n_structures, n_features)

    Returns
    -------
    labels : ndarray of str, shape (n_structures,), or None
        Numbers are written with %g, so that 300 and 300.0 are one group.

    Raises
    ------
    TypeError
        If rows of numbers are to be grouped by what only structures have.
    ValueError
        If a structure has no such entry in ``info``, or a function gives another number
        of labels.
    """
    if groups is None:
        return None
    if callable(groups):
        labels = list(groups(X))
        check_n_structures(count_rows(X), labels, "groups")
        return np.array([_text(label) for label in labels], dtype=str)
    structures = rows_and_structures(X)[1]
    if structures is None:
        raise TypeError(
            f"groups={groups!r} is read from structures, but X is rows of numbers: give "
            "a function of X that returns one label per row."
        )
    if groups in _OF_STRUCTURE:
        return np.array(
            [_OF_STRUCTURE[groups](atoms) for atoms in structures], dtype=str
        )
    return _of_info(groups, structures)


def _of_info(key: str, structures: Structures) -> np.ndarray:
    missing = [s for s, atoms in enumerate(structures) if key not in atoms.info]
    if missing:
        known = {*_OF_STRUCTURE, *structures[missing[0]].info}
        raise ValueError(
            f"groups={key!r}: structures {listing(missing)} have no info[{key!r}]."
            f"{closest(key, known)} Give every structure one, also those to predict, or "
            "a function that tells the group from the structure."
        )
    return np.array([_text(atoms.info[key]) for atoms in structures], dtype=str)


def _text(label) -> str:
    if isinstance(label, Real) and not isinstance(label, bool | np.bool_):
        return f"{float(label):g}"
    return str(label)

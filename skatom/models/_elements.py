"""Refuse elements that a model has not seen."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

from skatom._validation import locate_atom
from skatom.structures import Structures


def refuse_unseen_elements(
    structures: Structures, numbers: np.ndarray, model: str
) -> None:
    """Refuse structures with elements that the training structures did not have.

    Parameters
    ----------
    structures : Structures
    numbers : ndarray of int64, shape (n_elements,)
        Atomic numbers of the training structures.
    model : str
        Name of the model, for the message.

    Raises
    ------
    ValueError
        With the first such atom.
    """
    unseen = ~np.isin(structures.numbers, numbers)
    if unseen.any():
        atom = int(np.argmax(unseen))
        s, i = locate_atom(atom, structures.offsets)
        known = ", ".join(chemical_symbols[z] for z in numbers)
        raise ValueError(
            f"Structure {s}, atom {i} is {chemical_symbols[structures.numbers[atom]]}, "
            f"but {model} was fitted on {known} only. Fit on structures with this "
            "element, or leave such structures out."
        )

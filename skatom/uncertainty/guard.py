"""Warnings and errors when atoms leave the range of the training structures."""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
from ase import Atoms

from skatom._validation import closest

MEANING = "1.0 is the worst held-out environment"
ACTIONS = ("ignore", "warn", "stop")


class ExtrapolationWarning(UserWarning):
    """A structure has left the range of the training structures."""


class ExtrapolationError(RuntimeError):
    """A structure has left the range of the training structures, and was to stop.

    Parameters
    ----------
    message : str
    atoms : ase.Atoms
        A copy of the structure.
    atom : int
        Index of the worst atom.
    grade : float
        Its grade; 1.0 is the worst held-out environment of its species.
    """

    def __init__(self, message, *, atoms=None, atom=None, grade=None):
        super().__init__(message)
        self.atoms = atoms
        self.atom = atom
        self.grade = grade


class ExtrapolationGuard:
    """Warn or stop when the grade of an atom rises above a threshold.

    Parameters
    ----------
    action : {"ignore", "warn", "stop"}
        Nothing; warn once per crossing; or raise ExtrapolationError every time.
    threshold : float
        Largest grade that counts as inside.
    meaning : str
        What a grade is, for the message.

    Raises
    ------
    ValueError
        If the action is unknown or the threshold not positive.
    """

    def __init__(self, action: str, threshold: float, meaning: str = MEANING):
        if action not in ACTIONS:
            raise ValueError(
                f"on_extrapolation must be one of {', '.join(map(repr, ACTIONS))}; got "
                f"{action!r}.{closest(str(action), ACTIONS)}"
            )
        if not isinstance(threshold, Real) or not threshold > 0:
            raise ValueError(f"threshold must be positive; got {threshold!r}.")
        self.action = action
        self.threshold = threshold
        self.meaning = meaning
        self._outside = False

    @property
    def is_on(self) -> bool:
        """Whether grades are needed at all."""
        return self.action != "ignore"

    def check(self, grades: np.ndarray, atoms: Atoms) -> None:
        """Act on the grades of the atoms of a structure.

        Parameters
        ----------
        grades : ndarray of shape (n_atoms,), or (1,) for features of whole structures
        atoms : ase.Atoms

        Raises
        ------
        ExtrapolationError
            If the action is "stop" and a grade is above the threshold.
        """
        was_outside = self._outside
        self._outside = bool(grades.max() > self.threshold)
        if not self._outside or (was_outside and self.action == "warn"):
            return
        worst = int(np.argmax(grades))
        text = self._sentence(grades, worst, atoms)
        if self.action == "stop":
            raise ExtrapolationError(
                text, atoms=atoms.copy(), atom=worst, grade=float(grades[worst])
            )
        warnings.warn(text, ExtrapolationWarning, stacklevel=2)

    def _sentence(self, grades: np.ndarray, worst: int, atoms: Atoms) -> str:
        per_atom = len(grades) == len(atoms)
        who = f"Atom {worst} ({atoms.symbols[worst]})" if per_atom else "The structure"
        text = (
            f"{who} has an extrapolation grade of {grades[worst]:.3g}, above the threshold "
            f"of {self.threshold:g}; {self.meaning}. "
        )
        if per_atom:
            n_outside = int((grades > self.threshold).sum())
            text += f"{n_outside} of {len(grades)} atoms are above. "
        return text + "Predictions for this structure are not to be trusted."

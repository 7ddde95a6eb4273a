"""The contract of bases: settings that make an ASE calculator, and what it can do."""

from __future__ import annotations

import pickle
from abc import ABCMeta, abstractmethod
from collections.abc import Container
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar

import joblib
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols
from sklearn.base import BaseEstimator

from skatom._validation import listing
from skatom.structures import content_hash

# Arrays of ASE that hold charges and spins of atoms.
INITIAL = ("initial_charges", "initial_magmoms")


class BaseError(ValueError):
    """A base gives no numbers for a structure, and says why."""


def digest_of(value) -> str | None:
    """Hash anything that can be pickled, None where it cannot.

    joblib leaves out what it fails to pickle, so that is tried first.
    """
    try:
        pickle.dumps(value)
    except Exception:  # lets through whatever the state of an object raises
        return None
    return joblib.hash(value)


class Base(BaseEstimator, metaclass=ABCMeta):
    """Settings of one source of energies, forces and stress, such as GFN2-xTB.

    A base of your own is one class: give it a :attr:`name`, write :meth:`calculator`, and
    add the class to ``NAMED`` of `skatom.bases` if it is to be found by that name. Charges,
    elements, packages, caching, parallel work and model files follow.

    Attributes
    ----------
    name : str
        What it is registered and cached under.
    package : str
        Distribution that computes, whose version is part of what results are kept under.
    extra : str or None
        Extra of skatom that installs the package.
    numbers : container of int or None
        Atomic numbers that it has parameters for; None is all of them.

    See Also
    --------
    skatom.potential.DeltaRegressor : Learns what a base leaves.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.bases import EMT
    >>> EMT().refusal(molecule("SiH4"))
    'there are no parameters for Si'
    """

    name: ClassVar[str] = ""
    package: ClassVar[str] = "ase"
    extra: ClassVar[str | None] = None
    numbers: ClassVar[Container[int] | None] = None
    _parameter_constraints: dict = {}

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"base {self.name!r}"

    @abstractmethod
    def calculator(self) -> BaseCalculator:
        """Make a calculator of ASE whose results depend on the structure alone."""

    def prepared(self, atoms: Atoms) -> Atoms:
        """Copy a structure for the calculator, without constraints; override to add.

        Parameters
        ----------
        atoms : ase.Atoms

        Returns
        -------
        copy : ase.Atoms
        """
        copy = atoms.copy()
        copy.set_constraint()  # constraints would change forces and stress
        return copy

    def refusal(self, atoms: Atoms) -> str | None:
        """Say why a structure cannot be computed, None where it can; override to add.

        Parameters
        ----------
        atoms : ase.Atoms

        Returns
        -------
        reason : str or None
            Half a sentence, such as "there are no parameters for U".
        """
        if self.numbers is None:
            return None
        unknown = {z for z in atoms.numbers.tolist() if z not in self.numbers}
        if not unknown:
            return None
        symbols = [chemical_symbols[z] for z in sorted(unknown)]
        return f"there are no parameters for {listing(symbols)}"

    def remedy(self, reason: str) -> str:
        """Say what may help after a failure; override to add."""
        return "Use another base, or leave such structures out (on_failure='drop')."

    def identity(self) -> str | None:
        """Hash everything but the structure that results follow from.

        Returns
        -------
        digest : str or None
            None where it cannot be told, so that results are not kept.
        """
        of = f"{type(self).__module__}.{type(self).__qualname__}"
        return digest_of((of, version(self.package), self.get_params(deep=False)))

    def content(self, atoms: Atoms) -> str | None:
        """Hash everything of a structure that results follow from, None if that fails.

        Numbers, positions, cell, pbc, charge, spin, and charges and moments of atoms.
        """
        initial = [name for name in INITIAL if name in atoms.arrays]
        if not initial:
            return content_hash(atoms)
        digest = blake2b(content_hash(atoms).encode(), digest_size=16)
        for name in initial:
            digest.update(name.encode() + (atoms.arrays[name] + 0.0).tobytes())
        return digest.hexdigest()

    def require_package(self) -> None:
        """Refuse to go on without the package.

        Raises
        ------
        ImportError
            With the line that installs it.
        """
        if find_spec(self.package) is None:
            raise ImportError(
                f"The base {self.name!r} is computed by {self.package}, which is not "
                f'installed: pip install "skatom[{self.extra}]".'
            )

    def _check_state(self) -> None:
        """Refuse a model file whose base cannot be computed here."""
        self.require_package()

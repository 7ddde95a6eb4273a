"""Registered bases: a table of names, one class each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from sklearn.base import clone

from skatom._validation import closest
from skatom.bases._base import Base
from skatom.bases._given import GivenCalculator
from skatom.bases.emt import EMT
from skatom.bases.lennard_jones import LennardJones
from skatom.bases.xtb import GFN1xTB, GFN2xTB
from skatom.bases.zbl import ZBL

# A new base adds its class here.
NAMED: dict[str, type[Base]] = {
    cls.name: cls for cls in (GFN2xTB, GFN1xTB, EMT, LennardJones, ZBL)
}


def as_base(given) -> Base:
    """Make a base of its name, of settings, or of an ASE calculator.

    Parameters
    ----------
    given : str, Base or ase.calculators.calculator.BaseCalculator

    Returns
    -------
    base : Base
        A copy of what was given.

    Raises
    ------
    ValueError
        If there is no base of this name.
    TypeError
        If it is nothing of the three.
    ImportError
        If the package of a base is not installed.

    Examples
    --------
    >>> from skatom.bases import as_base
    >>> as_base("zbl")
    ZBL()
    """
    if isinstance(given, BaseCalculator):
        return clone(GivenCalculator(given))
    if isinstance(given, str):
        if given not in NAMED:
            raise ValueError(
                f"There is no base {given!r}.{closest(given, NAMED)} Registered are "
                f"{', '.join(map(repr, NAMED))}; any ASE calculator is one too."
            )
        given = NAMED[given]()
    if not isinstance(given, Base):
        raise TypeError(
            f"{type(given).__name__} is no base: give the name of one "
            f"({', '.join(map(repr, NAMED))}), its settings, such as "
            "skatom.bases.GFN1xTB(...), or an ASE calculator."
        )
    base = clone(given)
    base._validate_params()
    base.require_package()
    return base


def named_bases(X: Sequence[Atoms]) -> dict[str, str | None]:
    """List the registered bases, with what keeps them from some structures.

    Parameters
    ----------
    X : sequence of ase.Atoms

    Returns
    -------
    bases : dict of str to (str or None)
        None where all structures can be tried, else the reason why not.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.bases import named_bases
    >>> named_bases([molecule("SiH4")])["emt"]
    'there are no parameters for Si'
    """
    found: dict[str, str | None] = {}
    for name, cls in NAMED.items():
        if find_spec(cls.package) is None:
            found[name] = f"{cls.package} is not installed"
            continue
        base = cls()
        reasons = (reason for atoms in X if (reason := base.refusal(atoms)))
        found[name] = next(reasons, None)
    return found

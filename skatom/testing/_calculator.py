"""All checks of an ASE calculator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial

from ase import Atoms

from skatom.testing import _calculator_checks
from skatom.testing._report import CheckReport, checks_of, run_checks


def calculator_checks(calc, atoms: Atoms | Sequence[Atoms]) -> Iterator[partial]:
    """Yield every check of a calculator, to be called without arguments.

    Parameters
    ----------
    calc, atoms
        As in :func:`check_calculator`.

    Yields
    ------
    check : functools.partial
        Raises AssertionError with a sentence, or unittest.SkipTest where it does not
        apply. Its name is ``check.func.__name__``.
    """
    frames = [atoms] if isinstance(atoms, Atoms) else list(atoms)
    for check in checks_of(_calculator_checks):
        yield partial(check, calc, deepcopy(frames))


def check_calculator(calc, atoms: Atoms | Sequence[Atoms]) -> CheckReport:
    """Check an ASE calculator: forces, stress, symmetry, caching, copies, errors.

    Parameters
    ----------
    calc : ase.calculators.calculator.Calculator
        Ready to calculate in float64. It must take the structures slightly moved,
        strained, repeated and with their species in reverse order.
    atoms : ase.Atoms or sequence of ase.Atoms
        Structures to calculate; some periodic and some not find the most.

    Returns
    -------
    report : CheckReport
        What was checked and what did not apply.

    Raises
    ------
    AssertionError
        With a line for every check that failed.

    See Also
    --------
    skatom.calculator.SkatomCalculator : Makes a calculator of any fitted estimator.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.morse import MorsePotential
    >>> from skatom.testing import check_calculator
    >>> try:
    ...     check_calculator(MorsePotential(rcut1=3.0, rcut2=4.0), bulk("Cu"))
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[0])  # positions that are NaN pass
    MorsePotential fails 1 of 15 checks:
    """
    return run_checks(type(calc).__name__, calculator_checks(calc, atoms))

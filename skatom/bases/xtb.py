"""GFN1-xTB and GFN2-xTB, semi-empirical tight binding, through tblite."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ase import Atoms

from skatom._validation import Integral, Interval, Real
from skatom.bases._base import INITIAL, Base

WHOLE = 1e-3  # how far from a whole number a sum of rounded charges may be


class _XTB(Base):
    """Settings of both methods, and how charge and spin reach them."""

    package = "tblite"
    extra = "xtb"
    numbers = range(1, 87)
    method: ClassVar[str]
    _parameter_constraints: dict = {
        "electronic_temperature": [Interval(Real, 0, None, closed="left")],
        "accuracy": [Interval(Real, 0, None, closed="neither")],
        "max_iterations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, *, electronic_temperature=300.0, accuracy=1.0, max_iterations=250
    ):
        self.electronic_temperature = electronic_temperature
        self.accuracy = accuracy
        self.max_iterations = max_iterations

    def calculator(self):
        """Make a silent calculator."""
        self.require_package()
        from tblite.ase import TBLite

        return TBLite(
            method=self.method,
            electronic_temperature=self.electronic_temperature,
            accuracy=self.accuracy,
            max_iterations=self.max_iterations,
            verbosity=0,
        )

    def prepared(self, atoms: Atoms) -> Atoms:
        """Copy a structure, with its charge and spin where tblite reads them."""
        copy = super().prepared(atoms)
        charge, n_unpaired = charge_of(atoms), n_unpaired_of(atoms)
        for name in INITIAL:
            copy.arrays.pop(name, None)
        if round(charge):
            copy.set_initial_charges([round(charge)] + [0.0] * (len(copy) - 1))
        if n_unpaired:
            copy.set_initial_magnetic_moments([n_unpaired] + [0.0] * (len(copy) - 1))
        return copy

    def refusal(self, atoms: Atoms) -> str | None:
        """Say which element, charge or spin cannot be computed."""
        reason = super().refusal(atoms)
        if reason is not None:
            return reason
        charge = charge_of(atoms)
        if not abs(charge - np.round(charge)) < WHOLE:
            return f"its total charge is {charge:g}, and electrons are whole ones"
        n_unpaired = n_unpaired_of(atoms)
        if not (n_unpaired >= 0 and float(n_unpaired).is_integer()):
            return (
                f"its info['spin'] is {atoms.info['spin']!r}, and the multiplicity 2 S + 1 "
                "is expected: 1 for closed shells, 2 for radicals, 3 for triplets"
            )
        return None

    def remedy(self, reason: str) -> str:
        """Say what helps where nothing converges or electrons do not fit."""
        if "not converged" in reason:
            return (
                "Metal clusters need GFN1-xTB with an electronic temperature: "
                "base=GFN1xTB(electronic_temperature=2000). Or leave such structures "
                "out (on_failure='drop')."
            )
        if "unpaired electrons" in reason:
            return (
                "Give the charge in info['charge'] and the multiplicity 2 S + 1 in "
                "info['spin'], or leave such structures out (on_failure='drop')."
            )
        return super().remedy(reason)


class GFN1xTB(_XTB):
    """GFN1-xTB [1]_ for elements up to radon, by tblite (``pip install "skatom[xtb]"``).

    The charge is ``info["charge"]``, or the sum of initial charges; the multiplicity
    2 S + 1 is ``info["spin"]``, or follows from the sum of initial magnetic moments. By
    default a structure is neutral and of lowest spin, so radicals are doublets. Metal
    clusters need an electronic temperature, such as 2000 K, to converge.

    Parameters
    ----------
    electronic_temperature : float, default=300.0
        Of the Fermi smearing, in K.
    accuracy : float, default=1.0
        Factor of all thresholds; smaller is tighter.
    max_iterations : int, default=250
        Of the self-consistent charges.

    See Also
    --------
    GFN2xTB : Its successor, the better choice for molecules.

    References
    ----------
    .. [1] S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989 (2017),
       doi:10.1021/acs.jctc.7b00118

    Examples
    --------
    >>> from skatom.bases import GFN1xTB
    >>> GFN1xTB(electronic_temperature=2000.0).name
    'gfn1-xtb'
    """

    name = "gfn1-xtb"
    method = "GFN1-xTB"


class GFN2xTB(_XTB):
    """GFN2-xTB [1]_ for elements up to radon, by tblite (``pip install "skatom[xtb]"``).

    The charge is ``info["charge"]``, or the sum of initial charges; the multiplicity
    2 S + 1 is ``info["spin"]``, or follows from the sum of initial magnetic moments. By
    default a structure is neutral and of lowest spin, so radicals are doublets.

    Parameters
    ----------
    electronic_temperature : float, default=300.0
        Of the Fermi smearing, in K.
    accuracy : float, default=1.0
        Factor of all thresholds; smaller is tighter.
    max_iterations : int, default=250
        Of the self-consistent charges.

    See Also
    --------
    GFN1xTB : Converges for metal clusters, given an electronic temperature.

    References
    ----------
    .. [1] C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019),
       doi:10.1021/acs.jctc.8b01176

    Examples
    --------
    >>> from skatom.bases import GFN2xTB
    >>> GFN2xTB().package
    'tblite'
    """

    name = "gfn2-xtb"
    method = "GFN2-xTB"


def charge_of(atoms: Atoms) -> float:
    """Give the total charge, in e: that of ``info``, else the sum of initial charges."""
    charge = atoms.info.get("charge")
    if charge is None:
        return float(atoms.get_initial_charges().sum())
    return _number(charge)


def n_unpaired_of(atoms: Atoms) -> float:
    """Give the number of unpaired electrons: that of ``info["spin"]``, else of moments."""
    multiplicity = atoms.info.get("spin")
    if multiplicity is None:
        return float(abs(np.round(atoms.get_initial_magnetic_moments().sum())))
    multiplicity = _number(multiplicity)
    return multiplicity - 1.0 if multiplicity else 0.0  # 0 is S of closed shells


def _number(value) -> float:
    """Give what is stored in info as a number, NaN where it is none."""
    try:
        return float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return np.nan

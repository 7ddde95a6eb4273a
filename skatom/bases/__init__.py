"""Bases: cheap physics beneath a model, each one class and registered by its name."""

from skatom.bases._base import Base, BaseError
from skatom.bases._given import GivenCalculator
from skatom.bases._names import NAMED, as_base, named_bases
from skatom.bases.emt import EMT
from skatom.bases.lennard_jones import LennardJones
from skatom.bases.xtb import GFN1xTB, GFN2xTB
from skatom.bases.zbl import ZBL

__all__ = [
    "EMT",
    "NAMED",
    "ZBL",
    "Base",
    "BaseError",
    "GFN1xTB",
    "GFN2xTB",
    "GivenCalculator",
    "LennardJones",
    "as_base",
    "named_bases",
]

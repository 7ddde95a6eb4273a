"""Featurizers: structures in, features of atoms or of structures out."""

from skatom.featurizers._acsf_grids import acsf_grid
from skatom.featurizers.acsf import ACSF

__all__ = ["ACSF", "acsf_grid"]

"""Featurizers: structures in, features of atoms or of structures out."""

from skatom.featurizers._acsf_grids import acsf_grid
from skatom.featurizers._densities import valence_density
from skatom.featurizers.acsf import ACSF
from skatom.featurizers.aev import AEV
from skatom.featurizers.gmp import GMP
from skatom.featurizers.soap import SOAP
from skatom.featurizers.wacsf import WeightedACSF

__all__ = [
    "ACSF",
    "AEV",
    "GMP",
    "SOAP",
    "WeightedACSF",
    "acsf_grid",
    "valence_density",
]

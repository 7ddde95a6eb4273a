"""Featurizers: structures in, features of atoms or of structures out."""

from skatom.featurizers._acsf.grids import acsf_grid
from skatom.featurizers._gmp.densities import valence_density
from skatom.featurizers.acsf import ACSF
from skatom.featurizers.aev import AEV
from skatom.featurizers.composition import Composition
from skatom.featurizers.coulomb_matrix import CoulombMatrix
from skatom.featurizers.ewald_sum_matrix import EwaldSumMatrix
from skatom.featurizers.fchl19 import FCHL19
from skatom.featurizers.gmp import GMP
from skatom.featurizers.lmbtr import LMBTR
from skatom.featurizers.mbtr import MBTR
from skatom.featurizers.sine_matrix import SineMatrix
from skatom.featurizers.soap import SOAP
from skatom.featurizers.valle_oganov import ValleOganov
from skatom.featurizers.weighted_acsf import WeightedACSF

__all__ = [
    "ACSF",
    "AEV",
    "FCHL19",
    "GMP",
    "LMBTR",
    "MBTR",
    "SOAP",
    "Composition",
    "CoulombMatrix",
    "EwaldSumMatrix",
    "SineMatrix",
    "ValleOganov",
    "WeightedACSF",
    "acsf_grid",
    "valence_density",
]

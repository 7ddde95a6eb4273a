"""Terms of weighted symmetry functions: radial ones, moments, sums over elements."""

from skatom.base import Kernels
from skatom.featurizers._weighted_acsf import derivatives, moments, pair_sums, radial

RADIAL = Kernels(
    radial.radial_values,
    radial.radial_pullback,
    radial.radial_pushforward,
    radial.radial_jacobian,
)
MOMENTS = Kernels(
    moments.moment_values,
    derivatives.moment_pullback,
    derivatives.moment_pushforward,
    derivatives.moment_jacobian,
)
PAIR_SUMS = Kernels(
    pair_sums.values, pair_sums.pullback, pair_sums.pushforward, pair_sums.jacobian
)

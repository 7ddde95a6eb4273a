"""Terms of FCHL19: two-body and three-body functions."""

from skatom.base import Kernels
from skatom.featurizers._fchl19 import jacobian, pairs, pullback, pushforward, values

RADIAL = Kernels(
    pairs.radial_values,
    pairs.radial_pullback,
    pairs.radial_pushforward,
    pairs.radial_jacobian,
)
ANGULAR = Kernels(
    values.angular_values,
    pullback.angular_pullback,
    pushforward.angular_pushforward,
    jacobian.angular_jacobian,
)

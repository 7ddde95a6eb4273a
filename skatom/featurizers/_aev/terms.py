"""Terms of AEV: the angular functions."""

from skatom.base import Kernels
from skatom.featurizers._aev import jacobian, pullback, pushforward, values

ANGULAR = Kernels(
    values.angular_values,
    pullback.angular_pullback,
    pushforward.angular_pushforward,
    jacobian.angular_jacobian,
)

"""Terms of GMP: the power of each order."""

from skatom.base import Kernels
from skatom.featurizers._gmp import kernels

POWER = Kernels(kernels.values, kernels.pullback, kernels.pushforward, kernels.jacobian)

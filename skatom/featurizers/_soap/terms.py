"""Terms of SOAP: the power spectrum."""

from skatom.base import Kernels
from skatom.featurizers._soap import pullback, tangent, values

POWER_SPECTRUM = Kernels(
    values.soap_values,
    pullback.soap_pullback,
    tangent.soap_pushforward,
    tangent.soap_jacobian,
)

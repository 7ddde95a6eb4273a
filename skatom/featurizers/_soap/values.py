"""Values of the power spectrum.

All SOAP kernels take

block : tuple of a PairBlock
setup : tuple
    (sizes, spline, ladder, gradients, coupling, own, layout), see `describe` and
    `spectrum`; gradients are the tables of `angular`.
"""

from skatom._runtime.compilation import kernel
from skatom.featurizers._soap.density import describe, workspace
from skatom.featurizers._soap.spectrum import spectrum


@kernel
def soap_values(block, setup, out):
    """Write the spectra of the block's centres to rows of `out`, given as zeros."""
    sizes, spline, ladder, _, coupling, own, layout = setup
    work = workspace(block, sizes, coupling, False)
    for i in range(block[0], block[1]):
        describe(i, block, sizes, spline, ladder, coupling, own, False, work)
        spectrum(i, sizes, layout, work[6], work[7], out)

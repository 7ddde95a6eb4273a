"""Compiled code where numba's compiler was switched off."""

import logging

from numba import config

LOGGER = logging.getLogger("skatom")


def compile_all_the_same() -> None:
    """Switch numba's compiler on in this process, and say so.

    The sums of atomic environments are written in vector instructions, which Python does
    not have.
    """
    if config.DISABLE_JIT:
        config.DISABLE_JIT = 0
        LOGGER.warning(
            "NUMBA_DISABLE_JIT is set, but kernels of skatom use vector instructions that "
            "Python does not have, so numba compiles in this process. To debug functions "
            "of your own, decorate them before you import skatom."
        )

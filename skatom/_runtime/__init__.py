"""Threads, memory, compilation and files: what computing needs, whatever is computed."""

import os

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    # Before any kernel is decorated: numba asks for this then, and again while it compiles.
    from skatom._runtime.switched_off import compile_all_the_same

    compile_all_the_same()

"""The matrix of wrappers over models as a command: ``python -m skatom.testing.matrix``.

It prints the page of the documentation that shows it.
"""

from __future__ import annotations

import sys

from skatom.testing._matrix.table import check_matrix

__all__ = ["PAGE", "check_matrix"]

PAGE = """# Every wrapper over every model

Everything that wraps a model or takes one, over everything that predicts: **+** is right,
held against a computation of its own; **-** is refused, with a sentence that names both and
says why there is no such thing. Classes are found, not listed, so that a new one is in the
table at once. This page is printed by `python -m skatom.testing.matrix`, and the tests
compare every row with it.

{matrix}"""

if __name__ == "__main__":
    sys.stdout.write(PAGE.format(matrix=check_matrix()) + "\n")

"""Compiled sums of a matrix of atoms over the structures on both sides."""

import numpy as np

from skatom._runtime.compilation import kernel


@kernel
def sum_structures(k, row_starts, column_starts, out):
    """Sum k into out[s, t] over the rows of structure s and the columns of t.

    Starts are the first row or column of each structure; they are ascending.
    """
    n_rows, n_columns = k.shape
    line = np.empty(n_columns)
    for s in range(len(row_starts)):
        last = row_starts[s + 1] if s + 1 < len(row_starts) else n_rows
        first = row_starts[s]
        for c in range(n_columns):
            line[c] = k[first, c]
        for r in range(first + 1, last):
            for c in range(n_columns):
                line[c] += k[r, c]
        for t in range(len(column_starts)):
            end = column_starts[t + 1] if t + 1 < len(column_starts) else n_columns
            total = 0.0
            for c in range(column_starts[t], end):
                total += line[c]
            out[s, t] = total

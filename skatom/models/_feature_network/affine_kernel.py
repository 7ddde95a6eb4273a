"""The linear maps of all elements at once, for the few atoms of a small structure.

BLAS wants a call an element, and for seven rows of 384 numbers it spends as long on packing
the weights as on the products. Here four atoms of one element meet eight outputs at a time,
and the weights of those outputs stay in the nearest cache.
"""

from __future__ import annotations

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.lanes import get, load, store


@kernel
def affine(x, order, edges, weights, constants, out):
    """Write ``constants[k] + x[i] @ weights[k]`` to row i of out, k the element of atom i.

    Parameters
    ----------
    x : ndarray of shape (n_atoms, at least n_in)
    order : ndarray of int64, shape (n_atoms,)
        Atoms sorted by element.
    edges : ndarray of int64, shape (n_elements + 1,)
        First of the sorted atoms of each element, and their number.
    weights : ndarray of shape (n_elements, n_in, n_out)
        With n_out a multiple of eight.
    constants : ndarray of shape (n_elements, n_out)
    out : ndarray of shape (n_atoms, n_out)
    """
    n_in, n_out = weights.shape[1], weights.shape[2]
    for k in range(len(edges) - 1):
        w, last = weights[k], edges[k + 1] - 1
        for c in range(0, n_out, 8):
            for r in range(edges[k], edges[k + 1], 4):
                # where fewer than four are left, the last is computed again
                i, p = order[r], order[min(r + 1, last)]
                q, s = order[min(r + 2, last)], order[min(r + 3, last)]
                of_i = load(constants, k, c)
                of_p, of_q, of_s = of_i, of_i, of_i
                for j in range(n_in):
                    column = load(w, j, c)
                    of_i = of_i + column * get(x, i, j)
                    of_p = of_p + column * get(x, p, j)
                    of_q = of_q + column * get(x, q, j)
                    of_s = of_s + column * get(x, s, j)
                store(out, i, c, of_i)
                store(out, p, c, of_p)
                store(out, q, c, of_q)
                store(out, s, c, of_s)

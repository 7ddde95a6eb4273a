"""Compiled loops over pairs: products of what two atoms and their pair carry, summed.

Every pair (i, j) is met once and serves both directions. Features of atoms have shape
(n_atoms, n_components, n_channels), those of pairs (n_pairs, n_channels) where they are
the same seen from either end, or (n_pairs, 3, n_channels) where they change sign.
"""

from skatom._runtime.compilation import kernel


@kernel(fastmath=True)
def gather_symmetric(first, second, x, w, out):
    """Add w_p x_j to atom i and w_p x_i to atom j."""
    n_components, n_channels = x.shape[1], x.shape[2]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(n_components):
            for f in range(n_channels):
                out[i, c, f] += w[p, f] * x[j, c, f]
            for f in range(n_channels):
                out[j, c, f] += w[p, f] * x[i, c, f]


@kernel(fastmath=True)
def pair_symmetric(first, second, g, x, out):
    """Write sum_c (g_i x_j + g_j x_i) to pair p."""
    n_components, n_channels = x.shape[1], x.shape[2]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(n_components):
            for f in range(n_channels):
                out[p, f] += g[i, c, f] * x[j, c, f] + g[j, c, f] * x[i, c, f]


@kernel(fastmath=True)
def gather_odd(first, second, x, v, out):
    """Add v_p x_j to atom i and -v_p x_i to atom j, v a vector in every channel."""
    n_channels = x.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(3):
            for f in range(n_channels):
                out[i, c, f] += v[p, c, f] * x[j, f]
            for f in range(n_channels):
                out[j, c, f] -= v[p, c, f] * x[i, f]


@kernel(fastmath=True)
def contract_odd(first, second, g, v, out):
    """Add v_p . g_i to atom j and -v_p . g_j to atom i."""
    n_channels = out.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(3):
            for f in range(n_channels):
                out[j, f] += v[p, c, f] * g[i, c, f]
            for f in range(n_channels):
                out[i, f] -= v[p, c, f] * g[j, c, f]


@kernel(fastmath=True)
def pair_odd(first, second, g, x, out):
    """Write g_i x_j - g_j x_i to pair p."""
    n_channels = x.shape[1]
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(3):
            for f in range(n_channels):
                out[p, c, f] = g[i, c, f] * x[j, f] - g[j, c, f] * x[i, f]

"""SelectCUR: columns with the largest weight in the leading singular vectors."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from skatom._validation import Integral, Interval
from skatom.preprocessing._column_selector import ColumnSelector

# What remains of a column, relative to the largest, that is rounding.
DEPENDENT = 1e-12


class SelectCUR(ColumnSelector):
    """Select the features that carry the leading singular vectors (CUR decomposition).

    A feature's importance is the sum of its squared entries in the leading right singular
    vectors of the matrix of all atoms. The most important one is chosen, every column is
    made orthogonal to it, and so on [1]_, so that no two chosen ones say the same.

    Parameters
    ----------
    n_features_to_select : int, default=None
        How many; half of them by default.
    n_vectors : int, default=1
        Number of singular vectors that the importance is summed over.

    Attributes
    ----------
    selection_ : ndarray of int, shape (n_selected,)
        Chosen columns in the order of choice; ``transform`` keeps the order of X.
    importances_ : ndarray of shape (n_selected,)
        Importance of each when it was chosen, at most 1; zero where the columns before
        it span all others.
    n_features_in_ : int
        Number of features seen in fit.

    See Also
    --------
    SelectFPS : Select features that differ most from each other.
    PerAtom : Apply a selector to the features of atoms.

    Notes
    -----
    Every choice costs an eigenproblem of the size of the number of features, of which
    only the leading vectors are computed.

    The choice is that of ``skmatter.feature_selection.CUR``.

    References
    ----------
    .. [1] G. Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), section II.
       doi:10.1063/1.5024611

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.preprocessing import SelectCUR
    >>> X = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.1, 1.0]])
    >>> SelectCUR(2).fit(X).get_support()
    array([False,  True,  True])
    """

    _parameter_constraints: dict = {
        **ColumnSelector._parameter_constraints,
        "n_vectors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_features_to_select: int | None = None, *, n_vectors: int = 1):
        self.n_features_to_select = n_features_to_select
        self.n_vectors = n_vectors

    def _choose(self, X: np.ndarray, n_selected: int) -> None:
        self.selection_, self.importances_ = _important_columns(
            X, n_selected, self.n_vectors
        )


def _important_columns(
    X: np.ndarray, n_selected: int, n_vectors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the column of largest importance, project it out, and again."""
    X = X.copy()
    smallest = DEPENDENT * np.sqrt(np.einsum("af,af->f", X, X).max(initial=0.0))
    selection = np.empty(n_selected, dtype=np.int64)
    importances = np.zeros(n_selected)
    free = np.ones(X.shape[1], dtype=bool)
    for k in range(n_selected):
        importance = _importance(X, n_vectors)
        chosen = int(np.argmax(np.where(free, importance, -1.0)))
        direction = X[:, chosen].copy()
        length = np.linalg.norm(direction)
        selection[k], free[chosen] = chosen, False
        if length <= smallest:  # the rest depends on what was chosen: any will do
            X[:] = 0.0
            continue
        importances[k] = importance[chosen]
        direction /= length
        X -= np.outer(direction, direction @ X)
        X[:, chosen] = 0.0
    return selection, importances


def _importance(X: np.ndarray, n_vectors: int) -> np.ndarray:
    """Sum the squared entries of the leading right singular vectors."""
    n = min(X.shape)
    first = max(0, n - n_vectors)
    if X.shape[0] < X.shape[1]:
        left = eigh(X @ X.T, subset_by_index=(first, n - 1))[1]
        right = X.T @ left
        lengths = np.linalg.norm(right, axis=0)
        right /= np.where(lengths > 0, lengths, 1.0)
    else:
        right = eigh(X.T @ X, subset_by_index=(first, n - 1))[1]
    return np.einsum("fv,fv->f", right, right)

"""SelectFPS: columns that lie farthest from each other."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin

from skatom._validation import (
    Integral,
    Interval,
    _fit_context,
    check_is_fitted,
    validate_data,
)
from skatom.preprocessing._reduce_rows import triangle


class SelectFPS(SelectorMixin, BaseEstimator):
    """Select the features that differ most from each other (farthest-point sampling).

    Features are points in the space of the atoms. Each new one is that whose smallest
    Euclidean distance to those already chosen is largest [1]_. Columns keep their physical
    meaning, and forces pass through the choice: put the selector into
    :class:`PerAtom`.

    Parameters
    ----------
    n_features_to_select : int, default=None
        How many; half of them by default.
    start : int, default=0
        Column to start from.

    Attributes
    ----------
    selection_ : ndarray of int, shape (n_selected,)
        Chosen columns in the order of choice; ``transform`` keeps the order of X.
    distances_ : ndarray of shape (n_selected,)
        Distance of each to those chosen before it; infinite for the first.
    n_features_in_ : int
        Number of features seen in fit.

    See Also
    --------
    SelectCUR : Select by weight in the leading singular vectors.
    PerAtom : Apply a selector to the features of atoms.

    Notes
    -----
    Scales matter: a column that is a multiple of another is far from it. The time grows
    with atoms times features squared once, then with features squared a choice.

    The choice is that of ``skmatter.feature_selection.FPS`` [2]_, which works inside
    :class:`PerAtom` too.

    References
    ----------
    .. [1] G. Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), section II.
       doi:10.1063/1.5024611
    .. [2] A. Goscinski et al., Open Research Europe 3, 81 (2023).
       doi:10.12688/openreseurope.15789.2

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.preprocessing import SelectFPS
    >>> X = np.array([[0.0, 0.1, 3.0, 2.0], [0.0, 0.0, 0.0, 2.0]])
    >>> SelectFPS(3).fit(X).selection_
    array([0, 2, 3])
    """

    _parameter_constraints: dict = {
        "n_features_to_select": [Interval(Integral, 1, None, closed="left"), None],
        "start": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_features_to_select: int | None = None, *, start: int = 0):
        self.n_features_to_select = n_features_to_select
        self.start = start

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Choose columns.

        Parameters
        ----------
        X : array-like of shape (n_atoms, n_features)
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If more columns are asked for than there are, or start is none of them.
        """
        X = validate_data(self, X, dtype=np.float64)
        n_selected = check_n_selected(self.n_features_to_select, X.shape[1])
        if self.start >= X.shape[1]:
            raise ValueError(
                f"start={self.start} is no column: X has {X.shape[1]} features, counted "
                "from 0."
            )
        self.selection_, self.distances_ = _farthest_columns(
            triangle(X), n_selected, self.start
        )
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.selection_)


def check_n_selected(n_selected: int | None, n_features: int) -> int:
    """Fill in half of the features, and refuse more than there are."""
    if n_selected is None:
        return max(1, n_features // 2)
    if n_selected > n_features:
        raise ValueError(
            f"n_features_to_select={n_selected}, but X has {n_features} features: "
            "select at most that many."
        )
    return int(n_selected)


def _farthest_columns(
    X: np.ndarray, n_selected: int, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose columns greedily by their distance to the nearest chosen one."""
    columns = np.ascontiguousarray(X.T)
    squares = np.einsum("fa,fa->f", columns, columns)
    selection = np.empty(n_selected, dtype=np.int64)
    distances = np.empty(n_selected)
    nearest = np.full(len(columns), np.inf)
    chosen = start
    for k in range(n_selected):
        selection[k], distances[k] = chosen, nearest[chosen]
        products = columns @ columns[chosen]
        to_chosen = squares + squares[chosen] - 2.0 * products
        nearest = np.minimum(nearest, np.maximum(to_chosen, 0.0))
        nearest[chosen] = -1.0  # not again, even among equal columns
        chosen = int(np.argmax(nearest))
    return selection, np.sqrt(distances)

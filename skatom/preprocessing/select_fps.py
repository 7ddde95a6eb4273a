"""SelectFPS: columns that lie farthest from each other."""

from __future__ import annotations

import numpy as np

from skatom._validation import Integral, Interval
from skatom.preprocessing._column_selector import ColumnSelector


class SelectFPS(ColumnSelector):
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
        **ColumnSelector._parameter_constraints,
        "start": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_features_to_select: int | None = None, *, start: int = 0):
        self.n_features_to_select = n_features_to_select
        self.start = start

    def _choose(self, X: np.ndarray, n_selected: int) -> None:
        if self.start >= X.shape[1]:
            raise ValueError(
                f"start={self.start} is no column: X has {X.shape[1]} features, counted "
                "from 0."
            )
        self.selection_, self.distances_ = _farthest_columns(X, n_selected, self.start)


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

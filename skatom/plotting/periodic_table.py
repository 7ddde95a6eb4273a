"""PeriodicTableDisplay: numbers of elements, such as learned couplings, in their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike

from skatom._validation import check_is_fitted
from skatom.base._inside import bare
from skatom.elements._properties import PROPERTIES
from skatom.plotting._axes import new_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_ROWS, N_COLUMNS = 9, 18
# First elements of the two rows that stand below the table, and their lengths.
BELOW = {57: 14, 89: 14}


class PeriodicTableDisplay:
    """Pseudo-elements on the periodic table, one table for each.

    Make it with `from_estimator`; the attributes keep what was drawn.

    Parameters
    ----------
    components : array-like of shape (n_components, n_species)
        One number of each species in each pseudo-element.
    species : list of str
        Chemical symbols.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skatom.models.AlchemicalKernelRidge : Learns such numbers.

    Examples
    --------
    >>> from skatom.plotting import PeriodicTableDisplay
    >>> table = PeriodicTableDisplay([[0.3, -1.0]], ["H", "O"]).plot()
    >>> len(table.axes_)
    1
    """

    def __init__(self, components: ArrayLike, species: Sequence[str]):
        self.components = components
        self.species = species

    @classmethod
    def from_estimator(
        cls, estimator, *, axes: Sequence[Axes] | None = None
    ) -> PeriodicTableDisplay:
        """Draw the pseudo-elements of a fitted estimator, or of a step of a pipeline.

        Parameters
        ----------
        estimator : fitted estimator
            With ``alchemical_components_``, or a pipeline or search with such a step.
        axes : sequence of matplotlib Axes, optional
            One for each pseudo-element; by default a new figure is made.

        Returns
        -------
        display : PeriodicTableDisplay

        Raises
        ------
        ValueError
            If no step has pseudo-elements.
        """
        check_is_fitted(estimator)
        estimator = bare(estimator)
        steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
        for step in reversed(steps):
            if np.size(getattr(step, "alchemical_components_", ())):
                return cls(step.alchemical_components_, step.species_).plot(axes)
        raise ValueError(
            f"{type(estimator).__name__} has no pseudo-elements: fit an "
            "AlchemicalKernelRidge or AlchemicalCompression on features of atoms."
        )

    def plot(self, axes: Sequence[Axes] | None = None) -> PeriodicTableDisplay:
        """Draw the tables.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            One for each pseudo-element; by default a new figure is made.

        Returns
        -------
        display : PeriodicTableDisplay
            Itself.
        """
        components = np.atleast_2d(np.asarray(self.components, dtype=np.float64))
        if components.shape[1] != len(self.species):
            raise ValueError(
                f"components has {components.shape[1]} columns for {len(self.species)} "
                "species: give one for each."
            )
        axes = _new_axes(len(components)) if axes is None else list(axes)
        if len(axes) != len(components):
            raise ValueError(
                f"There are {len(components)} pseudo-elements and {len(axes)} axes: give "
                "one for each."
            )
        largest = float(np.abs(components).max()) or 1.0
        for k, (ax, row) in enumerate(zip(axes, components)):
            grid = np.full((N_ROWS, N_COLUMNS), np.nan)
            for symbol, value in zip(self.species, row):
                grid[place(atomic_numbers[symbol])] = value
            image = ax.imshow(grid, cmap="RdBu_r", vmin=-largest, vmax=largest)
            for z in range(1, len(PROPERTIES["group"])):
                r, c = place(z)
                known = chemical_symbols[z] in self.species
                dark = known and abs(grid[r, c]) > 0.6 * largest
                colour = "white" if dark else "black" if known else "0.75"
                ax.text(c, r, chemical_symbols[z], color=colour, fontsize=6,
                        ha="center", va="center")  # fmt: skip
            ax.set_axis_off()
            ax.set_title(f"J{k}", fontsize=9)
        axes[0].figure.colorbar(image, ax=axes, label="coupling", shrink=0.6)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self


def place(z: int) -> tuple[int, int]:
    """Row and column of an element, lanthanides and actinides below."""
    for k, (first, length) in enumerate(BELOW.items()):
        if first <= z < first + length:
            return 7 + k, 3 + z - first
    return int(PROPERTIES["period"][z]) - 1, int(PROPERTIES["group"][z]) - 1


def _new_axes(n: int) -> list[Axes]:
    n_rows, n_columns = (n + 1) // 2, min(n, 2)
    axes = new_grid(n_rows, n_columns, 4.5 * n_columns + 0.8, 2.4 * n_rows)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return list(axes.flat[:n])

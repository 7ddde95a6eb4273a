"""Columns of features: what each is a function of, from which its name is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

from sklearn.pipeline import FeatureUnion, Pipeline


class Column(NamedTuple):
    """One column of the features of atoms.

    Columns that differ in ``species`` alone are one function of the neighbours, resolved
    by species; this is what couplings of elements contract.

    Parameters
    ----------
    kind : str
        Such as ``"G4"``.
    species : tuple of str, default=()
        Chemical symbols of the neighbours it counts, one or two; other labels, such as
        ``"all"``, stand for no element. Empty where elements are not told apart.
    parameters : tuple of str, default=()
        What tells functions of one kind apart, such as ``("eta0.5", "rs1.2")``.
    factors : tuple of str, default=()
        For a product of two sums over neighbours, as in a power spectrum: what tells the
        sum over each species from others, such as ``("n0", "n1")``. They change places
        when the species do. Empty where each pair of neighbours counts once.

    See Also
    --------
    skatom.base.AtomFeaturizer : Gives a table of its columns.

    Examples
    --------
    >>> from skatom.base import Column
    >>> Column("G4", ("H", "O"), ("eta0.5", "zeta1")).name
    'G4_H-O_eta0.5_zeta1'
    >>> Column("SOAP", ("H", "O"), ("l2",), ("n0", "n1")).name
    'SOAP_H-O_n0_n1_l2'
    """

    kind: str
    species: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Physical name: kind, species and parameters."""
        species = ("-".join(self.species),) if self.species else ()
        return "_".join((self.kind, *species, *self.factors, *self.parameters))


def columns_by_species(
    kind: str,
    species: Sequence[str],
    parameters: Iterable[tuple[str, ...]],
    order: int = 1,
) -> list[Column]:
    """Give the columns of functions that are resolved by species.

    Parameters
    ----------
    kind : str
    species : sequence of str
    parameters : iterable of tuple of str
        Of each function; they vary fastest.
    order : int, default=1
        Number of neighbours a function looks at: 2 gives a column for each unordered pair
        of species.

    Returns
    -------
    columns : list of Column
    """
    parameters = list(parameters)
    return [
        Column(kind, some, one)
        for some in combinations_with_replacement(species, order)
        for one in parameters
    ]


def columns_out(step, columns: Sequence[Column] = ()) -> list[Column]:
    """Give the columns that come out of a fitted step.

    Parameters
    ----------
    step : transformer
        A step hands a column on if it gives its name back, with a prefix or without; a
        column that is made of several has a name only.
    columns : sequence of Column
        What goes in; nothing for a featurizer.

    Returns
    -------
    columns : list of Column
    """
    if hasattr(step, "columns"):
        return step.columns()
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            if inner is not None and inner != "passthrough":
                columns = columns_out(inner, columns)
        return list(columns)
    if isinstance(step, FeatureUnion):
        return [
            column._replace(kind=f"{name}__{column.kind}")
            if step.verbose_feature_names_out
            else column
            for name, inner in step.transformer_list
            if inner != "drop"
            for column in columns_out(inner, columns)
        ]
    # names may occur twice: columns are followed through the step by unique ones
    known = {f"#{k}": column for k, column in enumerate(columns)}
    followed = step.get_feature_names_out(list(known) or None)
    names = step.get_feature_names_out([c.name for c in columns] or None)
    return [
        _handed_on(known, str(mark)) or Column(str(name))
        for mark, name in zip(followed, names)
    ]


def _handed_on(known: dict[str, Column], name: str) -> Column | None:
    """Give the column of a name, which scikit-learn may have put a prefix before."""
    prefix, separator, mark = name.rpartition("__")
    column = known.get(mark)
    return column and column._replace(kind=prefix + separator + column.kind)

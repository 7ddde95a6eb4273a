"""Columns that differ only in the species of neighbours, from the table of columns.

Columns of equal kind and parameters are one function of the neighbours, resolved by
species: a vector, or a symmetric matrix, over the species. A coupling U of shape
(n_species, n_components) contracts it to pseudo-elements [1]_.

.. [1] M. J. Willatt, F. Musil and M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018),
   doi:10.1039/C8CP05921G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase.data import atomic_numbers
from scipy.sparse import csr_array

from skatom.features._columns import Column

# Stands for any element in the species of a function.
ELEMENT = "*"


@dataclass(frozen=True)
class SpeciesChannels:
    """Where the columns of each function of the neighbours stand.

    Attributes
    ----------
    species : list of str
        Chemical symbols, by atomic number.
    singles : ndarray of int64, shape (n_species, n_singles)
        Column of each function of one species; -1 where there is none.
    pairs : ndarray of int64, shape (n_species, n_species, n_pairs)
        Column of each function of two species, for both orders of them.
    swapped : ndarray of int64, shape (n_pairs,)
        The function that each becomes when the species are exchanged: itself where the
        order of neighbours does not matter.
    counted_once : ndarray of bool, shape (n_pairs,)
        Sums over unordered pairs of neighbours, where a pair of equal species is counted
        once and one of different species too.
    others : ndarray of int64, shape (n_others,)
        Columns without species.
    functions : tuple of lists of Column
        Functions of one species and of two, with `ELEMENT` in the place of each.
    n_columns : int
        Number of columns.
    """

    species: list[str]
    singles: np.ndarray
    pairs: np.ndarray
    swapped: np.ndarray
    counted_once: np.ndarray
    others: np.ndarray
    functions: tuple[list[Column], list[Column]]
    n_columns: int

    @classmethod
    def from_columns(cls, columns: Sequence[Column]) -> SpeciesChannels:
        """Sort the columns by what they are functions of.

        Parameters
        ----------
        columns : sequence of Column

        Returns
        -------
        channels : SpeciesChannels

        Raises
        ------
        ValueError
            If no column has species.
        """
        # of one species, and of two: function and repeat -> species -> column
        tables: tuple[dict, dict] = ({}, {})
        others = []
        for place, column in enumerate(columns):
            symbols = tuple(s for s in column.species if atomic_numbers.get(s, 0) > 0)
            if not symbols or len(column.species) > 2:
                others.append(place)
                continue
            table = tables[len(symbols) - 1]
            function, repeat = _with_species(column, [ELEMENT] * len(symbols)), 0
            # columns joined from two featurizers may be equal
            while symbols in table.setdefault((function, repeat), {}):
                repeat += 1
            table[function, repeat][symbols] = place
        found = {
            symbol
            for table in tables
            for where in table.values()
            for symbols in where
            for symbol in symbols
        }
        if not found:
            raise ValueError(
                "No column is resolved by species: names such as G2_H_eta0.5 or "
                f"SOAP_H-O_n0_n1_l2 are wanted, and {columns[0].name!r} is the first of "
                f"{len(columns)}. Use ACSF, AEV, SOAP or FCHL19, and no step in between "
                "that mixes columns."
            )
        species = sorted(found, key=atomic_numbers.get)
        singles = np.full((len(species), len(tables[0])), -1, dtype=np.int64)
        for k, where in enumerate(tables[0].values()):
            for (a,), place in where.items():
                singles[species.index(a), k] = place
        pairs, swapped, keys = _pair_table(tables[1], species)
        return cls(
            species,
            singles,
            pairs,
            swapped,
            np.array([not function.factors for function, _ in keys], dtype=bool),
            np.array(others, dtype=np.int64),
            ([function for function, _ in tables[0]], [key[0] for key in keys]),
            len(columns),
        )

    def contracted(self, n_components: int) -> list[Column]:
        """Give the columns after contraction to pseudo-elements J0, J1, ..."""
        elements = [f"J{j}" for j in range(n_components)]
        singles, pairs = self.functions
        out = [_with_species(f, [j]) for j in elements for f in singles]
        for some in combinations_with_replacement(elements, 2):
            functions = self.pair_functions(equal=some[0] == some[1])
            out += [_with_species(pairs[t], some) for t in functions]
        return out

    def pair_functions(self, equal: bool) -> np.ndarray:
        """Functions of two pseudo-elements that are different from each other."""
        every = np.arange(len(self.swapped))
        return every[every <= self.swapped] if equal else every

    def matrix(self, U: np.ndarray) -> csr_array:
        """Give the linear map from columns to contracted columns, and others behind.

        Parameters
        ----------
        U : ndarray of shape (n_species, n_components)

        Returns
        -------
        matrix : sparse array of shape (n_columns, n_new_columns)
        """
        rows, columns, values = [], [], []
        first = 0

        def add(table, weights, width):
            """Functions of table (n, width), each times the weight of its species."""
            at = np.broadcast_to(np.arange(first, first + width), table.shape)
            weight = np.broadcast_to(weights[:, None], table.shape)
            keep = (table >= 0) & (weight != 0)
            rows.append(table[keep])
            columns.append(at[keep])
            values.append(weight[keep])

        width = self.singles.shape[1]
        for j in range(U.shape[1]):
            add(self.singles, U[:, j], width)
            first += width
        n = len(self.species)
        for j, k in combinations_with_replacement(range(U.shape[1]), 2):
            functions = self.pair_functions(equal=j == k)
            weights = np.outer(U[:, j], U[:, k])
            for once in (False, True):
                mine = functions[self.counted_once[functions] == once]
                if not len(mine):
                    continue
                table = np.full((n * n, len(functions)), -1, dtype=np.int64)
                at = np.searchsorted(functions, mine)
                table[:, at] = self.pairs[:, :, mine].reshape(n * n, len(mine))
                factor = self.pair_factors(equal=j == k) if once else 1.0
                add(table, (weights * factor).ravel(), len(functions))
            first += len(functions)
        n_others = len(self.others)
        rows.append(self.others)
        columns.append(np.arange(first, first + n_others))
        values.append(np.ones(n_others))
        shape = (self.n_columns, first + n_others)
        entries = tuple(np.concatenate(part) for part in (values, rows, columns))
        return csr_array((entries[0], entries[1:]), shape=shape)

    def pair_factors(self, equal: bool) -> np.ndarray:
        """Factors of functions counted once, by both species, (n_species, n_species).

        With them, summing over both orders of the species gives each unordered pair of
        neighbours the weight u_j v_k + u_k v_j, or u_j v_j for one pseudo-element.
        """
        factors = np.ones((len(self.species),) * 2)
        np.fill_diagonal(factors, 2.0)
        return 0.5 * factors if equal else factors


def _with_species(column: Column, species: Sequence[str]) -> Column:
    """Put others in the place of the elements of a column."""
    given = iter(species)
    return column._replace(
        species=tuple(
            next(given) if s == ELEMENT or atomic_numbers.get(s, 0) > 0 else s
            for s in column.species
        )
    )


def _pair_table(table: dict, species: list[str]) -> tuple:
    """Columns of functions of two species, with those of exchanged neighbours."""
    keys = _ordered_keys(table)
    index = {key: t for t, key in enumerate(keys)}
    pairs = np.full((len(species), len(species), len(keys)), -1, dtype=np.int64)
    swapped = np.array([index[_swap(key)] for key in keys], dtype=np.int64)
    for key, columns in table.items():
        t = index[key]
        for (a, b), column in columns.items():
            i, j = species.index(a), species.index(b)
            pairs[i, j, t] = pairs[j, i, swapped[t]] = column
    return pairs, swapped, keys


def _ordered_keys(table: dict) -> list[tuple[Column, int]]:
    """Functions in the order of the columns; products by parameters, then by factors."""
    ranks: dict = {}

    def rank(*what) -> int:
        """Count things as they come."""
        return ranks.setdefault(what, len(ranks))

    places: dict = {}
    for key in dict.fromkeys(k for one in table for k in (one, _swap(one))):
        (kind, _, parameters, factors), repeat = key
        if not factors:
            places[key] = (rank(key),)
            continue
        within = (rank(kind, repeat, name) for name in (parameters, *factors))
        places[key] = (rank(kind, repeat), *within)
    return sorted(places, key=places.__getitem__)


def _swap(key: tuple[Column, int]) -> tuple[Column, int]:
    """Give the function that one becomes when the species are exchanged."""
    function, repeat = key
    return function._replace(factors=function.factors[::-1]), repeat

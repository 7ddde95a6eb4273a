"""Columns that differ only in the species of neighbours, found by their names.

Featurizers name columns ``<kind>_<species>_<rest>``, with one species
(``G2_H_eta0.5``) or an unordered pair (``G4_H-O_eta0.5_zeta1``, ``SOAP_H-O_n0_n1_l2``).
Columns of equal kind and rest are one function of the neighbours, resolved by species: a
vector, or a symmetric matrix, over the species. A coupling U of shape (n_species,
n_components) contracts it to pseudo-elements [1]_.

.. [1] M. J. Willatt, F. Musil and M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018),
   doi:10.1039/C8CP05921G.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase.data import atomic_numbers
from scipy.sparse import csr_array

from skatom._runtime.state import State

NAME = re.compile(r"(.+?)_([A-Z][a-z]?)(?:-([A-Z][a-z]?))?((?:-all)?_.*)")
# The two radial functions of a power spectrum: exchanged when the species are.
ORDERED = re.compile(r"_n(\d+)_n(\d+)(_l\d+)")


@dataclass(frozen=True)
class SpeciesChannels(State):
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
    labels : tuple of lists of (str, str)
        Kind and rest of singles and of pairs.
    n_columns : int
        Number of columns.
    """

    _name = "species channels"

    species: list[str]
    singles: np.ndarray
    pairs: np.ndarray
    swapped: np.ndarray
    counted_once: np.ndarray
    others: np.ndarray
    labels: tuple[list, list]
    n_columns: int

    @classmethod
    def from_names(cls, names: Sequence[str]) -> SpeciesChannels:
        """Read the names of columns.

        Parameters
        ----------
        names : sequence of str

        Returns
        -------
        channels : SpeciesChannels

        Raises
        ------
        ValueError
            If no name has species.
        """
        tables: tuple[dict, dict] = (
            {},
            {},
        )  # (kind, rest, repeat) -> species -> column
        others, found = [], set()
        for column, name in enumerate(names):
            match = NAME.fullmatch(str(name))
            symbols = match and [s for s in match.group(2, 3) if s]
            if not match or any(s not in atomic_numbers for s in symbols):
                others.append(column)
                continue
            found.update(symbols)
            table = tables[len(symbols) - 1]
            key, repeat = (match[1], match[4]), 0
            # columns joined from two featurizers may carry equal names
            while tuple(symbols) in table.setdefault((*key, repeat), {}):
                repeat += 1
            table[(*key, repeat)][tuple(symbols)] = column
        if not found:
            raise ValueError(
                "No column is resolved by species: names such as G2_H_eta0.5 or "
                f"SOAP_H-O_n0_n1_l2 are wanted, and {names[0]!r} is the first of "
                f"{len(names)}. Use ACSF, AEV, SOAP or FCHL19, and no step in between "
                "that mixes columns."
            )
        species = sorted(found, key=atomic_numbers.get)
        pairs, swapped, once, pair_labels = _pair_table(tables[1], species)
        singles = np.full((len(species), len(tables[0])), -1, dtype=np.int64)
        for k, columns in enumerate(tables[0].values()):
            for (a,), column in columns.items():
                singles[species.index(a), k] = column
        return cls(
            species,
            singles,
            pairs,
            swapped,
            once,
            np.array(others, dtype=np.int64),
            ([key[:2] for key in tables[0]], pair_labels),
            len(names),
        )

    def names(self, n_components: int) -> list[str]:
        """Names of the columns after contraction to pseudo-elements J0, J1, ..."""
        out = [
            f"{kind}_J{j}{rest}"
            for j in range(n_components)
            for kind, rest in self.labels[0]
        ]
        for j, k in combinations_with_replacement(range(n_components), 2):
            for t in self.pair_functions(equal=j == k):
                kind, rest = self.labels[1][t]
                out.append(f"{kind}_J{j}-J{k}{rest}")
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
    once = np.array([ORDERED.fullmatch(key[1]) is None for key in keys], dtype=bool)
    return pairs, swapped, once, [key[:2] for key in keys]


def _ordered_keys(table: dict) -> list[tuple]:
    """Functions in the order of the names, those of a power spectrum as l, n, n'."""
    keys = list(dict.fromkeys(k for key in table for k in (key, _swap(key))))

    def place(key):
        match = ORDERED.fullmatch(key[1])
        group = next(
            i for i, other in enumerate(keys) if _family(other) == _family(key)
        )
        if not match:
            return (group, keys.index(key))
        return (group, int(match[3][2:]), int(match[1]), int(match[2]))

    return sorted(keys, key=place)


def _family(key: tuple) -> tuple:
    """Kind and repeat for power spectra, the function itself for others."""
    kind, rest, repeat = key
    return (kind, repeat) if ORDERED.fullmatch(rest) else key


def _swap(key: tuple) -> tuple:
    kind, rest, repeat = key
    return kind, ORDERED.sub(r"_n\2_n\1\3", rest), repeat

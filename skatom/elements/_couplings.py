"""Couplings between elements: matrices of species by pseudo-elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from skatom._validation import check_random_state, listing
from skatom.elements._channels import SpeciesChannels
from skatom.elements._properties import PROPERTIES

KINDS = ("electronegativity-radius", "pca", "random")
# Widths of the kernel of elements: Pauling's scale, and Å.
ELECTRONEGATIVITY_WIDTH = 1.0
RADIUS_WIDTH = 0.5
# Noble gases have no value on Pauling's scale: L. C. Allen, J. Am. Chem. Soc. 111, 9003
# (1989), whose scale is near Pauling's.
NOBLE = {"He": 4.16, "Ne": 4.79, "Ar": 3.24}
# Up to here one product of all columns is cheaper than products by species.
GRAM_COLUMNS = 5000


def couplings(
    init,
    channels: SpeciesChannels,
    n_components: int,
    values: np.ndarray,
    random_state,
) -> np.ndarray:
    """Give U, of shape (n_species, n_components).

    Parameters
    ----------
    init : {"electronegativity-radius", "pca", "random"} or array-like
        The last of shape (n_components, n_species), as ``alchemical_components_``.
    channels : SpeciesChannels
    n_components : int
    values : ndarray of shape (n_atoms, n_features)
    random_state : int, RandomState or None
    """
    species = channels.species
    if not isinstance(init, str):
        return _given(init, species, n_components)
    if n_components > len(species):
        raise ValueError(
            f"n_components={n_components}, but the features have {len(species)} species "
            f"({', '.join(species)}): pseudo-elements must not outnumber them."
        )
    if init == "random":
        rng = check_random_state(random_state)
        return rng.normal(size=(len(species), n_components)) / np.sqrt(n_components)
    kernel = element_kernel(species)
    if init == "pca":
        kernel = _second_moments(channels, values)
    return _leading(kernel, n_components, orthonormal=init == "pca")


def element_kernel(species: Sequence[str]) -> np.ndarray:
    """Similarity of elements by electronegativity and covalent radius.

    exp(-(difference of electronegativity)²/2 - (difference of radius)²/(2 (0.5 Å)²)), after
    Willatt, Musil and Ceriotti (2018), who leave the widths open.
    """
    numbers = np.array([atomic_numbers[s] for s in species])
    distance = np.zeros((len(species), len(species)))
    for name, width in (
        ("electronegativity", ELECTRONEGATIVITY_WIDTH),
        ("covalent_radius", RADIUS_WIDTH),
    ):
        values = PROPERTIES[name][numbers]
        if name == "electronegativity":
            values = np.array([NOBLE.get(s, v) for s, v in zip(species, values)])
        if np.isnan(values).any():
            missing = [s for s, v in zip(species, values) if np.isnan(v)]
            raise ValueError(
                f"There is no {name.replace('_', ' ')} of {listing(missing)}, so the "
                "couplings cannot start from properties of elements: use init='pca' or "
                "'random', or give an array."
            )
        distance += ((values[:, None] - values) / width) ** 2
    return np.exp(-0.5 * distance)


def _leading(kernel: np.ndarray, n_components: int, orthonormal: bool) -> np.ndarray:
    """Best U with U Uᵀ near the kernel, or its leading eigenvectors alone."""
    weights, vectors = np.linalg.eigh(kernel)
    order = np.argsort(weights)[::-1][:n_components]
    U = vectors[:, order]
    U = U * np.where(
        U.sum(axis=0) < 0, -1.0, 1.0
    )  # a sign that does not depend on LAPACK
    return U if orthonormal else U * np.sqrt(np.maximum(weights[order], 0.0))


def _second_moments(channels: SpeciesChannels, values: np.ndarray) -> np.ndarray:
    """Products of the columns of every two species, summed over atoms and functions."""
    n = len(channels.species)
    moments = np.zeros((n, n))
    gram = values.T @ values if values.shape[1] <= GRAM_COLUMNS else None
    # functions of one species, then those of two with the second one held fixed
    tables = [channels.singles[:, None, :], channels.pairs]
    for table in tables:
        table = table.reshape(n, -1)
        for a in range(n):
            for b in range(a, n):
                both = (table[a] >= 0) & (table[b] >= 0)
                i, j = table[a][both], table[b][both]
                if gram is not None:
                    moments[a, b] += gram[i, j].sum()
                else:
                    moments[a, b] += np.einsum("nc,nc->", values[:, i], values[:, j])
    return np.triu(moments) + np.triu(moments, 1).T


def _given(init, species: list[str], n_components: int) -> np.ndarray:
    wanted = (
        f"of shape ({n_components}, {len(species)}): a row for each pseudo-element, a "
        f"column for each of {', '.join(species)}"
    )
    try:
        table = np.array(init, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"init must be an array {wanted}, all numbers.") from None
    if table.shape != (n_components, len(species)):
        raise ValueError(f"init must be an array {wanted}; its shape is {table.shape}.")
    if not np.isfinite(table).all():
        raise ValueError("init must be finite.")
    return table.T

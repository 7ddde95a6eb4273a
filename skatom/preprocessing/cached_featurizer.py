"""CachedFeaturizer: features of a structure are computed once in a search."""

from __future__ import annotations

import pickle
from hashlib import blake2b

import numpy as np
from sklearn.base import BaseEstimator, clone

from skatom._runtime.memory import parse_bytes
from skatom._validation import (
    HasMethods,
    Interval,
    Real,
    _fit_context,
    check_is_fitted,
)
from skatom.base import AtomFeaturizer, Column
from skatom.base._atom_transformer import AtomTransformerMixin
from skatom.features import AtomFeatures
from skatom.features._later import FeaturizedLater
from skatom.neighbors import ranges
from skatom.preprocessing._contents import contents_of
from skatom.preprocessing._feature_cache import CACHE, Block, Found
from skatom.structures import check_structures

# Parameters that do not change values.
NO_VALUES = ("n_jobs", "verbose", "max_memory")


class CachedFeaturizer(AtomTransformerMixin, BaseEstimator):
    """Featurizer that remembers, in memory, the features of structures it has seen.

    In a search over the parameters of a model, with cross-validation, the same structures
    are featurized for every candidate and fold. All clones of this estimator in a process
    share one memory, so that each structure is computed once, whichever fold it is in.

    Parameters
    ----------
    featurizer : AtomFeaturizer
        Cloned, never changed. Its parameters can be searched as ``featurizer__r_cut``.
    max_memory : int, float or str, default="1GB"
        Bytes, or a text such as "500MB", that the cached features of this process may
        take; what was not used for longest is forgotten.

    Attributes
    ----------
    featurizer_ : AtomFeaturizer
        The fitted featurizer.

    See Also
    --------
    skatom.store.FeatureStore : Features on disk, shared by processes and sessions.
    sklearn.pipeline.Pipeline : Its ``memory`` keeps results of ``fit_transform`` alone,
        for sets of structures that are equal as a whole.

    Notes
    -----
    A structure is recognised by its atomic numbers, positions, cell and periodic
    directions; other parameters or other species of the fit are other features. Features
    that were found have no neighbour pairs yet; these are searched when derivatives are
    asked for, so do not move the atoms in between. Each worker process has a memory of its
    own; threads share one.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> from skatom.preprocessing import CachedFeaturizer
    >>> cached = CachedFeaturizer(ACSF(r_cut=4.0))
    >>> first = cached.fit_transform([molecule("H2O"), molecule("CH4")])
    >>> again = cached.transform([molecule("CH4")])
    >>> bool((again.values == first[1].values).all())
    True
    """

    _parameter_constraints: dict = {
        "featurizer": [HasMethods(["fit", "transform"])],
        "max_memory": [Interval(Real, 0, None, closed="neither"), str],
    }

    def __init__(self, featurizer, *, max_memory="1GB"):
        self.featurizer = featurizer
        self.max_memory = max_memory

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the featurizer.

        Parameters
        ----------
        X : sequence of ase.Atoms
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the featurizer is not one of atoms, whose features depend on each structure
            alone.
        """
        if not isinstance(self.featurizer, AtomFeaturizer):
            raise TypeError(
                "CachedFeaturizer takes a featurizer of atoms, such as ACSF or SOAP, and "
                f"{type(self.featurizer).__name__} is none: put scalers, unions and "
                "pooling behind it or around it."
            )
        parse_bytes(self.max_memory)
        self.featurizer_ = clone(self.featurizer).fit(X)
        return self

    def transform(self, X) -> AtomFeatures:
        """Give the features of every atom, computing those of new structures only.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        features : AtomFeatures of shape (n_structures, n_features)
            Bit for bit those of the featurizer. Values may be read-only.
        """
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        featurizer = self.featurizer_
        featurizer._check_species(structures)
        if not len(structures):
            return featurizer.transform(structures)
        what, contents = _identity(featurizer), contents_of(structures)
        found = CACHE.find(what, contents)
        new = np.ones(len(structures), dtype=bool)
        for part in found:
            new[part.asked] = False
        if new.any():
            limit = parse_bytes(self.max_memory)
            if new.all():
                fresh = featurizer._transform(structures)
                CACHE.add(Block(what, contents, fresh.values, fresh.offsets), limit)
                return fresh
            keep = np.flatnonzero(new)
            kept = check_structures(structures[keep])
            fresh = featurizer._transform(kept)
            block = Block(what, contents_of(kept), fresh.values, fresh.offsets)
            CACHE.add(block, limit)
            found.append(Found(block, keep, np.arange(len(keep))))
        offsets = structures.offsets
        values = _collected(found, offsets)
        origin = FeaturizedLater(featurizer, structures)
        return AtomFeatures(values, offsets, structures.numbers, structures, origin)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Give the physical name of every feature.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, shape (n_features,)
        """
        check_is_fitted(self)
        return self.featurizer_.get_feature_names_out()

    def columns(self) -> list[Column]:
        """Give the table of columns."""
        check_is_fitted(self)
        return self.featurizer_.columns()

    @staticmethod
    def clear() -> None:
        """Forget the cached features of this process."""
        CACHE.clear()

    @property
    def species_(self) -> list[str]:
        """Chemical symbols that the features distinguish, by atomic number."""
        return self.featurizer_.species_

    @property
    def r_cut(self) -> float:
        """Radius of the atomic environment, in Å."""
        return self.featurizer.r_cut

    @property
    def n_atom_features_(self) -> int:
        """Number of features of each atom."""
        return self.featurizer_.n_atom_features_


def _identity(featurizer: AtomFeaturizer) -> bytes:
    """Everything but the structure that its features follow from."""
    parameters = {
        name: value
        for name, value in sorted(featurizer.get_params().items())
        if name not in NO_VALUES
    }
    what = pickle.dumps((type(featurizer), parameters, featurizer.species_))
    return blake2b(what, digest_size=16).digest()


def _collected(found: list[Found], offsets: np.ndarray) -> np.ndarray:
    """Put the values of all structures together; those of one run are not copied."""
    if len(found) == 1:
        block, _, stored = found[0]
        starts, stops = block.offsets[stored], block.offsets[stored + 1]
        if (starts[1:] == stops[:-1]).all():
            return block.values[starts[0] : stops[-1]]
        return block.values[ranges(starts, stops)]
    like = found[0].block.values
    values = np.empty((offsets[-1], like.shape[1]), like.dtype)
    for block, asked, stored in found:
        rows = ranges(offsets[asked], offsets[asked + 1])
        values[rows] = block.values[
            ranges(block.offsets[stored], block.offsets[stored + 1])
        ]
    return values

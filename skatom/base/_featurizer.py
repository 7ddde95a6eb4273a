"""The contract of featurizers: structures in, differentiable features of atoms out."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Sequence
from copy import deepcopy

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator

from skatom._runtime.memory import BYTES_A_PAIR, MemoryForecast, refuse_too_much
from skatom._runtime.progress import Progress
from skatom._runtime.state import refuse_unlike
from skatom._runtime.threads import run_chunks
from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    closest,
    listing,
    refuse_unseen,
)
from skatom.base._atom_transformer import AtomTransformerMixin
from skatom.base._blocks import Kernels, PairBlock
from skatom.features import AtomFeatures
from skatom.features._columns import Column
from skatom.features._fitted_on import remember
from skatom.features._origins import Featurized
from skatom.neighbors import NeighborPairs, neighbor_pairs
from skatom.structures import Structures, check_structures

# Forecasts search the neighbours of about this many atoms.
SAMPLE_ATOMS = 20_000
# Single precision is rounded from blocks of double precision of this size.
BLOCK_BYTES = 4_000_000
REMEDY = (
    "Give fewer structures at a time and keep a choice of columns (PerAtom(SelectFPS())) "
    "or one row of each (Pool), store values as dtype='float32', write them to a "
    "FeatureStore, or ask for fewer features."
)


class AtomFeaturizer(AtomTransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of featurizers: structures in, differentiable per-atom features out.

    A subclass stores its parameters, among them ``r_cut``, ``species``,
    ``handle_unknown`` and ``n_jobs``; ``dtype``, ``max_memory`` and ``verbose`` are
    optional, and a subclass that stores them in ``__init__`` has them. It defines

    - :meth:`prepare`, which turns the parameters into fitted attributes. Nothing else
      reads parameters, so that ``set_params`` changes nothing until the next ``fit``
      (but ``n_jobs``, ``max_memory`` and ``verbose``, which do not change features);
    - :meth:`columns`, the table of its columns;
    - its functions. Compiled ones: :meth:`terms` gives kernels and their arguments. In
      NumPy: :meth:`block_values`, :meth:`block_pullback`, :meth:`block_pushforward` and
      :meth:`block_jacobian` write them.

    Neighbours, species, threads, memory and the interface of scikit-learn are done here.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols that the features distinguish, by atomic number.
    r_cut_ : float
        Radius of the atomic environment, in Å.
    n_atom_features_ : int
        Number of features of each atom.
    fitted_on_ : ndarray of uint64
        Fingerprints of the structures of fit, by which calibration tells structures that
        a pipeline was trained on.
    """

    _parameter_constraints: dict = {
        "r_cut": [Interval(Real, 0, None, closed="neither")],
        "species": ["array-like", None],
        "handle_unknown": [StrOptions({"error", "ignore"})],
        "n_jobs": [Integral, None],
        "dtype": [StrOptions({"float64", "float32"})],
        "max_memory": [Interval(Real, 0, None, closed="neither"), str, None],
        "verbose": ["verbose"],
    }

    # Parameters of instances that use all kernels, for `skatom compile`, and the featurizer
    # whose kernels are used too.
    _warm_up: tuple[dict, ...] = ({},)
    _shares_kernels_of: str | None = None

    # What a subclass without these parameters has.
    dtype = "float64"
    max_memory: float | str | None = None
    verbose = 0

    # -- what a subclass defines -------------------------------------------------------

    def prepare(self) -> None:
        """Check parameters and prepare kernels; ``species_`` and ``r_cut_`` are known."""

    @abstractmethod
    def columns(self) -> list[Column]:
        """Give the table of all columns, in order, from fitted attributes."""

    def terms(self, block: PairBlock) -> Iterable[tuple[Kernels, tuple]]:
        """Give the kernels that the features of a block are the sum of.

        Parameters
        ----------
        block : PairBlock

        Returns
        -------
        terms : iterable of (Kernels, tuple)
            Kernels and what they take beside the pairs of the block, from fitted
            attributes. A term adds to ``out``, or writes to columns of its own.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no functions: give kernels in terms(), or "
            "write block_values, block_pullback, block_pushforward and block_jacobian."
        )

    def block_values(self, block: PairBlock, out: np.ndarray) -> None:
        """Write the features of the block's centres to rows of out.

        Parameters
        ----------
        block : PairBlock
        out : ndarray of shape (n_atoms, n_features)
            Zeros at first, as for the other three.
        """
        for kernels, arguments in self.terms(block):
            kernels.values(block.pairs, *arguments, out)

    def block_pullback(self, block: PairBlock, g: np.ndarray, out: np.ndarray) -> None:
        """Write d(sum g * values)/d vectors to the block's rows of out.

        Parameters
        ----------
        block : PairBlock
        g : ndarray of shape (n_atoms, n_features)
        out : ndarray of shape (n_pairs, 3)
        """
        for kernels, arguments in self.terms(block):
            kernels.pullback(block.pairs, *arguments, g, out)

    def block_pushforward(
        self, block: PairBlock, v: np.ndarray, out: np.ndarray
    ) -> None:
        """Write the change of the values under v to the rows of the block's centres.

        Parameters
        ----------
        block : PairBlock
        v : ndarray of shape (n_pairs, 3)
        out : ndarray of shape (n_atoms, n_features)
        """
        for kernels, arguments in self.terms(block):
            kernels.pushforward(block.pairs, *arguments, v, out)

    def block_jacobian(self, block: PairBlock, out: np.ndarray) -> None:
        """Write d values / d vectors to the block's rows of out.

        Parameters
        ----------
        block : PairBlock
        out : ndarray of shape (n_pairs, 3, n_features)
        """
        for kernels, arguments in self.terms(block):
            kernels.jacobian(block.pairs, *arguments, out)

    # -- scikit-learn's interface ------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn which species there are.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures.
        y : ignored

        Returns
        -------
        self : object
        """
        structures = check_structures(X)
        # what fails below leaves an unfitted estimator, not one of two fits
        vars(self).pop("n_atom_features_", None)
        if self.species is None:
            present = np.unique(structures.numbers)
        else:
            present = _species_numbers(self.species)
        self._parameters = deepcopy(self.get_params(deep=False))
        self._learn(present)
        remember(self, structures)
        self.n_atom_features_ = len(self.columns())
        return self

    def _learn(self, present: np.ndarray) -> None:
        """Set what follows from parameters and atomic numbers."""
        self.species_ = [chemical_symbols[z] for z in present]
        self.r_cut_ = float(self.r_cut)
        self._channel_of = np.full(len(chemical_symbols), -1, dtype=np.int64)
        self._channel_of[present] = np.arange(len(present))
        self._dtype = self.dtype
        self._ignores_unknown = self.handle_unknown == "ignore"
        self.prepare()

    def _check_state(self) -> None:
        """Refuse stored arrays that the parameters and species of fit do not give.

        Compiled kernels take sizes from them. Preparing takes milliseconds.
        """
        if not self.__sklearn_is_fitted__():
            return
        fresh = type(self)(**self._parameters)
        fresh._validate_params()
        fresh._learn(_species_numbers(self.species_))
        for name, expected in vars(fresh).items():
            if name not in self._parameters:
                refuse_unlike(getattr(self, name, None), expected, name)
        refuse_unlike(self.n_atom_features_, len(fresh.columns()), "n_atom_features_")

    def transform(self, X) -> AtomFeatures:
        """Compute the features of every atom.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures. Labels are neither needed nor read.

        Returns
        -------
        features : AtomFeatures of shape (n_structures, n_features)

        Raises
        ------
        ValueError
            If a structure has a species that was not seen in fit, unless
            ``handle_unknown="ignore"``, or two atoms at the same place.
        MemoryError
            If the features and neighbour pairs would take more than ``max_memory``.
        """
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        return self._transform(structures)

    def _transform(self, structures: Structures) -> AtomFeatures:
        """Compute the features of checked structures."""
        self._check_species(structures)
        if self.max_memory is not None:
            forecast = self.estimate_memory(structures)
            what = f"The features of {len(structures)} structures ({forecast})"
            refuse_too_much(forecast.total, self.max_memory, what, REMEDY)
        pairs = neighbor_pairs(structures, self.r_cut_, self.n_jobs)
        if not self.verbose:
            return self.transform_pairs(structures, pairs)
        with Progress(type(self).__name__, pairs.n_atoms) as progress:
            return self._transform_pairs(structures, pairs, progress)

    def estimate_memory(self, X) -> MemoryForecast:
        """Forecast what the features of structures take, without computing them.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures. Neighbours are counted for about 20 000 atoms of them, evenly
            taken, and for the largest structure.

        Returns
        -------
        forecast : MemoryForecast
            Bytes of ``values``, ``pairs`` and the largest ``jacobian``.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from skatom.featurizers import ACSF
        >>> X = [molecule("H2O"), molecule("CH4")]
        >>> print(ACSF().fit(X).estimate_memory(X))
        14.6 kB for 228 features of 8 atoms, 1.28 kB for 26 neighbour pairs, 109 kB for \
the largest Jacobian of one structure
        """
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        sizes = structures.n_atoms
        n_atoms, width = int(sizes.sum()), self.n_atom_features_
        if not n_atoms:
            return MemoryForecast(0, 0, width, 0, 0, 0)
        step = max(1, round(n_atoms / SAMPLE_ATOMS))
        some = np.arange(step // 2, len(sizes), step)
        per_atom, largest = _count_pairs(structures, some, self.r_cut_)
        n_pairs = round(per_atom * n_atoms)
        if step > 1:
            most = np.array([np.argmax(sizes)])
            largest = max(largest, _count_pairs(structures, most, self.r_cut_)[1])
        return MemoryForecast(
            n_atoms,
            n_pairs,
            width,
            n_atoms * width * np.dtype(self._dtype).itemsize,
            n_pairs * BYTES_A_PAIR + 16 * n_atoms + 8,
            largest * 3 * width * 8,
        )

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
        return np.array([column.name for column in self.columns()], dtype=object)

    # -- derivatives, for AtomFeatures -------------------------------------------------

    def pullback(self, pairs: NeighborPairs, g: np.ndarray) -> np.ndarray:
        """Carry dE/dvalues back to the pair vectors, (n_atoms, n) to (n_pairs, 3)."""
        g = np.ascontiguousarray(g, dtype=np.float64)
        return self._run(self.block_pullback, pairs, (pairs.n_pairs, 3), g)

    def pushforward(self, pairs: NeighborPairs, v: np.ndarray) -> np.ndarray:
        """Carry a change of the pair vectors to the values."""
        v = np.ascontiguousarray(v, dtype=np.float64)
        shape = (pairs.n_atoms, self.n_atom_features_)
        return self._run(self.block_pushforward, pairs, shape, v)

    def jacobian(self, pairs: NeighborPairs) -> np.ndarray:
        """Differentiate values by pair vectors, shape (n_pairs, 3, n_features)."""
        shape = (pairs.n_pairs, 3, self.n_atom_features_)
        what = f"The Jacobian of {shape[2]} features by {shape[0]} pair vectors"
        remedy = "Train without forces of so large structures, or on fewer features."
        refuse_too_much(8.0 * np.prod(shape), self.max_memory, what, remedy)
        return self._run(self.block_jacobian, pairs, shape)

    def transform_pairs(
        self, structures: Structures, pairs: NeighborPairs
    ) -> AtomFeatures:
        """Compute features for neighbour pairs that are known already.

        Parameters
        ----------
        structures : Structures
            Checked structures of species seen in fit.
        pairs : NeighborPairs
            Their pairs, at least up to r_cut; longer ones count as absent. A calculator
            keeps such a list for many steps.

        Returns
        -------
        features : AtomFeatures of shape (n_structures, n_features)
        """
        return self._transform_pairs(structures, pairs, None)

    def find_origin(self, structures: Structures) -> Featurized:
        """Search the pairs that values follow from, for values that were kept.

        A subclass that overrides ``transform`` overrides this method too.

        Parameters
        ----------
        structures : Structures
            Checked structures, as `check_structures` returns them.

        Returns
        -------
        origin : Featurized
            What the features of ``transform`` would remember.
        """
        self._check_species(structures)
        pairs = neighbor_pairs(structures, self.r_cut_, self.n_jobs)
        return Featurized(self, self._known_only(pairs), structures.offsets)

    def _transform_pairs(self, structures, pairs, progress) -> AtomFeatures:
        offsets = structures.offsets
        pairs = self._known_only(pairs)
        shape = (pairs.n_atoms, self.n_atom_features_)
        if self._dtype == "float64":
            values = self._run(self.block_values, pairs, shape, progress=progress)
        else:
            values = self._rounded_values(pairs, shape, progress)
        origin = Featurized(self, pairs, offsets)
        return AtomFeatures(values, offsets, pairs.numbers, structures, origin)

    def _rounded_values(self, pairs: NeighborPairs, shape, progress) -> np.ndarray:
        """Compute values in double precision, block by block, and store them in single."""
        centre_channels = self._channel_of[pairs.numbers]
        channels = np.empty(pairs.n_pairs, dtype=np.int64)
        out = np.empty(shape, dtype=self._dtype)
        size = max(1, BLOCK_BYTES // (8 * shape[1]))

        def task(start: int, stop: int) -> None:
            _fill_channels(start, stop, pairs, centre_channels, channels)
            for first in range(start, stop, size):
                last = min(first + size, stop)
                block = PairBlock(
                    0,
                    last - first,
                    pairs.offsets[first : last + 1],
                    channels,
                    pairs.vectors,
                    centre_channels[first:last],
                )
                exact = np.zeros((last - first, shape[1]))
                self.block_values(block, exact)
                out[first:last] = exact

        run_chunks(task, pairs.offsets, self.n_jobs, progress)
        return out

    def _run(
        self, kernel, pairs: NeighborPairs, shape: tuple, *inputs, progress=None
    ) -> np.ndarray:
        centre_channels = self._channel_of[pairs.numbers]
        channels = np.empty(pairs.n_pairs, dtype=np.int64)
        out = np.zeros(shape)

        def task(start: int, stop: int) -> None:
            _fill_channels(start, stop, pairs, centre_channels, channels)
            block = PairBlock(
                start, stop, pairs.offsets, channels, pairs.vectors, centre_channels
            )
            kernel(block, *inputs, out)

        run_chunks(task, pairs.offsets, self.n_jobs, progress)
        return out

    def _known_only(self, pairs: NeighborPairs) -> NeighborPairs:
        """Drop the pairs of ignored species, which then are as if they were not there."""
        known = self._channel_of[pairs.numbers] >= 0
        if not self._ignores_unknown or known.all():
            return pairs
        return pairs.where(known[pairs.neighbors] & known[pairs.centers])

    def _check_species(self, structures: Structures) -> None:
        if self._ignores_unknown or (self._channel_of[structures.numbers] >= 0).all():
            return
        refuse_unseen(
            structures.numbers,
            structures.offsets,
            [atomic_numbers[s] for s in self.species_],
            type(self).__name__,
            "Fit on structures with such elements, list them in species, or set "
            "handle_unknown='ignore'.",
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_atom_features_")


def _fill_channels(start, stop, pairs, centre_channels, channels) -> None:
    """Look up the channels of the neighbours of some centres, without the GIL."""
    rows = slice(pairs.offsets[start], pairs.offsets[stop])
    # mode="raise" would write to a copy first
    np.take(centre_channels, pairs.neighbors[rows], out=channels[rows], mode="clip")


def _species_numbers(species: Sequence[str]) -> np.ndarray:
    """Atomic numbers of a list of symbols, each once, ascending."""
    unknown = [s for s in species if s not in atomic_numbers or atomic_numbers[s] < 1]
    if unknown:
        raise ValueError(
            f"species holds {listing(map(repr, unknown))}, which is no chemical symbol."
            + closest(str(unknown[0]), chemical_symbols[1:])
        )
    if not len(species):
        raise ValueError("species is empty: list at least one chemical symbol.")
    return np.unique([atomic_numbers[s] for s in species])


def _count_pairs(structures: Structures, some, r_cut: float) -> tuple[float, int]:
    """Pairs an atom in some structures, and pairs of the one that has most."""
    sample = structures[some] if len(some) else structures[:1]
    counts = np.diff(neighbor_pairs(sample, r_cut).offsets[sample.offsets])
    return counts.sum() / sample.n_atoms.sum(), int(counts.max())

"""Networks on structures: from positions to energies without a featurizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from skatom._evaluation import Evaluation
from skatom._validation import Interval, Real, StrOptions, _fit_context
from skatom.models._message_passing.structure_network import StructureNetwork
from skatom.models._network.estimator import TRAINING_CONSTRAINTS
from skatom.models._network.outputs import OUTPUTS
from skatom.neighbors import NeighborPairs

__all__ = ["MessagePassingRegressor"]


class MessagePassingRegressor(StructureNetwork):
    """A torch module from structures to atomic energies, as an estimator.

    The module is all that a new architecture needs: training on energies, forces and
    stress, derivatives, the baseline, checkpoints, pickling and everything that takes an
    estimator of structures (searches, intervals, the calculator) follow from here.

    Parameters
    ----------
    module : callable
        Class of a `torch.nn.Module`, or a function that makes one, called as
        ``module(r_cut=..., numbers=..., n_outputs=..., seed=..., **module_params)`` with
        the atomic numbers of the training structures and a seed for the weights. Its
        ``forward`` takes a batch and returns energies of atoms, shape (n_atoms,) or
        (n_atoms, n_outputs); see Notes.
    module_params : dict, default=None
        Further arguments of the module.
    r_cut : float, default=5.0
        Radius within which atoms are neighbours, in Å. That energies go smoothly to those
        of separate atoms there is up to the module.
    output : {"sum", "mean", "dipole", "dipole_magnitude", "atoms"}, default="sum"
        What contributions of atoms make, as in :class:`NeuralNetworkRegressor`.
    optimizer, lr, lr_schedule, weight_decay, max_grad_norm, ema, batch_size, \
            max_epochs, loss, huber_delta, nll_beta, quantiles, size_exponent
        How it is trained, as in :class:`NeuralNetworkRegressor`, by default 300 epochs
        with "adam" from a learning rate of 1e-3.
    energy_weight, force_weight, stress_weight, forces, stress
        What is trained on, as there: by default energies and, where there are any,
        forces.
    validation_fraction, patience, energy_tol, force_tol
        When training stops, as there, by default after 50 epochs without improvement.
    checkpoint, log_to, dtype, device, warm_start, random_state, verbose, net_params
        As there.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.inner`` is the torch module, in float64.
    numbers_ : ndarray of int64, shape (n_elements,)
        Atomic numbers of the training structures, ascending.
    baseline_ : ndarray of shape (n_elements,) or (n_elements, n_outputs)
        What the elements contribute by least squares, in eV, which is subtracted before
        training.
    scale_ : float or ndarray of shape (n_outputs,)
        Unit of the module, in eV: the root mean square force times 1 Å or, without
        forces, that of the residual energy over the root of the number of atoms.
    history_ : dict of list
        Losses and errors of every epoch, as of :class:`NeuralNetworkRegressor`.
    n_epochs_, best_epoch_ : int
        Epochs done, and the one (counted from 1) whose weights are kept.

    Raises
    ------
    TrainingDivergedError
        From fit, when a loss becomes NaN or infinite.
    ImportError
        When torch or skorch is missing.

    See Also
    --------
    SchNetRegressor, PaiNNRegressor : Architectures that come with skatom.
    NeuralNetworkRegressor : Networks of features, faster and more frugal with data.

    Notes
    -----
    A batch has ``numbers`` (n_atoms,), ``vectors`` (n_pairs, 3) in Å from the first to
    the second atom of every pair, each pair once, ``pairs.first`` and ``pairs.second``
    (n_pairs,), ``distances()``, ``pairs.sum_even(x, w)`` and ``pairs.sum_odd(x, v)``,
    which sum over neighbours, and ``pairs.scatter``. Energies may depend on positions
    through ``vectors`` only: they are differentiated by these, and forces and stress
    follow. A module that also has ``latent(batch)`` serves uncertainties that work in a
    latent space.

    Examples
    --------
    >>> import torch
    >>> from ase.build import molecule
    >>> from skatom.models import MessagePassingRegressor
    >>> class PairPotential(torch.nn.Module):
    ...     def __init__(self, r_cut, numbers, n_outputs, seed):
    ...         super().__init__()
    ...         self.r_cut, self.depth = r_cut, torch.nn.Parameter(torch.zeros(1))
    ...
    ...     def forward(self, batch):
    ...         bonds = (1 - batch.distances() / self.r_cut) ** 2
    ...         return self.depth * batch.pairs.scatter(bonds, bonds)
    >>> frames = [molecule("H2O"), molecule("CH4"), molecule("CH3OH")]
    >>> model = MessagePassingRegressor(PairPotential, max_epochs=5, random_state=0)
    >>> model.fit(frames, [-14.2, -24.0, -30.1]).predict_forces(frames)[0].shape
    (3, 3)
    """

    _parameter_constraints: dict = {
        "module": [callable],
        "module_params": [dict, None],
        "r_cut": [Interval(Real, 0, None, closed="neither")],
        "output": [StrOptions(set(OUTPUTS))],
        **TRAINING_CONSTRAINTS,
    }

    def __init__(
        self,
        module,
        *,
        module_params=None,
        r_cut=5.0,
        output="sum",
        optimizer="adam",
        lr=1e-3,
        lr_schedule="plateau",
        weight_decay=None,
        max_grad_norm=None,
        ema=None,
        batch_size=8,
        max_epochs=300,
        loss="mse",
        huber_delta=0.1,
        nll_beta=0.5,
        quantiles=(0.05, 0.5, 0.95),
        size_exponent=0.5,
        energy_weight=1.0,
        force_weight=1.0,
        stress_weight=0.1,
        forces="auto",
        stress=None,
        validation_fraction=0.1,
        patience=50,
        energy_tol=None,
        force_tol=None,
        checkpoint=None,
        log_to=None,
        dtype="float32",
        device="cpu",
        warm_start=False,
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        self.module = module
        self.module_params = module_params
        self.r_cut = r_cut
        self.output = output
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.ema = ema
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.loss = loss
        self.huber_delta = huber_delta
        self.nll_beta = nll_beta
        self.quantiles = quantiles
        self.size_exponent = size_exponent
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.energy_tol = energy_tol
        self.force_tol = force_tol
        self.checkpoint = checkpoint
        self.log_to = log_to
        self.dtype = dtype
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _architecture_of(self) -> tuple[Callable, dict]:
        """Give the module and its parameters."""
        return self.module, dict(self.module_params or {})

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        forces=None,
        stress=None,
        groups=None,
        validation=None,
    ):
        """Train the module.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures.
        y : array-like of shape (n_structures,) or (n_structures, n_outputs)
            Total energies in eV, or what `output` says.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of the structures in the loss. Those of weight zero are left out.
        forces : sequence of arrays of shape (n_atoms, 3) or None, optional
            Forces in eV/Å, instead of those that the parameter `forces` finds.
        stress : sequence of arrays of shape (6,) or (3, 3) or None, optional
            The same for stress, in eV/Å³.
        groups : array-like of shape (n_structures,), optional
            Whole groups, chosen at random, are held out for validation.
        validation : array-like of bool or int, optional
            The structures to hold out for validation: a mask, or indices.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, forces, stress, groups, validation)

    def predict(self, X, return_std: bool = False, return_quantiles: bool = False):
        """Predict the targets of every structure.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.
        return_quantiles : bool, default=False
            Whether all quantiles are wanted too, of ``loss="quantile"``.

        Returns
        -------
        y : ndarray of shape (n_structures,) or (n_structures, n_outputs)
            Total energies in eV, or what `output` says. Medians for ``loss="quantile"``.
        std : ndarray of shape (n_structures,)
            In the unit of y, positive; only with ``return_std``.
        quantiles : ndarray of shape (n_structures, n_quantiles)
            In the unit of y, ascending; only with ``return_quantiles``.

        Raises
        ------
        NoStandardDeviationError
            If the module was trained by another loss than "gaussian_nll".
        """
        return self._predict(X, return_std, return_quantiles)

    def evaluate(
        self,
        X: Sequence[Atoms],
        *,
        forces: bool = True,
        stress: bool = False,
        atomic: bool = False,
        pairs: NeighborPairs | None = None,
        std: bool = False,
    ) -> Evaluation:
        """Predict everything that is asked for in one pass.

        Parameters
        ----------
        X : sequence of ase.Atoms
        forces, stress, atomic : bool
            Which properties are wanted besides energies. Stress is that of structures
            with a volume; :func:`skatom.potential.predict_stress` checks that.
        pairs : NeighborPairs, optional
            Neighbour pairs of X that are known already, at least up to r_cut.
        std : bool
            Whether standard deviations are wanted, of energies and of those of atoms;
            forces have none.

        Returns
        -------
        evaluation : Evaluation
        """
        return self._evaluate(X, forces, stress, atomic, pairs, std)

    def predict_forces(self, X: Sequence[Atoms]) -> list[np.ndarray]:
        """Predict forces.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        """
        return self.evaluate(X).forces

    def predict_atomic_energies(self, X: Sequence[Atoms], return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.

        Returns
        -------
        energies : list of ndarray of shape (n_atoms,)
            In eV.
        std : list of ndarray of shape (n_atoms,)
            In eV; their squares sum to those of structures; only with ``return_std``.
        """
        found = self.evaluate(X, forces=False, atomic=True, std=return_std)
        if return_std:
            return found.atomic_energies, found.atomic_energy_std
        return found.atomic_energies

    def latent(self, X: Sequence[Atoms]) -> np.ndarray:
        """Give what the last, linear layer of the module sees of every atom.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)

        Raises
        ------
        AttributeError
            If the module has no ``latent``.
        """
        return self._latent(X)

"""Networks on structures: from positions to energies without a featurizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from skatom.models._message_passing.structure_network import (
    STRUCTURE_CONSTRAINTS,
    StructureNetwork,
)


@dataclass(kw_only=True, eq=False, repr=False)
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
    target : str, Target or list of these, default="energy"
        What is predicted, as in :class:`NeuralNetworkRegressor`.
    target_weights : sequence of float, default=None
        Weights of the targets after the first, as there.
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

    _parameter_constraints: ClassVar[dict] = {
        "module": [callable],
        "module_params": [dict, None],
        **STRUCTURE_CONSTRAINTS,
    }

    module: Callable = field(kw_only=False)
    module_params: dict | None = None

    def _module(self) -> Callable:
        return self.module

    def _module_params(self) -> dict:
        return dict(self.module_params or {})

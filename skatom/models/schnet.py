"""SchNet as an estimator of structures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from skatom._validation import Integral, Interval, StrOptions
from skatom.models._message_passing.structure_network import (
    STRUCTURE_CONSTRAINTS,
    StructureNetwork,
)


@dataclass(kw_only=True, eq=False, repr=False)
class SchNetRegressor(StructureNetwork):
    """SchNet: continuous-filter convolutions over neighbours [1]_, as an estimator.

    Every element has a vector, which rounds of convolutions refine by what stands around
    an atom: filters are made by a network from distances. From the last vectors a small
    network makes atomic energies.

    Parameters
    ----------
    n_features : int, default=64
        Width of the representation of an atom.
    n_filters : int, default=None
        Width of the convolutions. None is n_features.
    n_interactions : int, default=3
        Rounds in which atoms look at their neighbours; information travels as many times
        r_cut.
    n_basis : int, default=20
        Number of radial functions.
    r_cut : float, default=5.0
        Radius within which atoms are neighbours, in Å.
    radial_basis : {"gaussian", "bessel"}, default="gaussian"
    cutoff : {"cosine", "mollifier"}, default="cosine"
        What takes filters to zero at the radius.
    activation : str, default="shifted_softplus"
        As in :class:`NeuralNetworkRegressor`: a smooth one where forces or stress are
        trained on.
    head : {"atomwise", "elemental"}, default="atomwise"
        One small network from representations to energies, or one for every element.
    n_head_layers : int, default=2
        Its layers, each half as wide as the one before.
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
    PaiNNRegressor : Messages that carry vectors; more accurate, and slower.
    NeuralNetworkRegressor : Networks of features, faster and more frugal with data.

    Notes
    -----
    With the same weights energies and forces equal those of SchNetPack 2.2.

    References
    ----------
    .. [1] K. T. Schütt, H. E. Sauceda, P.-J. Kindermans, A. Tkatchenko and K.-R. Müller,
       J. Chem. Phys. 148, 241722 (2018), doi:10.1063/1.5019779.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import molecule
    >>> from skatom.models import SchNetRegressor
    >>> frames = [molecule(name) for name in ("H2O", "CH4", "CH3OH", "NH3")]
    >>> y = np.array([-14.2, -24.0, -30.1, -19.5])
    >>> model = SchNetRegressor(n_features=16, max_epochs=10, random_state=0).fit(frames, y)
    >>> model.predict(frames).shape, model.predict_forces(frames)[1].shape
    ((4,), (5, 3))
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_filters": [Interval(Integral, 1, None, closed="left"), None],
        "n_interactions": [Interval(Integral, 1, None, closed="left")],
        "n_basis": [Interval(Integral, 2, None, closed="left")],
        "radial_basis": [StrOptions({"gaussian", "bessel"})],
        "cutoff": [StrOptions({"cosine", "mollifier"})],
        "activation": [str],
        "head": [StrOptions({"atomwise", "elemental"})],
        "n_head_layers": [Interval(Integral, 1, None, closed="left")],
        **STRUCTURE_CONSTRAINTS,
    }

    n_features: int = field(default=64, kw_only=False)
    n_filters: int | None = None
    n_interactions: int = 3
    n_basis: int = 20
    radial_basis: str = "gaussian"
    cutoff: str = "cosine"
    activation: str = "shifted_softplus"
    head: str = "atomwise"
    n_head_layers: int = 2

    def _module(self) -> Callable:
        from skatom.models._message_passing.schnet import SchNet

        return SchNet

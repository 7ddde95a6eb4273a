"""Neural networks of atomic energies, one an element, trained on energies and forces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_random_state,
    check_sample_weight,
    check_targets,
)
from skatom.base import AtomicRegressor
from skatom.features import AtomFeatures
from skatom.models._composition import fit_composition, species_counts
from skatom.models._network.element_scaling import ElementScaling
from skatom.models._network.torch_side import torch_side
from skatom.models._scale import refuse_rescaled_targets
from skatom.models._units import warn_of_mixed_units
from skatom.structures import Labels

if TYPE_CHECKING:
    from skatom.models._network.batches import Part, TrainingSet

__all__ = ["NeuralNetworkRegressor"]

MEGABYTE = 2**20
# Measured with 300 frames of malonaldehyde, 150 epochs: mean errors of forces of 234, 150
# and 275 meV/Å with 1, 0.3 and 0.1.
SMOOTH_INPUT_SCALE = 0.3


class NeuralNetworkRegressor(AtomicRegressor):
    """Sum of atomic energies from a small neural network for every element [1]_.

    Parameters
    ----------
    hidden_layers : tuple of int, default=(64, 64)
        Widths of the hidden layers, the same for every element.
    activation : {"tanh", "sigmoid", "silu", "gelu", "softplus"}, default="tanh"
        Smooth functions only, so that forces are continuous.
    input_scale : float, default=None
        Root mean square of the features of each element as they enter the networks. The
        smaller, the smoother is what is learned: like a longer length scale of a kernel.
        None is 0.3 when forces or stress are trained on, and 1 otherwise.
    optimizer : {"adam", "adamw", "sgd", "lbfgs"}, default="adam"
        "lbfgs" takes all structures at once, with a strong Wolfe line search; an epoch is
        up to 20 iterations.
    lr : float, default=None
        Learning rate at the start. None is 3e-3, 1e-2 for "sgd" and 1 for "lbfgs".
    weight_decay : float, default=0.0
        Of the optimizer; "lbfgs" has none.
    batch_size : int, default=8
        Structures of a batch.
    max_epochs : int, default=500
        Passes over the training structures.
    energy_weight, force_weight, stress_weight : float, default=1.0, 1.0 and 0.1
        Weights of squared errors, see Notes. Zero leaves these labels out.
    forces : {"auto", "calc"}, str or None, default="auto"
        Where the forces of the structures are, as in
        :func:`skatom.structures.read_labels`. Structures without forces are trained on
        their energy. None trains on energies alone.
    stress : {"auto", "calc"}, str or None, default=None
        The same for stress.
    validation_fraction : float, default=0.1
        Share of the structures, rounded, that is held out to choose the best epoch and to
        stop early. With none, the last epoch is kept.
    patience : int, default=100
        Epochs without a better validation loss after which to stop. None never stops.
    lr_schedule : {"plateau", "cosine"} or None, default="plateau"
        "plateau" halves the learning rate after a quarter of `patience` without
        improvement; "cosine" lowers it to zero at `max_epochs`.
    dtype : {"float32", "float64"}, default="float32"
        Of the training. Predictions are always evaluated in float64, so that forces are
        derivatives of the energy to full precision.
    device : str, default="cpu"
        Where to train: "cpu", "cuda", "cuda:1", ... or "auto". Features and predictions
        are computed on the CPU.
    cache_size : float, default=500
        Memory in MB for the derivatives of all features. When they need more they are
        computed anew for every batch, which is slower and gives the same numbers.
    warm_start : bool, default=False
        Go on from the weights of the last fit, with its baseline and scales, instead of
        starting afresh.
    random_state : int, RandomState or None, default=None
        Seed of weights, validation structures and order of batches. The global
        generators of torch and NumPy are not touched.
    verbose : int, default=0
        1 writes a line to standard error every few seconds.
    net_params : dict, default=None
        Further parameters of :class:`skorch.NeuralNet`, for example
        ``{"optimizer__betas": (0.9, 0.99)}`` or ``{"callbacks": [...]}``. Stop early
        through `patience`: callbacks that raise KeyboardInterrupt end the fit with it.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module, in float64.
    baseline_ : ndarray of shape (n_elements,)
        Energies of the elements ``numbers_`` by least squares, in eV, which are
        subtracted before training.
    scale_ : float
        Unit of energy of the networks, in eV: the root mean square force times 1 Å or,
        without forces, that of the residual energy over the root of the number of atoms.
    feature_means_ : ndarray of shape (n_elements, n_features)
        Means of the features of each element, which are subtracted.
    feature_gains_ : ndarray of shape (n_elements,)
        Factors that the features of each element are multiplied with.
    numbers_ : ndarray of int64, shape (n_elements,)
        Atomic numbers; 0 for rows of a plain matrix.
    history_ : dict of list
        For every epoch: ``train_loss``, ``lr``, ``seconds`` and, with validation,
        ``valid_loss``, ``valid_energy_mae`` (eV), ``valid_force_mae`` (eV/Å).
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
    skatom.preprocessing.PerAtom : Scaling of features, which belongs in front.
    skatom.models.AtomicKernelRidge : Kernel model, better with few structures.

    Notes
    -----
    The loss is the mean over structures of

        ``w_E dE² / N + w_F |dF|² / (3 N) + w_S |dW|² / (9 N)``,

    with N atoms, forces F and virial W (stress times volume), all in units of ``scale_``:
    one scale for energies and forces keeps them consistent. Squared errors of extensive
    sums are divided by N once, as for N independent atomic errors.

    The first layer needs features of similar spread: put ``PerAtom(StandardScaler())`` in
    front. The model only removes what would stop training altogether, the mean and the
    overall magnitude of the features of each element (one number, `input_scale`), and
    keeps their relative scale. For forces, few features that are not redundant generalise
    better than many.

    References
    ----------
    .. [1] J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007),
       doi:10.1103/PhysRevLett.98.146401.
    .. [2] A. Singraber, T. Morawietz, J. Behler and C. Dellago, J. Chem. Theory Comput.
       15, 3075 (2019), doi:10.1021/acs.jctc.8b01092: training on forces.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import NeuralNetworkRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = NeuralNetworkRegressor((16,), lr=0.02, max_epochs=100, random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.98
    True
    """

    _parameter_constraints: dict = {
        "hidden_layers": ["array-like"],
        "activation": [StrOptions({"tanh", "sigmoid", "silu", "gelu", "softplus"})],
        "input_scale": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [StrOptions({"adam", "adamw", "sgd", "lbfgs"})],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "energy_weight": [Interval(Real, 0, None, closed="left")],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "lr_schedule": [StrOptions({"plateau", "cosine"}), None],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str],
        "cache_size": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [dict, None],
    }

    def __init__(
        self,
        hidden_layers=(64, 64),
        *,
        activation="tanh",
        input_scale=None,
        optimizer="adam",
        lr=None,
        weight_decay=0.0,
        batch_size=8,
        max_epochs=500,
        energy_weight=1.0,
        force_weight=1.0,
        stress_weight=0.1,
        forces="auto",
        stress=None,
        validation_fraction=0.1,
        patience=100,
        lr_schedule="plateau",
        dtype="float32",
        device="cpu",
        cache_size=500,
        warm_start=False,
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        self.hidden_layers = hidden_layers
        self.activation = activation
        self.input_scale = input_scale
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.lr_schedule = lr_schedule
        self.dtype = dtype
        self.device = device
        self.cache_size = cache_size
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Train the networks.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features of atoms; the rows of a matrix are structures of one atom.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of the structures in the loss. Those of weight zero are left out.
        forces : sequence of arrays of shape (n_atoms, 3) or None, optional
            Forces in eV/Å, instead of those that the parameter `forces` finds.
        stress : sequence of arrays of shape (6,) or (3, 3) or None, optional
            The same for stress, in eV/Å³.

        Returns
        -------
        self : object
        """
        training = torch_side()
        self._check_parameters()
        start = vars(self).get("net_") if self.warm_start else None
        X = self._check_X(X, reset=start is None)
        y = check_targets(y, len(X))
        warn_of_mixed_units(X, y)
        weights = check_sample_weight(sample_weight, len(X))
        weights = weights / weights[weights > 0].mean()
        labels = self._labels(X, y, forces, stress)
        if start is None:
            vars(self).pop("net_", None)  # not fitted before the end is reached
            self._measure(X, y, weights, labels)
        data = self._training_set(X, y, weights, labels)
        rng = check_random_state(self.random_state)
        learning, validation = self._split(data, rng)
        net = training.build_net(
            self.get_params(deep=False),
            self._shape,
            scale=self.scale_,
            seed=rng.randint(2**31 - 1),
            order=np.random.RandomState(rng.randint(2**31 - 1)),
            validates=validation is not None,
        )
        if start is not None:
            training.load_weights(net, training.stored_weights(start.module_))
        self.best_epoch_ = training.train(net, learning, validation)
        self.n_epochs_ = len(net.history)
        self.history_ = training.loss_curves(net)
        self.net_ = training.for_prediction(net)
        return self

    def latent(self, X) -> np.ndarray:
        """Give the last hidden layer of every atom, whose linear head is its energy.

        Every element has columns of its own, zero for other atoms, so that one linear
        function of all columns, plus a constant for each element, gives the atomic
        energies. Distances between rows tell apart environments as the networks see them.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        elements = self._scaling.elements(X.numbers)
        values = self._scaling.apply(X.values, X.numbers)
        return torch_side().latent_atoms(self.net_.module_, values, elements)

    def _check_parameters(self) -> None:
        widths = list(self.hidden_layers)
        if not all(isinstance(w, Integral) and w > 0 for w in widths):
            raise ValueError(
                f"hidden_layers holds {widths}: give positive whole numbers, one a layer."
            )
        if self.optimizer == "lbfgs" and self.weight_decay > 0:
            raise ValueError(
                f"optimizer='lbfgs' has no weight decay, but weight_decay is "
                f"{self.weight_decay}: set it to 0 or choose 'adamw'."
            )

    def _labels(self, X: AtomFeatures, y, forces, stress) -> Labels | None:
        """Read what there is to train on besides energies, as far as it has weight."""
        labels = self._read_labels(X, forces, stress)
        if labels is not None:
            labels = replace(
                labels,
                has_forces=labels.has_forces & (self.force_weight > 0),
                has_stress=labels.has_stress & (self.stress_weight > 0),
            )
            if labels.has_forces.any() or labels.has_stress.any():
                refuse_rescaled_targets(y, X.structures)
                return labels
        if self.energy_weight == 0:
            raise ValueError(
                "energy_weight is 0 and there are no forces or stress to train on: raise "
                "energy_weight, or give structures with forces and a force_weight."
            )
        return None

    def _measure(self, X: AtomFeatures, y, weights, labels: Labels | None) -> None:
        """Set the baseline, the scale of energies and that of features."""
        atom_weights = weights / X.n_atoms
        self.baseline_ = fit_composition(X, y, atom_weights, self.numbers_).energies
        left = y - species_counts(X, self.numbers_) @ self.baseline_
        square = np.average(left**2 / X.n_atoms, weights=weights)
        if labels is not None and labels.has_forces.any():
            square = np.mean(
                labels.forces[np.repeat(labels.has_forces, X.n_atoms)] ** 2
            )
        self.scale_ = float(np.sqrt(square)) or 1.0
        scaling = ElementScaling.of(
            X.values,
            X.numbers,
            self.numbers_,
            np.repeat(weights, X.n_atoms),
            self._input_scale(labels),
        )
        self.feature_means_, self.feature_gains_ = scaling.means, scaling.gains
        self._shape = {
            "n_features": X.values.shape[1],
            "n_elements": len(self.numbers_),
            "hidden_layers": [int(width) for width in self.hidden_layers],
            "activation": self.activation,
        }

    def _input_scale(self, labels: Labels | None) -> float:
        if self.input_scale is not None:
            return self.input_scale
        return 1.0 if labels is None else SMOOTH_INPUT_SCALE

    @property
    def _scaling(self) -> ElementScaling:
        return ElementScaling(self.numbers_, self.feature_means_, self.feature_gains_)

    def _training_set(self, X: AtomFeatures, y, weights, labels) -> TrainingSet:
        from skatom.models._network.batches import TrainingSet

        left = y - species_counts(X, self.numbers_) @ self.baseline_
        scaled = X.transformed(self._scaling, self._scaling.apply(X.values, X.numbers))
        data = TrainingSet(
            values=scaled.values.astype(self.dtype),
            elements=self._scaling.elements(X.numbers),
            n_elements=len(self.numbers_),
            offsets=X.offsets,
            energies=left / self.scale_,
            weights=weights,
        )
        if labels is None:
            return data
        return data.with_labels(
            scaled, labels, self.scale_, limit=self.cache_size * MEGABYTE
        )

    def _split(self, data: TrainingSet, rng) -> tuple[Part, Part | None]:
        """Hold some structures out at random; those without weight take no part."""
        from skatom.models._network.batches import Part

        order = rng.permutation(np.flatnonzero(data.weights))
        n_valid = min(round(self.validation_fraction * len(order)), len(order) - 1)
        learning = Part(data, np.sort(order[n_valid:]))
        return learning, Part(data, np.sort(order[:n_valid])) if n_valid else None

    def _predict_atoms(self, X: AtomFeatures) -> np.ndarray:
        elements = self._scaling.elements(X.numbers)
        values = self._scaling.apply(X.values, X.numbers)
        energies = torch_side().predict_atoms(self.net_.module_, values, elements)
        return self.baseline_[elements] + self.scale_ * energies

    def _feature_gradient(self, X: AtomFeatures) -> np.ndarray:
        elements = self._scaling.elements(X.numbers)
        values = self._scaling.apply(X.values, X.numbers)
        gradient = torch_side().differentiate_atoms(self.net_.module_, values, elements)
        return self._scaling.pullback(X.values, X.numbers, self.scale_ * gradient)

    def __sklearn_is_fitted__(self) -> bool:
        return "net_" in vars(self)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        if "net_" in state:  # plain arrays: small, and no code runs when they are read
            module = state.pop("net_").module_
            state["_weights"] = torch_side().stored_weights(module)
        return state

    def __setstate__(self, state: dict) -> None:
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            training = torch_side()
            params = self.get_params(deep=False) | {"device": "cpu"}
            net = training.build_net(params, self._shape, scale=self.scale_)
            training.load_weights(net, weights)
            self.net_ = training.for_prediction(net)

"""Neural networks of atomic contributions, trained on energies, forces and more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from skatom._training.atom_rows import AtomRows
from skatom._training.estimator import LARGEST_SEED
from skatom._training.front import FRONT_CONSTRAINTS, Front
from skatom._training.kinds import kind_of, squeezed, why_no_slopes, with_columns_of
from skatom._training.torch_side import torch_side
from skatom._training.weights import largest_weight, mean_one
from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_random_state,
    check_sample_weight,
)
from skatom.base import AtomicRegressor
from skatom.base._targets import as_targets
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.features._fitted_on import remember
from skatom.models._feature_network.element_scaling import (
    SMOOTH_INPUT_SCALE,
    ElementScaling,
)
from skatom.structures import Labels

if TYPE_CHECKING:
    from skatom._training.batches import TrainingData


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralNetworkRegressor(Front, AtomicRegressor):
    """Sum of atomic energies from small neural networks of the features of atoms [1]_.

    Parameters
    ----------
    hidden_layers : tuple of int, default=(64, 64)
        Widths of the hidden layers.
    activation : str or list of str, default="tanh"
        One for all hidden layers or one for each, by the name of torch: "tanh", "silu",
        "gelu", "celu", "relu" and every other that works on single numbers and needs no
        arguments. Training on forces or stress asks for smooth ones: "gelu",
        "logsigmoid", "mish", "shifted_softplus", "sigmoid", "silu", "softplus", "tanh" or
        "tanhshrink".
    networks : {"per_element", "single", "trunk"}, default="per_element"
        A network for every element; one for all elements, which features must tell apart
        and whose size does not grow with their number; or one whose last, linear layer
        there is for every element.
    residual : bool, default=False
        Add the input of a hidden layer to its output where both are as wide.
    batch_norm : bool, default=False
        Normalise what enters the activations over the atoms of a batch.
    dropout : float, default=0.0
        Share of the outputs of hidden layers that are dropped in training.
    initialization : {"xavier", "kaiming"}, default="xavier"
        Spread of the first weights.
    input_scale : float, default=None
        Root mean square of the features as they enter the networks. The smaller, the
        smoother is what is learned, like a longer length scale of a kernel. None is 0.3
        when forces or stress are trained on, and 1 otherwise.
    target : str, Target or list of these, default="energy"
        What is predicted, see :class:`skatom.base.Target`. "energy": total energies in eV;
        "sum", "mean": other extensive, and intensive numbers; "max", "softmax": numbers
        that few atoms decide. "dipole": vectors (n_structures, 3) in e·Å from charges that
        add up to ``info["charge"]`` or zero, about the centre of mass; "dipole_magnitude":
        their lengths. "charges": one array of charges of atoms a structure, in e; "atoms":
        other numbers of atoms. Sums, means and numbers of atoms may have several columns.
        For other names and units, ``Target("band gap", "eV", "mean")``. A list has the
        target of y first and others after it, such as ["energy", "dipole", "charges"]:
        their labels are read from the structures (results of calculators, in ASE's units,
        else ``info[name]``, ``arrays[name]`` for numbers of atoms), where there are any;
        ``predict_targets`` gives all.
    target_weights : sequence of float, default=None
        Weights of the losses of the targets after the first, in units of the spread of
        their labels. None is 1 for each.
    optimizer : {"adam", "adamw", "layerwise_adam", "sgd", "adagrad", "lbfgs"}, \
            default="adam"
        "layerwise_adam" is Adam along the principal directions of the gradients of each
        layer, which its authors call SOAP [3]_. "lbfgs" takes all structures at once,
        with a strong Wolfe line search; an epoch is up to 20 iterations.
    lr : float, default=None
        Learning rate at the start. None is 3e-3 for "adam" and "adamw", 1e-2 for
        "layerwise_adam" and "sgd", 3e-2 for "adagrad" and 1 for "lbfgs".
    lr_schedule : {"plateau", "cosine", "step", "onecycle"} or None, default="plateau"
        "plateau" halves the learning rate after a quarter of `patience` without
        improvement; "cosine" lowers it to zero at `max_epochs`; "step" halves it five
        times in all; "onecycle" raises it first, up to `lr`, and then lowers it.
    weight_decay : float, default=None
        Of the optimizer. None is 0.01 for "adamw", 0.1 for "layerwise_adam" and 0 for the
        others; "lbfgs" has none.
    max_grad_norm : float, default=None
        Gradients that are longer are shortened to it.
    ema : float, default=None
        Decay of an exponential moving average of the weights, such as 0.999. It is what
        is validated and kept.
    batch_size : int, default=8
        Structures of a batch.
    max_epochs : int, default=500
        Passes over the training structures.
    loss : {"mse", "mae", "huber", "gaussian_nll", "quantile"}, default="mse"
        Of errors of targets, forces and stress alike. Two learn a distribution of the
        target: "gaussian_nll" its mean and variance [4]_, for
        ``predict(X, return_std=True)``; "quantile" its `quantiles`, for
        ``predict(X, return_quantiles=True)``. Forces and stress then have the loss "mse"
        and "mae", respectively.
    huber_delta : float, default=0.1
        Where Huber's loss turns linear, in eV and eV/Å (the unit of y).
    nll_beta : float, default=0.5
        Power of the predicted variance that the likelihoods of "gaussian_nll" are
        weighted with [5]_. With 0 it is the likelihood itself, which gives up structures
        whose errors are large at first; with 1 the mean is learned as with "mse".
    quantiles : sequence of float, default=(0.05, 0.5, 0.95)
        Of "quantile", ascending, the median among them.
    size_exponent : float, default=0.5
        Errors of energies are divided by this power of the number of atoms: 1 is the loss
        of energies per atom, 0 that of total ones. One half suits independent errors of
        atoms.
    energy_weight, force_weight, stress_weight : float or (float, float), \
            default=1.0, 1.0 and 0.1
        Weights of the losses, see Notes; two numbers are those of the first and of the
        last epoch. Zero leaves these labels out.
    forces : {"auto", "calc"}, str or None, default="auto"
        Where the forces of the structures are, as in
        :func:`skatom.structures.read_labels`. Structures without forces are trained on
        their energy. None trains on energies alone, as do all targets but energies.
    stress : {"auto", "calc"}, str or None, default=None
        The same for stress.
    validation_fraction : float, default=0.1
        Share of the structures that is held out to choose the best epoch and to stop
        early. With none, the last epoch is kept. See also `fit`.
    patience : int, default=100
        Epochs without a better validation loss after which to stop. None never stops.
    energy_tol, force_tol : float, default=None
        Stop when root mean square errors, of the validation part if there is one, are
        below: of y in its unit, of forces in eV/Å.
    checkpoint : path-like, default=None
        File that the state of the training is written to every ten seconds, with a
        checksum. A fit with the same data, split and parameters goes on from it, also
        for more epochs than before, and ends with the same bits as one that was never
        interrupted.
    log_to : path-like or list of path-like, default=None
        Logs: a ``.csv`` file, a picture of the losses that is drawn while training
        (``.png``, ``.svg``, ``.pdf``), or a folder for TensorBoard.
    dtype : {"float32", "float64"}, default="float32"
        Of the training. Predictions are always evaluated in float64, so that forces are
        derivatives of the energy to full precision.
    device : str, default="cpu"
        Where to train: "cpu", "cuda", ... or "auto"; predictions are made on the CPU.
        Where torch.distributed runs (torchrun, accelerate), every process trains on a
        share of each batch.
    cache_size : float, default=500
        Memory in MB for the derivatives of all features. Beyond, they are computed anew
        for every batch, which is slower and gives the same numbers.
    frozen_layers : int, default=0
        First hidden layers that training leaves as they are, for fine-tuning.
    warm_start : bool or "transfer", default=False
        Go on from the weights of the last fit, with its baseline and scales, instead of
        starting afresh. "transfer" adapts the baseline to the new targets first, for data
        of another reference method.
    random_state : int, RandomState or None, default=None
        Seed of weights, dropout, validation structures and order of batches. Global
        generators are not touched.
    verbose : int, default=0
        1 shows a progress bar on standard error.
    net_params : dict, default=None
        Further parameters of :class:`skorch.NeuralNet`, for example
        ``{"optimizer__betas": (0.9, 0.99)}`` or ``{"callbacks": [...]}``. Stop early
        through `patience`: callbacks that raise KeyboardInterrupt end the fit with it.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module, in float64.
    baseline_ : ndarray of shape (n_elements,) or (n_elements, n_outputs)
        What the elements ``numbers_`` contribute by least squares, in eV, which is
        subtracted before training.
    scale_ : float or ndarray of shape (n_outputs,)
        Unit of the networks, in eV: the root mean square force times 1 Å or, without
        forces, that of the residual energy over the root of the number of atoms.
    feature_means_ : ndarray of shape (n_elements, n_features) or (1, n_features)
        Means of the features of each element, or of all, which are subtracted.
    feature_gains_ : ndarray of shape (n_elements,) or (1,)
        Factors that the features of each element are multiplied with.
    numbers_ : ndarray of int64, shape (n_elements,)
        Atomic numbers; 0 for rows of a plain matrix.
    history_ : dict of list
        For every epoch: ``train_loss``, ``valid_loss``, ``lr``, ``seconds``, and errors
        of the validation part (or else of training, while it goes on) in eV and eV/Å:
        ``valid_mae``, ``valid_rmse``, ``valid_force_mae``, ``valid_force_rmse``.
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
    With squares, the loss is the mean over structures of

        ``w_E dE² / N + w_F |dF|² / (3 N) + w_S |dW|² / (9 N)``,

    with N atoms, forces F and virial W (stress times volume), all in units of ``scale_``:
    one scale for energies and forces keeps them consistent. Squared errors of extensive
    sums are divided by N once, as for N independent atomic errors.

    Distributions are sums over atoms too: of variances, or of the squares of distances
    between neighbouring quantiles. Error bars so grow as the root of the number of atoms
    (means over atoms, with ``target="mean"``, do not grow), are positive, and quantiles
    never cross. They say how labels scatter about what the features can tell, noise
    included; not how little is known where there were no structures.

    The model removes what would stop training altogether, the mean and the overall
    magnitude of the features of each element (one number, `input_scale`), and keeps their
    relative scale, in which directions of small variance count little. "adam" learns
    those slowly: put ``PerAtom(StandardScaler())`` in front. "layerwise_adam" does not
    mind, and with forces generalises best from the unscaled features.

    References
    ----------
    .. [1] J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007),
       doi:10.1103/PhysRevLett.98.146401.
    .. [2] A. Singraber et al., J. Chem. Theory Comput. 15, 3075 (2019),
       doi:10.1021/acs.jctc.8b01092: training on forces.
    .. [3] N. Vyas et al., arXiv:2409.11321 (2024).
    .. [4] D. A. Nix and A. S. Weigend, ICNN (1994), doi:10.1109/ICNN.1994.374138.
    .. [5] M. Seitzer, A. Tavakoli, D. Antic and G. Martius, ICLR 2022, arXiv:2203.09168.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import NeuralNetworkRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = NeuralNetworkRegressor((16,), lr=0.02, max_epochs=100, random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.98
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layers": ["array-like"],
        "activation": [str, list, tuple],
        "networks": [StrOptions({"per_element", "single", "trunk"})],
        "residual": ["boolean"],
        "batch_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "initialization": [StrOptions({"xavier", "kaiming"})],
        "input_scale": [Interval(Real, 0, None, closed="neither"), None],
        "frozen_layers": [Interval(Integral, 0, None, closed="left")],
        "cache_size": [Interval(Real, 0, None, closed="left")],
        **FRONT_CONSTRAINTS,
    }

    hidden_layers: Sequence[int] = field(default=(64, 64), kw_only=False)
    activation: str | Sequence[str] = "tanh"
    networks: str = "per_element"
    residual: bool = False
    batch_norm: bool = False
    dropout: float = 0.0
    initialization: str = "xavier"
    input_scale: float | None = None
    cache_size: float = 500
    frozen_layers: int = 0

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
        """Train the networks.

        Parameters
        ----------
        X : AtomFeatures, FeatureStore, or array-like (n_structures, n_features)
            Features of atoms; the rows of a matrix are structures of one atom. Of a
            store, one batch is in memory at a time, with the labels that are in it.
        y : array-like of shape (n_structures,) or (n_structures, n_outputs)
            Total energies in eV, or what `target` says.
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
        start = self._start()
        if hasattr(X, "batches"):  # a FeatureStore
            data = self._stream(X, y, sample_weight, fresh=start is None)
        else:
            X = self.check_features(X, reset=start is None)
            data = self._data(X, y, sample_weight, forces, stress, fresh=start is None)
        self._train(data, start, groups, validation)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Pass once over further structures, at the learning rate `lr`.

        The first call sets baseline and scales, and must show all elements. The optimizer
        remembers earlier calls, until it is pickled. Schedules, averages, validation and
        checkpoints are for `fit`.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,) or (n_structures, n_outputs)
        sample_weight : array-like of shape (n_structures,), optional
        forces, stress
            As in `fit`.

        Returns
        -------
        self : object
        """
        self._start()
        fresh = "net_" not in vars(self)
        X = self.check_features(X, reset=fresh)
        data = self._data(X, y, sample_weight, forces, stress, fresh=fresh)
        self._train_once(data)
        return self

    def predict_atoms(self, X, return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            Or with a second axis for several outputs.
        std : ndarray of shape (n_atoms_total,)
            Their squares sum to those of the structures; only with ``return_std``.
        """
        check_is_fitted(self)
        X = self._inputs(X)
        rows = self._rows(X)
        if not return_std:
            return self._shares(X, rows)
        atoms = self._head.reading(self._atoms(X))
        spreads = self._kind.contributions(atoms, self._spreads(rows))
        return self._shares(X, rows), self._std(spreads)

    def latent(self, X) -> np.ndarray:
        """Give the last hidden layer of every atom, whose linear head is its energy.

        Every element with a head of its own has columns of its own, zero for other atoms,
        so that one linear function of all columns, plus a constant for each element,
        gives the atomic energies.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)
        """
        check_is_fitted(self)
        X = self._inputs(X)
        return _side("prediction").latent(self.net_.module_, *self._scaled(X))

    def sample_atoms(self, X, n_samples=20, random_state=None) -> np.ndarray:
        """Predict contributions of atoms with dropout at work, again and again.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        n_samples : int, default=20
        random_state : int, RandomState or None, default=None

        Returns
        -------
        samples : ndarray of shape (n_samples, n_atoms_total)
            Or with one more axis for several outputs. All are equal without `dropout`.
        """
        check_is_fitted(self)
        X = self._inputs(X)
        seed = check_random_state(random_state).randint(LARGEST_SEED)
        drawn = _side("prediction").dropped_contributions(
            self.net_.module_, *self._scaled(X), n_samples, seed
        )
        return np.stack([self._shares(X, rows) for rows in drawn])

    def thinned(self, random_state=None):
        """Copy the fitted model, with units left out as dropout does, for good.

        One draw serves all atoms, so that the copy is a potential like the model itself.

        Parameters
        ----------
        random_state : int, RandomState or None, default=None

        Returns
        -------
        thinned : estimator
            For predictions only. Equal to the model without `dropout`.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(LARGEST_SEED))
        copy = object.__new__(type(self))
        module = _side("prediction").thinned(self.net_.module_, seed)
        vars(copy).update(vars(self), net_=SimpleNamespace(module_=module))
        return copy

    def predict_with_latent_sums(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Predict, and sum the last hidden layer over structures, in one pass.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        y : ndarray of shape (n_structures,)
            As from `predict`.
        sums : ndarray of shape (n_structures, n_latent)
            Sums of the rows of `latent`.
        """
        check_is_fitted(self)
        X = self._inputs(X)
        rows, sums = _side("prediction").with_latent_sums(
            self.net_.module_, *self._scaled(X), X.structure_index, len(X)
        )
        atoms = self._atoms(X)
        return self._head.predictions(atoms, rows), sums

    def latent_pushforward(self, values, numbers, v) -> np.ndarray:
        """Carry changes of features on to the last hidden layer.

        Parameters
        ----------
        values : ndarray of shape (n, n_features)
            Features of atoms, of which there may be several copies.
        numbers : ndarray of int, shape (n,)
            Their species.
        v : ndarray of shape (n, n_features)
            How they change.

        Returns
        -------
        tangent : ndarray of shape (n, n_latent)
        """
        scaling = self._scaling
        return _side("prediction").latent_pushforward(
            self.net_.module_,
            scaling.apply(values, numbers),
            scaling.elements(numbers),
            scaling.pushforward(values, numbers, v),
        )

    def _inputs(self, X) -> AtomFeatures:
        return self.check_features(X, reset=False)

    def _atoms(self, X: AtomFeatures) -> AtomRows:
        return AtomRows(X.offsets, X.numbers, X.structures)

    def _rows(self, X: AtomFeatures) -> np.ndarray:
        return _side("prediction").contributions(
            self.net_.module_, self._scaling, X.values, X.numbers
        )

    def _read_labels(self, atoms: AtomRows, forces, stress) -> Labels | None:
        return self.read_labels(atoms, forces, stress)

    def _shares(self, X: AtomFeatures, rows: np.ndarray) -> np.ndarray:
        """Give what atoms contribute to the targets, in their unit."""
        atoms = self._atoms(X)
        shares = self._head.shares(atoms, rows)
        return squeezed(self._kind.contributions(self._head.reading(atoms), shares))

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Run the network."""
        return self._shares(X, self._rows(X))

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Run the network, and backwards."""
        return self.compute_with_gradient(X)[1]

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Run the network forwards and backwards."""
        refusal = why_no_slopes(self._kind, type(self).__name__)
        if refusal is not None:
            raise NoDerivativeError(refusal)
        rows, slopes = _side("prediction").with_gradient(
            self.net_.module_, self._scaling, X.values, X.numbers
        )
        atoms = self._atoms(X)
        reading, shares = self._head.reading(atoms), self._head.shares(atoms, rows)
        each = self._kind.slopes(reading, shares) * self._scales[0]
        return squeezed(self._kind.contributions(reading, shares)), each * slopes

    def _scaled(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Scale features, and give the element of every atom."""
        scaling = self._scaling
        return scaling.apply(X.values, X.numbers), scaling.elements(X.numbers)

    @property
    def _scaling(self) -> ElementScaling:
        return ElementScaling(self.numbers_, self.feature_means_, self.feature_gains_)

    # -- training ----------------------------------------------------------------------

    def _start(self) -> dict | None:
        widths = list(self.hidden_layers)
        if not all(isinstance(w, Integral) and w > 0 for w in widths):
            raise ValueError(
                f"hidden_layers holds {widths}: give positive whole numbers, one a layer."
            )
        if len(self._activations()) != len(widths):
            raise ValueError(
                f"activation is {self.activation}: give one name for all, or one for each "
                f"of the {len(widths)} hidden layers."
            )
        if self.frozen_layers > len(widths):
            raise ValueError(
                f"frozen_layers is {self.frozen_layers}, but there are {len(widths)} "
                "hidden layers."
            )
        return super()._start()

    def _activations(self) -> list[str]:
        if isinstance(self.activation, str):
            return [self.activation] * len(self.hidden_layers)
        return list(self.activation)

    def _data(
        self, X: AtomFeatures, y, sample_weight, forces, stress, *, fresh: bool
    ) -> TrainingData:
        """Put features and goals together, on scales of their own."""
        goals = self._goals(X, y, sample_weight, forces, stress, fresh=fresh)
        if fresh:
            usual = SMOOTH_INPUT_SCALE if goals.has_slopes else 1.0
            rms = usual if self.input_scale is None else self.input_scale
            shared = self.networks != "per_element"
            self._remember(ElementScaling.of(X, goals.weights, rms, shared))
        return _side("data").TrainingSet.of(
            X, goals, self._scaling, self.dtype, self.cache_size
        )

    def _stream(self, store, y, sample_weight, *, fresh: bool) -> TrainingData:
        """Measure a store in one pass, and leave its features on disk."""
        target, *others = as_targets(self.target)
        if target.kind != "sum" or others or not fresh:
            raise ValueError(
                "A store is trained on afresh, with one target of kind 'sum': give the "
                "features themselves, store[...], for anything else."
            )
        side = _side("streamed_data")
        weights = mean_one(check_sample_weight(sample_weight, len(store)))
        slopes = target.is_energy
        weighs = slopes and largest_weight(self.force_weight) > 0
        forces = self.forces if weighs else None
        weighs = slopes and largest_weight(self.stress_weight) > 0
        stress = self.stress if weighs else None
        shared = self.networks != "per_element"
        atoms, scaling, square = side.measure(
            store, weights, forces=forces, rms=self.input_scale, shared=shared
        )
        if square is not None or stress is not None:
            torch_side(type(self).__name__).refuse_kinks(self._activations())
        y = kind_of(target).check(atoms, y)
        remember(self, store)
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
        self.n_atom_features_ = scaling.means.shape[1]
        self._measure(atoms, y, weights, with_columns_of(target, y), square)
        self._remember(scaling)
        goals = self._scaled_goals(atoms, y, weights)
        return side.StreamedSet(
            store, goals, scaling, self.scale_, self.dtype, forces, stress
        )

    def _remember(self, scaling: ElementScaling) -> None:
        """Set what predictions need of scaling and networks."""
        self.feature_means_, self.feature_gains_ = scaling.means, scaling.gains
        names = ("networks", "residual", "batch_norm", "dropout", "initialization")
        self._built = {
            "n_features": scaling.means.shape[1],
            "n_elements": len(self.numbers_),
            "hidden_layers": [int(width) for width in self.hidden_layers],
            **{name: getattr(self, name) for name in names},
        }

    def _architecture(self) -> tuple[type, dict]:
        """Give the networks as they were first fitted, whatever parameters say now."""
        shared = ("n_outputs", "n_spreads", "spread_unit", "activations")
        return _side("modules").AtomicNetworks, {
            **self._built,
            **{name: self._shape[name] for name in shared},
            "frozen_layers": self.frozen_layers,
        }


def _side(module: str) -> ModuleType:
    """Import a module of networks of features, which needs torch, when it is needed."""
    return torch_side(
        NeuralNetworkRegressor.__name__, f"skatom.models._feature_network.{module}"
    )

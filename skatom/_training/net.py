"""The skorch net inside an estimator: targets by a readout, forces as derivatives."""

from __future__ import annotations

import torch
from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring
from skorch.utils import TeeGenerator

from skatom._training.loss import Prediction
from skatom._training.optimizers import WITHOUT_CLOSURE
from skatom._training.readouts import READOUTS, AtomBatch


class AtomNet(NeuralNet):
    """A skorch net over batches of atoms, with forces as derivatives.

    Its data are `Part` objects, given to ``fit_loop`` as (training, validation or None).
    Its module maps an `AtomBatch` to contributions of atoms, (n_atoms, n_outputs); that
    is all an architecture has to do. Its criterion compares `Prediction` with `Targets`.

    Parameters
    ----------
    *args, **kwargs
        As in :class:`skorch.NeuralNet`.
    readout : str
        Key of ``READOUTS``.
    n_spreads : int
        How many of the last contributions are spreads rather than shares of values.
    """

    def __init__(self, *args, readout="sum", n_spreads=0, **kwargs):
        self.readout = readout
        self.n_spreads = n_spreads
        super().__init__(*args, **kwargs)

    def infer(self, x: AtomBatch, **fit_params) -> Prediction:
        """Predict a batch, with forces when it asks for them."""
        read = READOUTS[self.readout]
        if not x.has_forces:
            return self._prediction(read(x, self.module_(x)))
        # validation runs under no_grad, but forces are a gradient themselves
        with torch.enable_grad():
            leaf = x.leaf.detach().requires_grad_(True)
            x = x.with_leaf(leaf)
            atoms = self.module_(x)
            energies = atoms[:, 0] if self.n_spreads else atoms
            gradient = torch.autograd.grad(
                energies.sum(), leaf, create_graph=self.module_.training
            )[0]
        return self._prediction(read(x, atoms), *x.forces(gradient))

    def _prediction(self, rows, forces=None, virials=None) -> Prediction:
        if not self.n_spreads:
            return Prediction(rows, forces, virials)
        n = rows.shape[1] - self.n_spreads
        return Prediction(rows[:, :n], forces, virials, rows[:, n:])

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compare a prediction with its targets."""
        return self.criterion_(y_pred, y_true)

    def train_step(self, batch, **fit_params):
        """Take a step as skorch does, in half the time where no closure is needed."""
        if type(self.optimizer_) not in WITHOUT_CLOSURE:
            return super().train_step(batch, **fit_params)
        self.optimizer_.zero_grad()
        self._set_training()
        x, targets = batch
        predicted = self.infer(x)
        loss = self.criterion_(predicted, targets)
        loss.backward()
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify(
            "on_grad_computed", named_parameters=parameters, batch=batch, training=True
        )
        self.optimizer_.step()
        return {"loss": loss, "y_pred": predicted}

    def _set_training(self, training=True):
        if self.module_.training != training or self.criterion_.training != training:
            super()._set_training(training)  # walks over all modules, every batch

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train as skorch does, and validate what would be kept."""
        average = dict(self.callbacks_).get("average")
        if training or average is None:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        with average.applied(self):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def get_split_datasets(self, X, y=None, **fit_params):
        """Give the two parts as they are: the regressor has split them."""
        return X

    def check_data(self, X, y=None):
        """Accept parts: the regressor has checked them."""

    @property
    def _default_callbacks(self):
        return [
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

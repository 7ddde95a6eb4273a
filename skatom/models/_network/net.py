"""The skorch net inside a regressor: energies from networks, forces by the chain rule."""

from __future__ import annotations

import torch
from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring

from skatom.models._network.batches import Batch
from skatom.models._network.modules import Prediction
from skatom.models._network.pair_gradients import PairSums


class AtomNet(NeuralNet):
    """A skorch net over batches of atoms, with forces as derivatives.

    Its data are `Part` objects, given to ``fit_loop`` as (training, validation or None).
    Its module maps values and sizes to atomic energies, as `AtomicNetworks` does, and its
    criterion compares `Prediction` with `Targets`.
    """

    def infer(self, x: Batch, **fit_params) -> Prediction:
        """Predict a batch, with forces when it can differentiate its features."""
        if x.gradients is None:
            return Prediction(x.sum_atoms(self.module_(x.values, x.sizes)))
        # validation runs under no_grad, but forces are a gradient themselves
        with torch.enable_grad():
            values = x.values.detach().requires_grad_(True)
            atoms = self.module_(values, x.sizes)
            gradient = torch.autograd.grad(
                atoms.sum(), values, create_graph=self.module_.training
            )[0]
        forces, virials = PairSums.apply(gradient[x.place], x.gradients)
        return Prediction(x.sum_atoms(atoms), forces, virials)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compare a prediction with its targets."""
        return self.criterion_(y_pred, y_true)

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

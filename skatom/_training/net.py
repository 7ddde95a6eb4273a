"""The skorch net inside an estimator: any module, trained on whole batches."""

from __future__ import annotations

from collections.abc import Callable

from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring
from skorch.utils import TeeGenerator
from torch import nn

from skatom._training.batches import Batch
from skatom._training.loss import Prediction
from skatom._training.optimizers import WITHOUT_CLOSURE


def as_values(module: nn.Module, batch: Batch) -> Prediction:
    """Take what a module gives for the values to be predicted."""
    return Prediction(module(batch))


class Net(NeuralNet):
    """A skorch net over batches that data cut by themselves.

    Its data are `Part` objects, given to ``fit_loop`` as (training, validation or None).
    Its criterion compares `Prediction` with `Targets`.

    Parameters
    ----------
    *args, **kwargs
        As in :class:`skorch.NeuralNet`.
    reading : callable
        Makes a `Prediction` from the module and a batch.
    """

    def __init__(
        self,
        *args,
        reading: Callable[[nn.Module, Batch], Prediction] = as_values,
        **kwargs,
    ):
        self.reading = reading
        super().__init__(*args, **kwargs)

    def infer(self, x: Batch, **fit_params) -> Prediction:
        """Predict a batch."""
        return self.reading(self.module_, x)

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

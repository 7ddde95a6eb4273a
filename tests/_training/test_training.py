"""The trainer alone: any torch module, on data that know no atoms."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import pickle
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skatom._training.batches import tensor_of
from skatom._training.estimator import NetworkEstimator, fingerprint_of
from skatom._training.loss import Targets


class Rows(NamedTuple):
    """A batch of rows."""

    values: torch.Tensor

    @property
    def n_rows(self):
        return len(self.values)


@dataclass
class Matrix:
    """Rows of a matrix, which are to be reproduced."""

    values: np.ndarray
    dtype: str
    streams = False

    @property
    def weights(self):
        return np.ones(len(self.values))

    def __len__(self):
        return len(self.values)

    def batch(self, structures, device):
        rows = tensor_of(self.values[structures], device, self.dtype)
        ones = torch.ones(len(rows), dtype=rows.dtype)
        return Rows(rows), Targets(len(rows), rows, ones, ones)

    def fingerprint(self):
        return fingerprint_of(self.values.tobytes())


class Bottleneck(torch.nn.Module):
    """Linear maps to few numbers and back."""

    def __init__(self, n_features, n_latent, seed, dtype):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shapes = {"inward": (n_features, n_latent), "outward": (n_latent, n_features)}
        for name, shape in shapes.items():
            weights = 0.1 * torch.randn(shape, generator=generator, dtype=dtype)
            setattr(self, name, torch.nn.Parameter(weights))

    def forward(self, batch):
        return batch.values @ self.inward @ self.outward


@dataclass(kw_only=True, eq=False, repr=False)
class LinearAutoencoder(TransformerMixin, NetworkEstimator, BaseEstimator):
    """As small an estimator as the trainer allows."""

    n_latent: int = 2

    def fit(self, X, y=None):
        self.scale_ = 1.0
        self.n_features_in_ = X.shape[1]
        self._train(Matrix(X, self.dtype), self._start())
        return self

    def transform(self, X):
        return X @ self.net_.module_.inward.detach().numpy()

    def inverse_transform(self, Z):
        return Z @ self.net_.module_.outward.detach().numpy()

    def _architecture(self):
        shape = {"n_features": self.n_features_in_, "n_latent": self.n_latent}
        return Bottleneck, shape


def cloud(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 6))
    return X - X.mean(axis=0)


def error(model, X):
    return np.mean((model.inverse_transform(model.transform(X)) - X) ** 2)


def test_a_linear_autoencoder_finds_the_principal_components():
    """P. Baldi, K. Hornik, Neural Networks 2, 53 (1989): the only minimum."""
    X = cloud()
    model = LinearAutoencoder(
        optimizer="lbfgs", max_epochs=20, dtype="float64", validation_fraction=0,
        random_state=0,
    )  # fmt: skip
    best = error(PCA(2).fit(X), X)
    assert best > 0.01
    assert_allclose(error(model.fit(X), X), best, rtol=1e-6)


def test_it_stops_early_keeps_the_best_epoch_and_survives_pickling():
    X = cloud()
    model = LinearAutoencoder(lr=0.05, max_epochs=300, patience=5, random_state=0)
    model.fit(X)
    losses = model.history_["valid_loss"]
    assert len(losses) < 300
    assert model.best_epoch_ == np.argmin(losses) + 1
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.transform(X), model.transform(X))
    assert np.array_equal(clone(model).fit(X).transform(X), model.transform(X))


def test_a_checkpoint_goes_on(tmp_path):
    X, path = cloud(), tmp_path / "state"
    whole = LinearAutoencoder(max_epochs=6, random_state=0).fit(X)
    params = {"random_state": 0, "checkpoint": path, "max_epochs": 6}
    LinearAutoencoder(**params).fit(X)
    again = LinearAutoencoder(**params).fit(X)
    assert again.n_epochs_ == 6
    assert np.array_equal(again.transform(X), whole.transform(X))

"""What skae is compared with: each takes rows and a code size, and gives a fitted reducer."""

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neural_network import MLPRegressor
from torch import nn


class Mean(TransformerMixin, BaseEstimator):
    """Predict the mean, whatever the row: what every reducer has to beat."""

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.zeros((len(X), 1))

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.mean_, (len(Z), len(self.mean_)))


class Tutorial(TransformerMixin, BaseEstimator):
    """The network printed in many tutorials.

    One hidden layer of 16, a ReLU code, a sigmoid output on standardised columns, and 20 steps
    of Adam on all rows at once.
    """

    def __init__(self, n_components: int = 3) -> None:
        self.n_components = n_components

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        k, d = self.n_components, X.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder_ = nn.Sequential(nn.Linear(d, 16), nn.ReLU(), nn.Linear(16, k), nn.ReLU())
            self.decoder_ = nn.Sequential(nn.Linear(k, 16), nn.ReLU(), nn.Linear(16, d), nn.Sigmoid())
        parameters = [*self.encoder_.parameters(), *self.decoder_.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=1e-3)
        rows = torch.tensor(X, dtype=torch.float32)
        for _ in range(20):
            loss = nn.functional.mse_loss(self.decoder_(self.encoder_(rows)), rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.mean_ = X.mean(axis=0)
        return self

    @torch.no_grad()
    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.encoder_(torch.tensor(X, dtype=torch.float32)).numpy()

    @torch.no_grad()
    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        return self.decoder_(torch.tensor(Z)).numpy()


class Perceptron(TransformerMixin, BaseEstimator):
    """`MLPRegressor` fitted on its own input, the folk autoencoder, cut at its middle layer."""

    def __init__(self, n_components: int = 3, max_iter: int = 60) -> None:
        self.n_components = n_components
        self.max_iter = max_iter

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        sizes = (64, self.n_components, 64)
        self.network_ = MLPRegressor(hidden_layer_sizes=sizes, max_iter=self.max_iter, random_state=0)
        self.network_.fit(X, X)
        self.mean_ = X.mean(axis=0)
        return self

    def _through(self, X: np.ndarray, first: int, last: int) -> np.ndarray:
        n_layers = len(self.network_.coefs_)
        for layer in range(first, last):
            X = X @ self.network_.coefs_[layer] + self.network_.intercepts_[layer]
            X = np.maximum(X, 0) if layer < n_layers - 1 else X
        return X

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self._through(X, 0, 2)

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        return self._through(Z, 2, len(self.network_.coefs_))

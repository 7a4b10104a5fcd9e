"""What architectures for sequences share: rows that are steps, one after the other."""

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from torch import nn

from skae._counts import is_integer
from skae.networks.architecture import Architecture
from skae.networks.dropout import Dropout


class SequenceSpecification(Architecture):
    """Base of architectures whose rows are sequences, flattened step by step.

    Parameters
    ----------
    n_timesteps : int, default=None
        Number of steps of a row. With None each column is a step.
    dropout : float in [0, 1), default=0.0
        Share of the units, before the last layer each way, that is set to zero in each training step.
    batch_norm : bool, default=False
        Whether to normalise the same units by batch statistics.
    """

    n_timesteps: int | None = dataclasses.field(default=None, kw_only=False)
    dropout: float = 0.0
    batch_norm: bool = False

    takes_arrays: ClassVar[bool] = True

    @property
    def mixes_rows(self) -> bool:
        """Whether the code of a row depends, in training, on the other rows of its batch."""
        return self.batch_norm

    @property
    def row_kind(self) -> Literal["sequences"]:
        """What rows are, for who shows them."""
        return "sequences"

    def row_shape(self, n_features: int) -> tuple[int, ...]:
        """Return steps and values of a step.

        Parameters
        ----------
        n_features : int
            Number of columns.

        Returns
        -------
        shape : tuple of int
        """
        return self._shape(n_features)

    def to_rows(self, X: np.ndarray) -> np.ndarray:
        """Flatten sequences to rows.

        Parameters
        ----------
        X : ndarray of shape (n, n_timesteps, n_values)
            Sequences.

        Returns
        -------
        rows : ndarray of shape (n, n_timesteps * n_values)

        Raises
        ------
        ValueError
            If the sequences have another shape.
        """
        wanted = X.shape[1] * X.shape[2] if X.ndim == 3 and self.n_timesteps is None else self.n_timesteps
        if X.ndim != 3 or X.shape[1] != wanted:
            raise ValueError(
                f"Sequences of shape {X.shape[1:]} do not fit n_timesteps={self.n_timesteps}: pass rows, or "
                "arrays of shape (n, n_timesteps, values of a step)."
            )
        return X.reshape(len(X), -1)

    def _before_last(self, n_units: int) -> nn.Sequential:
        """Return the modules before the last layer, for units (n, n_units)."""
        modules: list[nn.Module] = [nn.BatchNorm1d(n_units)] if self.batch_norm else []
        return nn.Sequential(*modules, *([Dropout(self.dropout)] if self.dropout else []))

    def _check_dropout(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {self.dropout!r}.")

    def _shape(self, n_features: int) -> tuple[int, int]:
        """Return the number of time steps of a row and the values of each."""
        steps = n_features if self.n_timesteps is None else self.n_timesteps
        if not is_integer(steps) or steps < 1 or n_features % steps:
            raise ValueError(
                f"n_timesteps={self.n_timesteps!r} does not cut rows of {n_features} values into equal "
                "steps: "
                "rows must be sequences flattened step by step, n_timesteps times the values of a step."
            )
        return int(steps), int(n_features // steps)

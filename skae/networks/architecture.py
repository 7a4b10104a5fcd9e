"""What an architecture can do: the base class of all of them."""

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from skae._parameters import Specification
from skae._spelling import refuse_misspelt
from skae.networks.coder import Coder


class Architecture(Specification):
    """What an encoder and a decoder are made of; subclasses override `build`.

    All that estimators ask of an architecture is declared here, with what holds unless it says otherwise.
    """

    # Whether the encoder has a way of its own with rows that hold NaN, so that nothing need be filled.
    takes_gaps: ClassVar[bool] = False
    # Whether `build` takes `n_flags`: the encoder can be told which cells are there.
    takes_flags: ClassVar[bool] = False
    # Whether arrays of more than two axes (images, sequences) are taken as rows, see `to_rows`.
    takes_arrays: ClassVar[bool] = False
    # Whether encoder and decoder have `parts`, which can be trained one by one.
    has_parts: ClassVar[bool] = False
    # Whether encoder and decoder list the `activations` of their hidden layers.
    has_activations: ClassVar[bool] = False
    # Whether the decoder is a dictionary: rows are sums of atoms, `dictionary.Atoms`.
    has_atoms: ClassVar[bool] = False
    # Whether modules may draw from torch's global generator, which nobody else does.
    draws_globally: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        refuse_misspelt(cls, Architecture)

    @property
    def takes_code_flags(self) -> bool:
        """Whether `build` takes `n_code_flags`: the decoder can be told which components are there."""
        return False

    @property
    def is_tied(self) -> bool:
        """Whether the decoder uses the transposed weights of the encoder."""
        return False

    @property
    def mixes_rows(self) -> bool:
        """Whether the code of a row depends, in training, on the other rows of its batch."""
        return False

    @property
    def n_plain_layers(self) -> int | None:
        """Number of hidden layers where the encoder is linear layers and activations alone, else None."""
        return None

    def _given_modules(self) -> tuple[nn.Module, nn.Module] | None:
        """Return encoder and decoder where they are modules of the user's own, else None."""
        return None

    @property
    def row_kind(self) -> Literal["table", "images", "sequences"]:
        """What rows are, for who shows them."""
        return "table"

    def row_shape(self, n_features: int) -> tuple[int, ...]:
        """Return the shape that a row has when it is shown.

        Parameters
        ----------
        n_features : int
            Number of columns.

        Returns
        -------
        shape : tuple of int
            ``(height, width)`` or ``(height, width, channels)`` of images, ``(steps, values)`` of sequences.
        """
        return (n_features,)

    def build(
        self, n_features: int, code_in: int, code_out: int, generator: torch.Generator
    ) -> tuple[Coder, Coder]:
        """Build an encoder and a decoder whose outputs start at exactly zero.

        Parameters
        ----------
        n_features : int
            Number of columns of the data.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of inputs of the decoder: components of the code.
        generator : torch.Generator
            The source of the initial weights.

        Returns
        -------
        encoder, decoder : Coder
            Maps from (n, n_features) to (n, code_in) and from (n, code_out) to (n, n_features).

        Raises
        ------
        ValueError
            If a parameter is not valid.
        """
        raise NotImplementedError

    def to_rows(self, X: np.ndarray) -> np.ndarray:
        """Flatten an array of more than two axes to rows.

        Parameters
        ----------
        X : ndarray of shape (n, ...)
            Images or sequences.

        Returns
        -------
        rows : ndarray of shape (n, n_features)

        Raises
        ------
        ValueError
            If they have another shape than the architecture wants.
        """
        return X.reshape(len(X), -1)

    def from_rows(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Undo `to_rows`.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)
            Rows.
        shape : tuple of int
            What arrays had beside their number.

        Returns
        -------
        X : ndarray of shape (n, ...)
            Images or sequences.
        """
        return rows.reshape(len(rows), *shape)

    def check_gaps(self, rows: np.ndarray) -> None:
        """Refuse rows that hold NaN where the architecture cannot have any.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)
            Rows, some of which hold NaN.

        Returns
        -------
        None

        Raises
        ------
        ValueError
            If there is one where it cannot be.
        """

    def n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        """Count the weights of the network that `build` would make, after a check of its sizes.

        Parameters
        ----------
        n_features : int
            Number of columns.
        code_in, code_out : int
            Number of outputs of the encoder and of inputs of the decoder.

        Returns
        -------
        n_weights : int
            About how many; 0 where modules exist already.

        Raises
        ------
        ValueError
            If a parameter is not valid, as by `build`.
        """
        return self._n_weights(n_features, code_in, code_out)

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        """Check the parameters, and count the same for the architecture at hand."""
        return 0

    def row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        """Count the multiply-adds of the largest operation on one row, which decides how many threads pay.

        Parameters
        ----------
        n_features : int
            Number of columns.
        code_in, code_out : int
            Number of outputs of the encoder and of inputs of the decoder.

        Returns
        -------
        work : int

        Raises
        ------
        ValueError
            If a parameter is not valid, as by `build`.
        """
        self._n_weights(n_features, code_in, code_out)
        # The linear path is there whatever the architecture is.
        return max(n_features * max(code_in, code_out), self._row_work(n_features, code_in, code_out))

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        """Count the same of the architecture's own operations, of parameters that were checked."""
        return 0


def architecture_in(value: object) -> Architecture | None:
    """Return what a parameter called `network` holds if it is an architecture, else None."""
    return value if isinstance(value, Architecture) else None

"""The binary autoencoder: codes of bits, to find neighbours fast."""

import dataclasses
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils import Tags
from torch.nn import functional

from skae.estimators._checks import Interval
from skae.estimators.base import BaseAutoencoder
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Binary, Bottleneck
from skae.networks.pca_start import rotate_linear_path
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import Objective, Reconstruction
from skae.objectives.penalties import Balance, Decorrelation
from skae.training.batches import Rows, average
from skae.training.fitted import Fitted
from skae.training.tensors import Frame

# What each bit of a byte is worth.
_POWERS = torch.tensor([128.0, 64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0])


class BinaryAutoencoderTransformer(BaseAutoencoder):
    """Encode rows as bits, so that similar rows differ in few of them (semantic hashing).

    Neighbours by Hamming distance are found with
    ``NearestNeighbors(metric="hamming", algorithm="brute")``, or from packed bytes by
    ``numpy.bitwise_count(a ^ b)``. Read more in the guide, :doc:`/guide/binary`.

    Parameters
    ----------
    n_components : int or None, default=16
        Number of bits, at least 1.
    hidden_layer_sizes : tuple of int or int, default=()
        Number of units of each hidden layer of the encoder; the decoder mirrors them. Without hidden layers,
        bits are half spaces. With them they explain more, by details that neighbours do not share: among
        20,000 images of MNIST, 0.73 of the 100 nearest by 64 bits have the same digit without, 0.71 with
        the layers of the other estimators.
    balance : float, default=0.1
        Weight of the penalty on bits that are on for more or less than half of the rows, at least 0.
    decorrelation : float, default=0.1
        Weight of the penalty on correlated bits, at least 0.
    packed : bool, default=False
        Whether `transform` packs eight bits into a byte, as `numpy.packbits` does, and
        `inverse_transform` takes such bytes.

    Attributes
    ----------
    bit_means_ : ndarray of shape (n_components,)
        Share of the training rows for which each bit is on.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    SparseAutoencoderTransformer : Few active components in each row, with real values.

    Notes
    -----
    Training rounds codes as `transform` does; gradients are computed as if codes were the logistic function
    of their values ("straight through"). The fit starts at the signs of principal components after a random
    rotation, by which bits explain equal shares of the variance, with the affine decoder that is best for
    them. Bits hold less than numbers: they may explain less than PCA, without a warning.

    References
    ----------
    .. [1] Salakhutdinov, R. and Hinton, G. (2009). Semantic hashing. International Journal of Approximate
       Reasoning 50, 969-978.
    .. [2] Bengio, Y., Leonard, N. and Courville, A. (2013). Estimating or propagating gradients through
       stochastic neurons for conditional computation. arXiv:1308.3432.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import NearestNeighbors
    >>> from skae import BinaryAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> model = BinaryAutoencoderTransformer(32, max_iter=20, random_state=0).fit(X)
    >>> bits = model.transform(X)
    >>> sorted(set(bits.ravel().tolist()))
    [0.0, 1.0]
    >>> search = NearestNeighbors(metric="hamming", algorithm="brute").fit(bits)
    >>> search.kneighbors(bits[:3], n_neighbors=5)[1].shape
    (3, 5)
    >>> model.set_params(packed=True).transform(X).shape
    (500, 4)
    """

    n_components: int | float | Literal["elbow"] | None = dataclasses.field(default=16, kw_only=False)
    hidden_layer_sizes: tuple[int, ...] | int | Literal["auto"] = ()
    balance: float = 0.1
    decorrelation: float = 0.1
    packed: bool = False

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "balance": [Interval(Real, 0, None, closed="left")],
        "decorrelation": [Interval(Real, 0, None, closed="left")],
        "packed": ["boolean"],
    }
    _rivals_pca: ClassVar[bool] = False

    def _bottleneck(self) -> Bottleneck:
        return Binary()

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        if self.balance:
            objective.add_penalty("balance", Balance(self.balance))
        if self.decorrelation and self._size > 1:
            objective.add_penalty("decorrelation", Decorrelation(self.decorrelation))
        return objective

    def _check(self, X: np.ndarray) -> str:
        if self.ordered:
            raise ValueError(
                "ordered=True is for codes of real numbers: a bit that is cut is no different from one that "
                "is 0. Use ordered=False."
            )
        if self.target_weight:
            raise ValueError(
                f"target_weight={self.target_weight!r} is for codes of real numbers, not for bits. Use "
                "target_weight=0, or AutoencoderTransformer."
            )
        return super()._check(X)

    def _starts_as_pca(self) -> bool:
        return False

    def _start(self, network: Autoencoder, objective: Objective, axes: PrincipalAxes, rows: Rows) -> None:
        rotate_linear_path(network, axes)
        super()._start(network, objective, axes, rows)

    def _fitted_attributes(self, fitted: Fitted, frame: Frame) -> dict[str, Any]:
        attributes = super()._fitted_attributes(fitted, frame)
        if fitted.rows is not None:
            attributes["bit_means_"] = average(fitted.rows, attributes["network_"].encode).numpy()
        return attributes

    def _encode(self, X: np.ndarray) -> np.ndarray:
        codes = super()._encode(X)
        return np.packbits(codes > 0, axis=1) if self.packed else codes

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        if self.packed:
            packed = Z.astype(np.uint8)
            if (packed != Z).any():
                raise ValueError(
                    "Packed codes are bytes, whole numbers from 0 to 255; got values from "
                    f"{Z.min():g} to {Z.max():g}. Pass what transform gave, or set packed=False for bits."
                )
            bits = np.unpackbits(packed, axis=1, count=self.n_components_)
            Z = bits.astype(np.float64)
        return super()._decode(Z)

    def _output_in(self, network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        codes = super()._output_in(network, rows)
        if not self.packed:
            return codes
        # Bytes by sums of powers of two, the first bit being the largest.
        padded = functional.pad(codes, (0, -self.n_components_ % 8)).reshape(-1, self._n_features_out, 8)
        return (padded @ _POWERS.to(padded)).to(torch.uint8)

    def _codes_of(self, output: torch.Tensor) -> torch.Tensor:
        if not self.packed:
            return output
        halves = torch.floor(output[:, :, None] / _POWERS.to(output))
        return (halves - 2 * torch.floor(halves / 2)).flatten(1)[:, : self.n_components_]

    @property
    def _n_features_out(self) -> int:
        return -(-self.n_components_ // 8) if self.packed else self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if self.packed and tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = []
        return tags

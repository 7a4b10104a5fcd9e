"""What networks are made of, as functions of arrays: activations, what happens to codes, links, scalings.

Each is a small object that can be pickled: its arrays and numbers are all there is to it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

# numpy has none of these; torch's are as exact.
_erf = np.frompyfunc(math.erf, 1, 1)
_LARGEST_EXPONENT = 30.0
# As scikit-learn: shares nearer to 0 or 1 are taken for these, so that nothing is infinite.
_NEAREST = 1e-7
_LEAST_SHARE = _NEAREST - np.spacing(1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By the hyperbolic tangent, which does not overflow.
    return np.tanh(x * x.dtype.type(0.5)) * x.dtype.type(0.5) + x.dtype.type(0.5)


def _relu(x: np.ndarray) -> np.ndarray:
    # In place, and with a zero of the same dtype: a third of the time for one row.
    return np.maximum(x, _ZEROS[x.dtype], out=x)


def _normal_share(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.asarray(_erf(x / 2**0.5), dtype=x.dtype))


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _same(x: np.ndarray) -> np.ndarray:
    return x


_ZEROS = {np.dtype(kind): np.zeros((), kind) for kind in (np.float32, np.float64)}

# By the names of torch's modules. They may write into what they are given.
ACTIVATIONS: dict[str, Function] = {
    "torch.Identity": _same,
    "torch.Sigmoid": _sigmoid,
    "torch.Tanh": lambda x: np.tanh(x, out=x),
    "torch.ReLU": _relu,
    "torch.GELU": lambda x: (x * _normal_share(x)).astype(x.dtype, copy=False),
    "torch.SiLU": lambda x: x * _sigmoid(x),
    "torch.ELU": _elu,
    "torch.LeakyReLU": lambda x: np.maximum(x, x * x.dtype.type(0.01)),
}

LINKS: dict[str, Function] = {
    "identity": _same,
    "logistic": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "exp": lambda x: np.exp(np.minimum(x, x.dtype.type(_LARGEST_EXPONENT))),
}


# ---------------------------------------------------------------------- what happens to codes


class Threshold(NamedTuple):
    """Keep codes above thresholds, or from them on."""

    least: np.ndarray  # (n_components,) or a number
    from_on: bool = False

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out, (n, n_components)."""
        least = self.least.astype(pre.dtype)
        codes = np.maximum(pre, 0) if self.from_on else pre
        return codes * (codes >= least if self.from_on else codes > least)


class Largest(NamedTuple):
    """Keep the largest codes of each row, none of them negative."""

    n_active: int

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out, (n, n_components)."""
        codes = np.maximum(pre, 0)
        if self.n_active >= codes.shape[1]:
            return codes
        places = np.argpartition(codes, -self.n_active, axis=1)[:, -self.n_active :]
        kept = np.zeros_like(codes)
        np.put_along_axis(kept, places, np.take_along_axis(codes, places, axis=1), axis=1)
        return kept


class Gate(NamedTuple):
    """Keep codes whose gates are open, with sizes of their own."""

    stretch: np.ndarray  # (n_components,)
    shift: np.ndarray  # (n_components,)

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out, (n, n_components)."""
        size = self.stretch.astype(pre.dtype) * pre + self.shift.astype(pre.dtype)
        return np.where(pre > 0, np.maximum(size, 0), 0).astype(pre.dtype, copy=False)


class Bits(NamedTuple):
    """Round codes to 0 and 1; pack eight into a byte if asked to."""

    n_bits: int
    packed: bool

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return bits of what the encoder puts out, (n, n_components)."""
        return np.packbits(pre > 0, axis=1) if self.packed else (pre > 0).astype(pre.dtype)

    def unpacked(self, codes: np.ndarray) -> np.ndarray:
        """Return bits as numbers, (n, n_components)."""
        if not self.packed:
            return codes
        if not (np.isfinite(codes) & (codes == np.clip(np.round(codes), 0, 255))).all():
            raise ValueError(
                "Packed codes are bytes, whole numbers from 0 to 255; got other values. Pass what transform "
                "gave."
            )
        return np.unpackbits(codes.astype(np.uint8), axis=1, count=self.n_bits).astype(np.float64)


class Rectifier(NamedTuple):
    """Set negative codes to zero."""

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out, (n, n_components)."""
        return np.maximum(pre, 0)


class Logistic(NamedTuple):
    """Squash codes into (0, 1)."""

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out, (n, n_components)."""
        return _sigmoid(pre)


Read = Threshold | Largest | Gate | Bits | Rectifier | Logistic


# ---------------------------------------------------------------------- rows with gaps


class Gaps(NamedTuple):
    """Fill what is missing in rows by probabilistic PCA; `skae.networks.gaps` says how."""

    loadings: np.ndarray  # (n_features, rank)
    noise: float
    known: np.ndarray  # (n_features,)
    always: bool
    flags: bool

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return filled rows (n, n_features), and which of their cells were there."""
        there = ~np.isnan(rows) & self.known
        if there.all():
            return rows, there
        rows = np.where(there, rows, rows.dtype.type(0))
        rank = self.loadings.shape[1]
        if not rank:
            return rows, there
        loadings = self.loadings.astype(rows.dtype)
        products = (loadings[:, :, None] * loadings[:, None, :]).reshape(-1, rank * rank)
        precision = (there.astype(rows.dtype) @ products).reshape(-1, rank, rank)
        precision += rows.dtype.type(self.noise) * np.eye(rank, dtype=rows.dtype)
        codes = np.linalg.solve(precision, (rows @ loadings)[:, :, None])[:, :, 0]
        return np.where(there, rows, codes @ loadings.T), there


# ---------------------------------------------------------------------- scaling of numbers


class Shift(NamedTuple):
    """Subtract from each column, and divide it."""

    shift: np.ndarray
    factor: np.ndarray
    in_own_dtype: bool  # as `StandardScaler` does; else differences are those of float64

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return scaled rows (n, n_features)."""
        shift = self.shift.astype(X.dtype) if self.in_own_dtype else self.shift
        return ((X - shift).astype(X.dtype, copy=False) / self.factor).astype(X.dtype, copy=False)

    def undo(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, n_features) in their own units."""
        return (rows * self.factor + self.shift).astype(rows.dtype, copy=False)


class Quantiles(NamedTuple):
    """Map each column to a normal distribution by its quantiles, as `QuantileTransformer` does."""

    quantiles: np.ndarray  # (n_quantiles, n_features)
    shares: np.ndarray  # (n_quantiles,)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return scaled rows (n, n_features)."""
        # Takes as long to import as the whole of this package, and few estimators need it.
        from statistics import NormalDist

        quantile = NormalDist().inv_cdf
        # Shares are rounded to the dtype of X, as scikit-learn has them there.
        share = np.column_stack([self._share(X[:, j], self.quantiles[:, j]) for j in range(X.shape[1])])
        share = share.astype(X.dtype).astype(np.float64)
        inside = (share > 0) & (share < 1)
        least, most = quantile(_LEAST_SHARE), quantile(1 - _LEAST_SHARE)
        scores = np.where(share > 0, most, least)
        scores[inside] = np.frompyfunc(quantile, 1, 1)(share[inside])
        scores[np.isnan(share)] = np.nan
        return np.clip(scores, least, most).astype(X.dtype)

    def _share(self, values: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
        lowest, highest = values - _NEAREST < quantiles[0], values + _NEAREST > quantiles[-1]
        # From both ends: where several quantiles are equal, the share is in the middle of theirs.
        up = np.interp(values, quantiles, self.shares)
        down = np.interp(-values, -quantiles[::-1], -self.shares[::-1])
        share = (up - down) / 2
        share[highest] = 1.0
        share[lowest] = 0.0
        share[np.isnan(values)] = np.nan
        return share

    def undo(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, n_features) in their own units."""
        share = _normal_share(rows.astype(np.float64))
        columns = [np.interp(share[:, j], self.shares, self.quantiles[:, j]) for j in range(rows.shape[1])]
        return np.column_stack(columns).astype(rows.dtype)


Scaling = Shift | Quantiles

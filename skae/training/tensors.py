"""Arrays to tensors and back: centring, one overall scale, dtype, chunks.

The statistics are float64 whatever the dtype of the data, so that a large offset or a
large unit costs no digits. Knows no training.
"""

import copy
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skae._computing import threads, without_autocast
from skae.networks.autoencoder import Autoencoder
from skae.networks.scaling import Scaling
from skae.objectives.reconstruction import Reconstruction
from skae.training.batches import Rows

# Values of a chunk: large enough to keep the cores busy, small enough for its hidden
# layers to stay in the cache (measured on 46,000 x 17: twice as fast as in one piece).
_CHUNK_VALUES = 2**18
_MIN_CHUNK_ROWS = 256
_MAX_CHUNK_ROWS = 4096
# Tables of up to so many cells are trained in float64, so that weights of rows count like repetitions to the
# last digits that scikit-learn compares. It takes a third longer, which is a second there.
_DOUBLE_CELLS = 2**11


class Frame(NamedTuple):
    """Where the data lie: the mean of each column and one scale for all."""

    centre: np.ndarray  # (n_features,) float64
    scale: float  # root mean square of the centred cells; 1.0 where nothing varies

    def to_network(self, X: np.ndarray) -> np.ndarray:
        """Centre and scale rows, in the dtype they came in."""
        # What overflows is caught, with a sentence, by the check of the result.
        with np.errstate(over="ignore"):
            return ((X - self.centre) * (1 / self.scale)).astype(X.dtype, copy=False)

    def to_data(self, X: np.ndarray, centred: bool | np.ndarray = True) -> np.ndarray:
        """Undo `to_network`, in those columns that are centred."""
        if centred is False:
            return X
        with np.errstate(over="ignore"):
            X_back = X * self.scale + self.centre
        return (X_back if centred is True else np.where(centred, X_back, X)).astype(X.dtype, copy=False)


def chunks(X: np.ndarray) -> list[slice]:
    """Cut rows into chunks."""
    size = min(_MAX_CHUNK_ROWS, max(_MIN_CHUNK_ROWS, _CHUNK_VALUES // X.shape[1]))
    return [slice(start, start + size) for start in range(0, len(X), size)]


def frame_of(X: np.ndarray, weight: np.ndarray | None = None) -> Frame:
    """Measure the mean of each column and the overall scale.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Floats; cells that are NaN do not count.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.

    Returns
    -------
    frame : Frame
    """
    if weight is not None:
        return _measure_weighted(X, weight)
    if np.isnan(X.sum(dtype=np.float64)):
        centre, n_cells = _means_of_known(X)
        squares = sum(float(np.nansum(np.square(X[part] - centre))) for part in chunks(X))
    else:
        centre, n_cells = np.asarray(np.mean(X, axis=0, dtype=np.float64)), X.size
        squares = sum(float(np.sum(np.square(X[part] - centre))) for part in chunks(X))
    return framed(X.dtype, centre, squares / n_cells)


def _means_of_known(X: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the mean of each column over its cells that are there, 0 where none is, and their number."""
    total, counts = np.zeros((1, X.shape[1])), np.zeros(X.shape[1], dtype=np.int64)
    for part in chunks(X):
        gaps = np.isnan(X[part])
        counts += len(gaps) - gaps.sum(axis=0)
        # Row by row from where the last part ended: the sum is that of all rows at once, to the last bit.
        total[0] = np.concatenate([total, np.where(gaps, 0.0, X[part])]).sum(axis=0)
    return total[0] / np.maximum(counts, 1), int(counts.sum())


def framed(dtype: np.dtype, centre: np.ndarray, mean_square: float) -> Frame:
    """Return the frame of rows of a dtype by the mean of each column and of all squares about it."""
    # What is left of constant columns after centring is rounding of their values.
    rounding = 10 * np.finfo(dtype).eps * float(np.abs(centre).max())
    scale = float(np.sqrt(mean_square))
    return Frame(centre, scale if scale > rounding else 1.0)


def _measure_weighted(X: np.ndarray, weight: np.ndarray) -> Frame:
    parts = chunks(X)
    counts = sum(weight[part] @ ~np.isnan(X[part]) for part in parts)
    totals = sum(weight[part] @ np.nan_to_num(X[part]) for part in parts)
    centre = totals / np.maximum(counts, np.finfo(float).tiny)
    squares = sum(
        float((weight[part] @ np.where(np.isnan(X[part]), 0.0, X[part] - centre) ** 2).sum())
        for part in parts
    )
    return framed(X.dtype, centre, squares / max(float(np.sum(counts)), np.finfo(float).tiny))


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array as a tensor, copied only where torch cannot share its memory.

    It knows no strides below zero, those of reversed arrays, or in between cells, those of fields of records,
    and warns of arrays that it could not write to, e.g. memory maps.
    """
    is_even = all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)
    is_shared = array.flags.writeable and array.flags.aligned and is_even
    return torch.from_numpy(array if is_shared else array.copy())


def weights_to(
    weight: np.ndarray | None, like: torch.Tensor, order: np.ndarray | None = None
) -> torch.Tensor | None:
    """Put weights of rows on the device in the dtype of rows, (n_samples, 1); None for none.

    Whole numbers count like repetitions, wherever the number of rows matters; others, shares for example, are
    divided by their mean.
    """
    if weight is None:
        return None
    is_whole = (weight == np.round(weight)).all()
    in_order = weight[slice(None) if order is None else order]
    return torch.from_numpy(in_order if is_whole else in_order / weight.mean())[:, None].to(like)


def labels_to(
    labels: np.ndarray | None, like: torch.Tensor, order: np.ndarray | None = None
) -> torch.Tensor | None:
    """Put the target of rows on the device in the dtype of rows, (n_samples, n_outputs); None for none."""
    if labels is None:
        return None
    return torch.from_numpy(labels[slice(None) if order is None else order]).to(like)


def to_rows(
    X: np.ndarray, frame: Frame, device: torch.device, order: np.ndarray | None = None
) -> torch.Tensor:
    """Put centred and scaled rows on the device, as float32, or as float64 where there are few.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    frame : Frame
    device : torch.device
    order : ndarray of shape (n_samples,), optional
        The order in which the rows are put; as given by default.

    Returns
    -------
    rows : tensor of shape (n_samples, n_features)
        The only copy of the data that training makes.
    """
    rows = torch.empty(X.shape, dtype=torch.float64 if is_small(X, device) else torch.float32)
    view = rows.numpy()
    for part in chunks(X):
        view[part] = (X[part if order is None else order[part]] - frame.centre) / frame.scale
    return rows.to(device)


def to_table(
    target: np.ndarray,
    inputs: np.ndarray | None,
    weight: np.ndarray | None,
    labels: np.ndarray | None,
    frame: Frame,
    device: torch.device,
    order: np.ndarray | None,
) -> Rows:
    """Put rows on the device, and what belongs to each; takes what `to_rows` does."""
    rows = to_rows(target, frame, device, order)
    seen = None if inputs is None else to_rows(inputs, frame, device, order)
    return Rows(rows, seen, weights_to(weight, rows, order), labels_to(labels, rows, order))


def is_small(X: np.ndarray, device: torch.device) -> bool:
    """Whether a table is trained in float64."""
    return X.size <= _DOUBLE_CELLS and device.type != "mps"


class Codec:
    """A trained network in use: arrays in, arrays out, in the dtype of the input.

    Parameters
    ----------
    network : Autoencoder
        On the CPU, in evaluation mode.
    reconstruction : Reconstruction
        Its link.
    frame : Frame
        Where the data lie.
    """

    def __init__(self, network: Autoencoder, reconstruction: Reconstruction, frame: Frame) -> None:
        self.network = network
        self.reconstruction = reconstruction
        centred = reconstruction.centred
        self.centred = centred if isinstance(centred, bool) else centred.cpu().numpy()
        self.frame = frame
        self._copies: dict[torch.dtype, Autoencoder] = {}

    def encode(
        self, X: np.ndarray, codes: Callable[[Autoencoder, torch.Tensor], torch.Tensor] = Autoencoder.encode
    ) -> np.ndarray:
        """Map data (n, n_features) to codes (n, n_components), by a function unless the encoder is linear."""
        if self.linear is not None:
            found = self._encode_linearly(X, *self.linear)
            # What has gaps, or overflows, goes the long way.
            if np.isfinite(found).all():
                return found
        return self.apply(X, codes)

    @functools.cached_property
    def linear(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Matrix (n_features, n_components) from centred data to codes, and an offset; None if it bends."""
        found = self.network.linear_encoding()
        if found is None:
            return None
        weight, bias = (part.double().numpy() for part in found)
        return np.ascontiguousarray(weight.T) / self.frame.scale, bias

    def _encode_linearly(self, X: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Map data to codes by one product."""
        with np.errstate(over="ignore", invalid="ignore"):
            if X.dtype == np.float64:
                codes = X @ matrix + (offset - self.frame.centre @ matrix)
            else:
                codes = np.empty((len(X), len(offset)), dtype=X.dtype)
                # In the float64 of the centre: the difference of two large numbers is what counts. Some rows
                # at a time, as all of them would take twice the memory of the table.
                for part in chunks(X):
                    codes[part] = (X[part] - self.frame.centre) @ matrix + offset
        return codes[:, : self.network.n_kept]

    def activations(self, X: np.ndarray) -> np.ndarray:
        """Map data (n, n_features) to the activations of all hidden layers and the code."""
        return self.apply(X, lambda network, rows: network.activations(rows))

    def apply(
        self, X: np.ndarray, function: Callable[[Autoencoder, torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        """Apply a function of the network and of centred and scaled rows to data (n, n_features)."""

        def read(network: Autoencoder, part: np.ndarray) -> np.ndarray:
            rows = torch.from_numpy(self.frame.to_network(part))
            # A network that has seen gaps in training fills them itself.
            if network.gaps is not None and not network.gaps.always and np.isnan(part).any():
                rows = network.complete(rows)
            return function(network, rows).numpy()

        return self._by_chunks(X, read)

    def decode(self, Z: np.ndarray, draw: Callable[[torch.Tensor], torch.Tensor] | None = None) -> np.ndarray:
        """Map codes (n, n_components) to data (n, n_features), drawn about their means if asked to."""

        def back(network: Autoencoder, part: np.ndarray) -> np.ndarray:
            mean = self.reconstruction.mean(network.decode(as_tensor(part)))
            return self.frame.to_data((mean if draw is None else draw(mean)).numpy(), self.centred)

        return self._by_chunks(Z, back)

    def with_dropout(self, generator: torch.Generator, dtype: np.dtype) -> "Codec":
        """Return a copy whose dropout goes on in use, by a generator; itself where there is none."""
        if not self.network.dropouts:
            return self
        network = copy.deepcopy(self._network(dtype))
        network.draw_dropout_from(generator)
        for layer in network.dropouts:
            layer.train()
        return Codec(network, self.reconstruction, self.frame)

    def _by_chunks(
        self, X: np.ndarray, function: Callable[[Autoencoder, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return what a function of the network computes of all rows, (n, ...), some rows at a time."""
        parts = chunks(X)
        work = min(len(X), parts[0].stop) * self.network.row_work
        with threads(work), torch.inference_mode(), without_autocast():
            # Within: a copy in another dtype computes as well.
            network = self._network(X.dtype)
            result = _finite(function(network, X[parts[0]]), X)
            if len(parts) == 1:
                return result
            # One output: small ones would be kept beside it until the last one is there.
            whole = np.empty((len(X), *result.shape[1:]), dtype=result.dtype)
            whole[parts[0]] = result
            for part in parts[1:]:
                whole[part] = _finite(function(network, X[part]), X)
        return whole

    def _network(self, dtype: np.dtype) -> Autoencoder:
        wanted = torch.float32 if dtype == np.float32 else torch.float64
        if next(self.network.parameters()).dtype == wanted:
            return self.network
        if wanted not in self._copies:
            # Cached: converting takes longer than encoding one row. Two threads may both
            # convert; the results are equal.
            # Also for read-outs by gradients, which tensors made in inference mode have none of for ever.
            with torch.inference_mode(False):
                self._copies[wanted] = copy.deepcopy(self.network).to(wanted)
        return self._copies[wanted]

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "linear"} | {"_copies": {}}


def _finite(result: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Refuse results that are not finite."""
    if not np.isfinite(result).all():
        raise ValueError(
            f"The network's output overflowed {X.dtype}: some input values are too far from those "
            f"seen in training (largest magnitude here: {np.nanmax(np.abs(X)):.3g}). "
            "Remove or clip such rows, or pass float64."
        )
    return result


class Encoder(nn.Module):
    """The encoder as a torch module: data in its own units in, codes out.

    Parameters
    ----------
    network : Autoencoder
        Shared with the estimator.
    frame : Frame
        Where the data lie.
    scaling : Scaling, optional
        What is done to numbers before.
    """

    centre: torch.Tensor

    def __init__(self, network: Autoencoder, frame: Frame, scaling: Scaling | None = None) -> None:
        super().__init__()
        self.network = network
        self.scaling = scaling
        self.register_buffer("centre", torch.from_numpy(frame.centre.copy()))
        self.scale = frame.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to codes (n, n_components)."""
        return self.network.encode(self.framed(x if self.scaling is None else self.scaling(x)))

    def framed(self, inside: torch.Tensor) -> torch.Tensor:
        """Centre and scale rows inside (n, n_features), and fill them unless the network does."""
        # In the float64 of the centre first: the difference of two large numbers is what counts.
        rows = ((inside - self.centre) / self.scale).to(next(self.network.parameters()).dtype)
        if self.network.gaps is not None and not self.network.gaps.always:
            rows = self.network.complete(rows)
        return rows


class Decoder(nn.Module):
    """The decoder as a torch module: codes in, data in its own units out.

    Parameters
    ----------
    network : Autoencoder
        Shared with the estimator.
    reconstruction : Reconstruction
        Its link.
    frame : Frame
        Where the data lie.
    scaling : Scaling, optional
        What was done to numbers before.
    """

    centre: torch.Tensor

    def __init__(
        self,
        network: Autoencoder,
        reconstruction: Reconstruction,
        frame: Frame,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.scaling = scaling
        self.reconstruction = reconstruction
        self.register_buffer("centre", torch.from_numpy(frame.centre.copy()))
        self.scale = frame.scale

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_components) to rows (n, n_features)."""
        inside = self.inside(code)
        back = inside if self.scaling is None else self.scaling.undo(inside)
        return back.to(next(self.network.parameters()).dtype)

    def inside(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_components) to rows inside (n, n_features), in the float64 of the centre."""
        code = code.to(next(self.network.parameters()).dtype)
        mean = self.reconstruction.mean(self.network.decode(code))
        centred = self.reconstruction.centred
        if centred is False:
            return mean
        moved = mean.to(self.centre) * self.scale + self.centre
        return moved if centred is True else torch.where(centred, moved, mean.to(moved))

"""A fitted dense autoencoder as numpy arrays."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skae.numpy._layers import ACTIVATIONS, LINKS, Bits, Gaps, Read, Scaling

# Rows that are computed at once, so that hidden layers stay in the cache.
_CHUNK_ROWS = 2048
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Layers(NamedTuple):
    """Layers of an encoder or a decoder, and the linear path beside them."""

    weights: tuple[np.ndarray, ...]  # (n_in, n_out) each
    biases: tuple[np.ndarray, ...]
    activations: tuple[tuple[str, ...], ...]  # after each layer but the last, keys of `ACTIVATIONS`
    path: np.ndarray | None = None  # (n_in, n_out)

    def compiled(self, dtype: np.dtype) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return what maps rows as layers see them, and as the linear path does, to outputs."""
        weights = [np.ascontiguousarray(weight, dtype=dtype) for weight in self.weights]
        biases = [bias.astype(dtype) for bias in self.biases]
        between = [[ACTIVATIONS[name] for name in names] for names in self.activations]
        hidden = list(zip(weights[:-1], biases[:-1], between, strict=True))
        path = None if self.path is None else np.ascontiguousarray(self.path, dtype=dtype)

        def apply(seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
            # Methods and operations in place, which for one row take a third of what functions take. New
            # arrays in every call, which numpy keeps at hand: threads share nothing that is written to.
            for weight, bias, activations in hidden:
                seen = seen.dot(weight)
                seen += bias
                for activation in activations:
                    seen = activation(seen)
            output = seen.dot(weights[-1])
            output += biases[-1]
            if path is not None:
                output += rows.dot(path)
            return output

        return apply


class Parts(NamedTuple):
    """What a fitted dense autoencoder consists of."""

    n_features: int
    names: list[str] | None
    output_name: str  # what names of the components begin with
    scaling: Scaling | None
    is_empty: np.ndarray | None  # (n_features,) columns without any value in training
    centre: np.ndarray  # (n_features,)
    scale: float
    gaps: Gaps
    encoder: Layers
    read: Read | None
    n_components: int
    decoder: Layers
    n_codes: int | None  # width of ordered codes, in which components that are cut are zero
    has_code_flags: bool
    link: str
    is_centred: bool


class NumpyAutoencoder:
    """A fitted autoencoder of dense layers that maps rows to codes and back, in numpy alone.

    Made by `skae.numpy.encoder`. It can be pickled, and loaded where neither torch nor scikit-learn is
    installed. Several threads may use it at once: nothing is written to but arrays that a call makes.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    n_components_ : int
        Number of components.
    feature_names_in_ : ndarray of str
        Names of the columns, where the estimator was fitted on a table whose columns have names.

    See Also
    --------
    skae.onnx.to_onnx : Every estimator and architecture, for onnxruntime.

    Examples
    --------
    >>> import numpy as np
    >>> import skae.numpy
    >>> from skae import AutoencoderTransformer
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> model = AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> encoder = skae.numpy.encoder(model)
    >>> bool(np.allclose(encoder.transform(X), model.transform(X)))
    True
    >>> encoder.inverse_transform(encoder.transform(X[:1])).shape
    (1, 5)
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.n_features_in_ = parts.n_features
        self.n_components_ = parts.n_components
        if parts.names is not None:
            self.feature_names_in_ = np.array(parts.names, dtype=object)
        self._forget()

    def _forget(self) -> None:
        # By dtype; two threads may both compile, with equal results.
        self._encoders: dict[np.dtype, Callable[[np.ndarray], np.ndarray]] = {}
        self._decoders: dict[np.dtype, Callable[[np.ndarray], np.ndarray]] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"parts": self._parts}

    def __setstate__(self, state: dict[str, Parts]) -> None:
        NumpyAutoencoder.__init__(self, state["parts"])

    def __repr__(self) -> str:
        return f"NumpyAutoencoder(n_features_in_={self.n_features_in_}, n_components_={self.n_components_})"

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Map rows to codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of numbers, in the units and with the columns of `fit`. Missing cells are NaN.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            What `transform` of the estimator gives, in float32 for float32 rows and else in float64. Codes
            of a sparse estimator are dense; packed bits are bytes.

        Raises
        ------
        ValueError
            If X does not hold such rows.
        """
        # The short way, since for one row checks take longer than the network. The sum of squares is finite
        # where every cell is finite, and none is so large that anything could overflow.
        if type(X) is np.ndarray and X.ndim == 2 and X.shape[1] == self.n_features_in_:
            encode = self._encoders.get(X.dtype)
            if encode is not None and 0 < len(X) <= _CHUNK_ROWS and math.isfinite(np.vdot(X, X)):
                pre = encode(X)
                if math.isfinite(np.vdot(pre, pre)):
                    return self._read(pre)
        return self._transform(self._checked(X))

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Map codes back to rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as returned by `transform`. With an ordered estimator, fewer columns are the first
            components alone.

        Returns
        -------
        X_back : ndarray of shape (n_samples, n_features)
            Rows in the units of the data, in the dtype of the codes.

        Raises
        ------
        ValueError
            If X does not hold such codes.
        """
        codes = self._checked_codes(X)
        decode = self._decoders.get(codes.dtype)
        if decode is None:
            decode = self._decoders[codes.dtype] = self._new_decoder(codes.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            backs = [decode(codes[part]) for part in _chunks(len(codes))]
        back = backs[0] if len(backs) == 1 else np.concatenate(backs)
        return _finite(back, codes)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the components.

        Parameters
        ----------
        input_features : Ignored
            Present for the conventions of scikit-learn.

        Returns
        -------
        names : ndarray of str of shape (n_components,)
        """
        names = [f"{self._parts.output_name}{number}" for number in range(self._n_out)]
        return np.array(names, dtype=object)

    # ------------------------------------------------------------------ encoding

    @property
    def _n_out(self) -> int:
        read = self._parts.read
        return -(-self.n_components_ // 8) if isinstance(read, Bits) and read.packed else self.n_components_

    def _read(self, pre: np.ndarray) -> np.ndarray:
        """Return codes of what the encoder puts out."""
        read = self._parts.read
        return pre if read is None else read(pre)[:, : self._n_out]

    def _transform(self, X: np.ndarray) -> np.ndarray:
        """Map checked rows to codes."""
        encode = self._encoders.get(X.dtype)
        if encode is None:
            encode = self._encoders[X.dtype] = self._new_encoder(X.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            codes = [self._read(_finite(encode(X[part]), X)) for part in _chunks(len(X))]
        return codes[0] if len(codes) == 1 else np.concatenate(codes)

    def _new_encoder(self, dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray]:
        """Return what maps rows (n, n_features) to what the encoder puts out."""
        parts = self._parts
        scaling, gaps, centre, factor = parts.scaling, parts.gaps, parts.centre, 1 / parts.scale
        apply = parts.encoder.compiled(dtype)
        is_double = dtype == np.float64

        def encode(X: np.ndarray) -> np.ndarray:
            if scaling is not None:
                X = scaling(X)
            # In float64, so that a large offset costs no digits.
            rows = X - centre
            rows *= factor
            if not is_double:
                rows = rows.astype(dtype)
            if gaps.always:
                rows, there = gaps(rows)
                return apply(
                    np.concatenate([rows, there.astype(dtype)], axis=1) if gaps.flags else rows, rows
                )
            # A sum takes less time than a look at each cell.
            if math.isnan(rows.sum()):
                rows, _ = gaps(rows)
            return apply(rows, rows)

        return encode

    # ------------------------------------------------------------------ decoding

    def _new_decoder(self, dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray]:
        """Return what maps codes to rows (n, n_features)."""
        parts = self._parts
        link, scaling, scale, centre = LINKS[parts.link], parts.scaling, parts.scale, parts.centre
        apply = parts.decoder.compiled(dtype)

        def decode(codes: np.ndarray) -> np.ndarray:
            n_cut = 0 if parts.n_codes is None else parts.n_codes - codes.shape[1]
            if n_cut > 0:
                codes = np.pad(codes, ((0, 0), (0, n_cut)))
            if parts.has_code_flags:
                flags = np.zeros_like(codes)
                flags[:, codes.shape[1] - n_cut :] = -1
                shown = np.concatenate([codes, flags], axis=1)
            else:
                shown = codes
            back = link(apply(shown, codes))
            if parts.is_centred:
                back = (back * scale + centre).astype(dtype, copy=False)
            if scaling is not None:
                back = scaling.undo(back)
            if parts.is_empty is not None:
                back[:, parts.is_empty] = 0
            return back

        return decode

    # ------------------------------------------------------------------ checks

    def _checked(self, X: ArrayLike) -> np.ndarray:
        """Return rows as floats, or say what is wrong with them."""
        names = getattr(X, "columns", None)
        known = self._parts.names
        if names is not None and known is not None and list(names) != known:
            raise ValueError(
                f"The columns of X are {list(names)[:10]}, and those of fit were {known[:10]}. Pass the same "
                "columns in the same order."
            )
        rows = _floats(X, "X")
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_ or not len(rows):
            raise ValueError(
                f"X has shape {rows.shape}, and {type(self).__name__} takes rows of {self.n_features_in_} "
                "numbers: pass a table of shape (n_samples, n_features), with one row or more."
            )
        if np.isinf(rows).any():
            raise ValueError(
                "X contains infinity. Drop these rows, or put NaN in their place: missing values are taken."
            )
        return rows

    def _checked_codes(self, X: ArrayLike) -> np.ndarray:
        """Return codes as the decoder takes them, or say what is wrong with them."""
        codes = _floats(X, "The table of codes")
        fewest = 1 if self._parts.n_codes is not None and self._n_out == self.n_components_ else self._n_out
        if codes.ndim != 2 or not fewest <= codes.shape[1] <= self._n_out or not len(codes):
            raise ValueError(
                f"Codes have shape {codes.shape}, and this encoder gives {self._n_out} columns. Pass what "
                "its transform gave."
            )
        if not np.isfinite(codes).all():
            raise ValueError("Codes contain NaN or infinity. Pass what transform gave.")
        read = self._parts.read
        return read.unpacked(codes) if isinstance(read, Bits) else codes


def _floats(X: ArrayLike, what: str) -> np.ndarray:
    """Return an array of float32 or float64."""
    if callable(getattr(X, "toarray", None)):
        raise ValueError(f"{what} is sparse, and skae.numpy takes dense arrays: pass X.toarray().")
    try:
        array = np.asarray(X)
        if array.dtype not in _FLOATS or not array.dtype.isnative:
            single = array.dtype.newbyteorder("=") == np.float32
            array = array.astype(np.float32 if single else np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} holds something else than numbers: {error}. Pass numbers; text has to be encoded first."
        ) from error
    return array


def _chunks(n_rows: int) -> list[slice]:
    return [slice(start, start + _CHUNK_ROWS) for start in range(0, n_rows, _CHUNK_ROWS)]


def _finite(result: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Refuse results that are not finite."""
    if not np.isfinite(result).all():
        raise ValueError(
            f"The network's output overflowed {given.dtype}: some input values are too far from those "
            f"seen in training (largest magnitude here: {np.nanmax(np.abs(given)):.3g}). "
            "Remove or clip such rows, or pass float64."
        )
    return result

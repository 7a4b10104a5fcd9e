"""`to_onnx`: a fitted estimator as a model of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import nn

from skae._extras import import_extra
from skae.estimators import BaseAutoencoder
from skae.estimators._checks import check_is_fitted
from skae.onnx._modules import Decode, Encode, Error, Reconstruct, Steps
from skae.onnx._recording import EARLIEST_OPSET, LATEST_OPSET, record
from skae.onnx._tables import INSIDE, RESULT, with_columns
from skae.onnx._tasks import Detect, Impute
from skae.tables import Columns
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

if TYPE_CHECKING:
    from onnx import ModelProto

What = Literal["encode", "decode", "reconstruct", "error"]

_STEPS: dict[str, tuple[type[Steps], str, str]] = {
    "encode": (Encode, "X", "Z"),
    "decode": (Decode, "Z", "X_back"),
    "reconstruct": (Reconstruct, "X", "X_back"),
    "error": (Error, "X", "error"),
}
_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


def to_onnx(
    estimator: BaseAutoencoder | AutoencoderImputer | AutoencoderOutlierDetector,
    what: What = "encode",
    *,
    dtype: DTypeLike = np.float32,
    opset: int = LATEST_OPSET,
) -> ModelProto:
    """Return a fitted estimator as a model of ONNX.

    Every variant, every architecture and modules of your own are exported, for any number of rows, with
    missing values (NaN) as in `transform`. Read more in the guide, :doc:`/guide/deployment`.

    Parameters
    ----------
    estimator : estimator of skae
        Fitted: an autoencoder, an imputer or an outlier detector.
    what : {"encode", "decode", "reconstruct", "error"}, default="encode"
        What the model of an autoencoder computes: `transform`, `inverse_transform`, `reconstruct` or
        `reconstruction_error`.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Of the inputs that are numbers, and of the outputs. As `transform`, the model computes in it.
    opset : int, default=20
        Version of ONNX's operators, 19 or 20.

    Returns
    -------
    model : onnx.ModelProto
        Its input "X" has the shape (rows, n_features), "Z" for what="decode"; its output is "Z", "X_back" or
        "error". For an estimator that was fitted on a table with text, categories or counts, there is one
        input a column, of shape (rows, 1) and by its name: strings for text, booleans for truth values,
        numbers for all else; so are the outputs of "decode" and "reconstruct". Values that training has
        not seen count as missing, also with ``handle_unknown="error"``. The output of an imputer is
        "X_filled"; those of an outlier detector are "label" and "scores", of shape (rows, 1): those of
        `predict` and `decision_function`. Both take numbers alone.

    Raises
    ------
    ImportError
        If onnx is not installed.
    ValueError
        If the estimator searches for codes (``inference="omp"``, ``inference="lasso"`` or ``debias=True``),
        or another argument is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.onnx import to_onnx
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> model = AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> onnx_model = to_onnx(model)  # doctest: +SKIP
    >>> with open("model.onnx", "wb") as file:  # doctest: +SKIP
    ...     file.write(onnx_model.SerializeToString())
    """
    import_extra("onnx", "onnx", "to_onnx")
    if np.dtype(dtype) not in _DTYPES:
        raise ValueError(f"dtype must be numpy.float32 or numpy.float64; got {dtype!r}.")
    if not EARLIEST_OPSET <= opset <= LATEST_OPSET:
        raise ValueError(f"opset must be {EARLIEST_OPSET} or {LATEST_OPSET}; got {opset!r}.")
    found, torch_dtype = _export_of(estimator, what), _DTYPES[np.dtype(dtype)]
    model = record(
        found.module(estimator, torch_dtype), found.n_columns, torch_dtype, opset, found.given, found.results
    )
    model.producer_name = "skae"
    return model if found.columns is None else with_columns(model, found.columns, np.dtype(dtype), what)


class _Export(NamedTuple):
    """What is recorded of an estimator."""

    module: Callable[..., nn.Module]
    n_columns: int
    given: str
    results: list[str]
    columns: Columns | None = None  # of a table with text, categories or counts


def _export_of(estimator: object, what: str) -> _Export:
    if isinstance(estimator, BaseAutoencoder):
        return _export_of_autoencoder(estimator, what)
    if not isinstance(estimator, (AutoencoderImputer, AutoencoderOutlierDetector)):
        raise TypeError(f"to_onnx takes a fitted estimator of skae; got {type(estimator).__name__}.")
    if what != "encode":
        raise ValueError(f"what={what!r} is for autoencoders; leave it out for {type(estimator).__name__}.")
    if isinstance(estimator, AutoencoderImputer):
        check_is_fitted(estimator, "estimator_")
        return _Export(Impute, vars(estimator)["n_features_in_"], "X", ["X_filled"])
    check_is_fitted(estimator, "estimators_")
    return _Export(Detect, vars(estimator)["n_features_in_"], "X", ["label", "scores"])


def _export_of_autoencoder(estimator: BaseAutoencoder, what: str) -> _Export:
    check_is_fitted(estimator, "network_")
    if what not in _STEPS:
        raise ValueError(f"what must be one of {list(_STEPS)}; got {what!r}.")
    if estimator._searches_codes and what != "decode":
        raise ValueError(
            "inference='omp' and 'lasso' and debias=True search for the codes of each row, which no graph of "
            "ONNX does. Use inference='encoder' with debias=False, or what='decode'."
        )
    module, given, result = _STEPS[what]
    columns = estimator._columns
    if what == "decode":
        n_columns = estimator._n_features_out
    else:
        n_columns = columns.n_features if columns.reads_sparse else columns.n_inside
    if not columns.is_mixed:
        return _Export(module, n_columns, given, [result])
    given = given if what == "decode" else INSIDE
    return _Export(module, n_columns, given, [RESULT if result == "X_back" else result], columns)

"""What is made of a file fits together: sizes within bounds, and rows go through it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from skae._containers import take_rows
from skae._quiet import collected
from skae._typing import Dense
from skae.estimators import BaseAutoencoder
from skae.files.own import parts_within
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

__all__ = ["check_together", "checked_objects"]

# What is taken by a torch module, and by any other object, once it is made; and room as in `skae._files`.
_MODULE_BYTES, _OBJECT_BYTES = 2600, 600
_SPARE_BYTES = 20_000_000
_WIDEST_STEP = 64
_STEPS = {"padding", "stride", "dilation", "output_padding"}


def checked_objects(objects: object, size: int) -> list[dict[str, object]]:
    """Return the descriptions of objects, which must fit into memory once they are made.

    Parameters
    ----------
    objects : object
        What a file says.
    size : int
        That of the file, in bytes.

    Returns
    -------
    objects : list of dict

    Raises
    ------
    ValueError
        If they would take more than the file itself and 20 MB.
    """
    if not isinstance(objects, list) or not all(type(one) is dict for one in objects):
        raise ValueError("it does not list what it is made of")
    n_bytes = sum(_MODULE_BYTES if "state" in one else _OBJECT_BYTES for one in objects)
    if n_bytes > size + _SPARE_BYTES:
        raise ValueError(f"it has {len(objects)} parts, too many for a file of its size")
    return objects


def check_together(estimator: object, size: int) -> None:
    """Check that the parts of an estimator fit together, by sending rows through each network.

    Parameters
    ----------
    estimator : estimator of skae
        Fitted or not.
    size : int
        That of its file: no count of a network may be larger.

    Raises
    ------
    ValueError
        If they do not.
    """
    # Warnings of a row that is none of the user's say nothing.
    with collected(), np.errstate(all="ignore"):
        for part in parts_within(estimator):
            if isinstance(part, BaseAutoencoder) and "network_" in vars(part):
                _check_counts(part.network_, size)
                for n_rows in (2, 3):
                    _check_rows(part, n_rows)
        if isinstance(estimator, AutoencoderImputer) and "estimator_" in vars(estimator):
            _check_imputer(estimator)
        if isinstance(estimator, AutoencoderOutlierDetector) and "estimators_" in vars(estimator):
            _check_detector(estimator)


def _check_counts(network: nn.Module, size: int) -> None:
    """Check what modules would allocate by: before the first row does."""
    for module in network.modules():
        attributes = {name: value for name, value in vars(module).items() if name != "row_work"}
        if any(count > size for count in _whole_numbers(attributes)):
            raise ValueError(f"a count of its {type(module).__name__} is larger than the file")
        # Those of convolutions.
        if _STEPS <= attributes.keys():
            steps = [attributes[name] for name in _STEPS]
            if any(count > _WIDEST_STEP for count in _whole_numbers(steps)):
                raise ValueError(f"a step of its {type(module).__name__} is wider than {_WIDEST_STEP}")


def _whole_numbers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _whole_numbers(item)
    elif type(value) is dict:
        for item in value.values():
            yield from _whole_numbers(item)


def _check_rows(model: BaseAutoencoder, n_rows: int) -> None:
    """Send the mean of the training rows through encoder and decoder, several times.

    One row fits tensors that are no rows of the table, and so may any other number of rows by chance.
    """
    codec, columns = model._codec, model._columns
    dtype = next(model.network_.parameters()).dtype
    centre = torch.from_numpy(np.asarray(codec.frame.centre, dtype=np.float64)).to(dtype)
    row = centre.repeat(n_rows, 1)
    codes = codec.encode(row.numpy())
    back = codec.decode(codes)
    # As in use, too, by the parameters of the estimator: what cannot be done is raised here.
    model._encode(row.numpy())
    shapes = {"codes": (codes.shape, (n_rows, model.n_components_)), "rows": (back.shape, row.shape)}
    with torch.inference_mode():
        shapes["encoder_"] = tuple(vars(model)["encoder_"](row).shape), codes.shape
        shapes["decoder_"] = tuple(vars(model)["decoder_"](torch.from_numpy(codes)).shape), back.shape
    if vars(model)["n_features_in_"] != columns.n_features:
        raise ValueError("its number of columns is not that of its table")
    try:
        shapes["columns"] = model._validated(columns.as_given(back)).shape, back.shape
    except ImportError:
        # A library of DataFrames that is not installed here: its rows cannot be made.
        pass
    for name, (found, wanted) in shapes.items():
        if tuple(found) != tuple(wanted):
            raise ValueError(f"{n_rows} rows give {name} of shape {tuple(found)}, not {tuple(wanted)}")


def _check_imputer(imputer: AutoencoderImputer) -> None:
    model, kept, n_features = imputer.estimator_, imputer._kept, vars(imputer)["n_features_in_"]
    row = model._codec.frame.centre[None]
    if imputer._predicted(row).shape != row.shape or len(imputer.residuals_) != row.shape[1]:
        raise ValueError("its limits and residuals are not those of its columns")
    if kept.dtype.kind not in "iu" or kept.shape != (vars(model)["n_features_in_"],):
        raise ValueError("the columns that it keeps are not those of its estimator")
    if not (np.diff(kept) > 0).all() or not 0 <= kept[0] <= kept[-1] < n_features:
        raise ValueError("it keeps columns that are not there")
    # What it dropped may be of any type.
    rows = _rows_of(model) if len(kept) == n_features else None
    if rows is not None and imputer.transform(rows).shape[0] != len(rows):
        raise ValueError("it does not impute rows")


def _check_detector(detector: AutoencoderOutlierDetector) -> None:
    rows = None if detector._directions is not None else _rows_of(detector.estimators_[0])
    if rows is None:
        return
    for n_rows in (1, len(rows)):
        if detector.score_samples(take_rows(rows, np.arange(n_rows))).shape != (n_rows,):
            raise ValueError("its members do not score rows")


def _rows_of(model: BaseAutoencoder) -> Dense | None:
    """Return three equal rows of a user's table, None where its library is not installed here."""
    row = model._codec.decode(model._codec.encode(model._codec.frame.centre[None]))
    try:
        return take_rows(model._columns.as_given(row), np.zeros(3, dtype=int))
    except ImportError:
        return None

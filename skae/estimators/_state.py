"""The state of estimators: parameters, specifications and numpy arrays. Torch modules are made again of it.

It is what pickle, joblib, copy, skops and mlflow keep. Which classes may be made stands here.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler
from torch import nn

from skae import networks, tables
from skae._containers import FrameLayout
from skae._plain import Catalogue, Value
from skae._random import Streams
from skae.data import running
from skae.networks import (
    autoencoder,
    bottlenecks,
    convolutional,
    custom,
    dense,
    dictionary,
    dropout,
    jacobian,
    principal_axes,
    recurrent,
    recursive,
    scaling,
)
from skae.objectives import (
    LOSSES,
    Objective,
    Reconstruction,
    by_column,
    corruption,
    importance,
    likelihood,
    linear_model,
    nested,
    penalties,
    priors,
)
from skae.tables import kinds, mixed
from skae.training import tensors
from skae.training.endless import Endless

# The next one belongs to a change, of the layout or of what the classes keep, that older states do not fit.
VERSION = 1
_KEY = "_skae_state"

_CLASSES: dict[str, tuple[type, ...]] = {
    "torch": (
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.GRU, nn.LSTM),
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.Dropout, nn.Flatten, nn.Unflatten),
        *(nn.Identity, nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus),
        *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    ),
    "networks": (
        *(networks.Convolutional, networks.Custom, networks.Dense, networks.Dictionary),
        *(networks.Recurrent, networks.Recursive),
        *(autoencoder.Autoencoder, custom.ZeroGain, dense.Layers, dense.Transposed),
        *(dropout.Dropout, principal_axes.Gaps),
        *(convolutional.ConvolutionalEncoder, convolutional.ConvolutionalDecoder, convolutional._Plan),
        *(recurrent.RecurrentEncoder, recurrent.RecurrentDecoder),
        *(recursive.RecursiveEncoder, recursive.RecursiveDecoder, dictionary.Atoms, dictionary.Readers),
    ),
    "bottlenecks": (
        *(bottlenecks.Bottleneck, bottlenecks.Binary, bottlenecks.Gated, bottlenecks.Gaussian),
        *(bottlenecks.JumpReLU, bottlenecks.Logistic, bottlenecks.Rectified),
        *(bottlenecks.BatchTopK, bottlenecks.TopK),
    ),
    "objectives": (
        *(Objective, nested.Nested, importance.ImportanceWeighted, Reconstruction, by_column.Mixed),
        linear_model.Outputs,
        *(likelihood.Likelihood, by_column.Part, priors.UserPrior),
    ),
    "corruption": (
        *(corruption.Gaussian, corruption.Masking, corruption.Missing, corruption.SaltAndPepper),
        *(corruption.Swap, corruption.UserCorruption),
    ),
    "penalties": tuple(getattr(penalties, name) for name in penalties.__all__),
    "estimators": (
        *(tensors.Codec, tensors.Encoder, tensors.Decoder, tensors.Frame, Streams),
        *(scaling.Scaling, scaling.QuantileScaling),
        *(running.Running, running.Series),
    ),
    "tables": (
        *(tables.Columns, tables.MixedColumns, tables.Directions, tables.Arrangement),
        tables.Labels,
        *(FrameLayout, mixed.Header, kinds.Numbers, kinds.Categories),
    ),
    "sklearn": (StandardScaler, RobustScaler, QuantileTransformer),
}

_CONSTANTS: dict[str, Any] = {
    **{f"losses.{name}": loss.cell for name, loss in LOSSES.items()},
    "losses.by_column": by_column._not_by_cell,
    **{f"columns.{name}": kind for name, kind in by_column.COLUMN_KINDS.items()},
    **{f"likelihoods.{name}": kind for name, kind in likelihood.KINDS.items()},
    **{f"priors.{name}": prior for name, prior in priors.PRIORS.items()},
    "norms.exact": jacobian.squared_norms,
    "norms.projected": jacobian.projected_squared_norms,
}


# ---------------------------------------------------------------------- dtypes of columns


def _is_dtype(value: object) -> bool:
    if isinstance(value, np.dtype):
        return True
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.api.extensions.ExtensionDtype)


def _tell_dtype(dtype: Any) -> Any:
    """Return plain values that a dtype of numpy or pandas can be made of; None where there are none."""
    if isinstance(dtype, np.dtype):
        told = {"numpy": dtype.str}
    elif hasattr(dtype, "categories"):
        levels: Any = getattr(dtype, "categories", None)
        if levels is None or not all(type(level) in (str, int, float, bool) for level in levels):
            return None
        told = {"levels": levels.tolist(), "of": levels.dtype, "ordered": dtype.ordered}
    else:
        told = {"pandas": str(dtype)}
        if hasattr(dtype, "pyarrow_dtype"):
            told = {"arrow": str(dtype.pyarrow_dtype)}
    try:
        again = _make_dtype(told)
    except (AttributeError, TypeError, ValueError):
        return None
    return told if type(again) is type(dtype) and again == dtype else None


def _make_dtype(told: dict[str, Any]) -> Any:
    if "numpy" in told:
        return np.dtype(told["numpy"])
    import pandas

    if "levels" in told:
        return pandas.CategoricalDtype(pandas.Index(told["levels"], dtype=told["of"]), told["ordered"])
    if "arrow" in told:
        pyarrow = importlib.import_module("pyarrow")
        return pandas.ArrowDtype(pyarrow.type_for_alias(told["arrow"]))
    return pandas.api.types.pandas_dtype(told["pandas"])


CATALOGUE = Catalogue(
    {f"{room}.{cls.__name__}": cls for room, classes in _CLASSES.items() for cls in classes},
    _CONSTANTS,
    {
        "dtype": Value(_is_dtype, _tell_dtype, _make_dtype),
        "path": Value(lambda value: isinstance(value, PurePath), os.fspath, Path),
    },
)


def scaling_module(found: tables.Scaling) -> scaling.Scaling:
    """Return the module for what is done to numbers."""
    if found.columns is None or found.quantiles is None or found.shares is None:
        return scaling.Scaling(found.shift, found.factor)
    return scaling.QuantileScaling(found.shift, found.factor, found.columns, found.quantiles, found.shares)


class Going(NamedTuple):
    """A training that goes on with each call of `partial_fit`, and the parameters that it was begun with."""

    training: Endless
    parameters: dict[str, object]


class FittedAttributes:
    """Types of what `fit` sets; a class of its own, since annotations of the estimator are parameters."""

    # Parameters of some estimators, as they are in all others.
    encoder: Literal["nonlinear", "linear"] = "nonlinear"
    linearity: float = 0.0
    straightness: float = 0.0
    network_: autoencoder.Autoencoder
    objective_: Objective
    n_components_: int
    n_features_in_: int
    n_samples_: int
    mean_: np.ndarray
    n_iter_: int
    best_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    validation_score_: float | None
    pca_score_: float | None
    fit_time_: float
    components_: np.ndarray
    linearity_: np.ndarray
    explained_variance_: np.ndarray
    explained_variance_ratio_: np.ndarray
    cumulative_explained_variance_: np.ndarray
    pca_cumulative_explained_variance_: np.ndarray
    _validations_by_size: dict[int, Sequence[float]]
    _training_state: dict[str, Any] | None
    # What `partial_fit` goes on with; its state stands for it wherever an estimator is copied.
    _going: Going | None
    _running: running.Running
    encoder_: tensors.Encoder
    decoder_: tensors.Decoder
    _codec: tensors.Codec
    _columns: tables.Columns
    _largest_size: int


class PlainState:
    """Keep what is learnt as plain data wherever an estimator is copied, pickled or saved.

    Attributes
    ----------
    _further_classes : dict of str to type
        What may be made of the state beyond what every estimator holds.
    _learnt_together : tuple of str
        Attributes of which a state has all or none.
    _learnt_before : tuple of str
        Attributes that those need, and that callbacks see without them while a fit is under way.
    """

    _further_classes: ClassVar[dict[str, type]] = {}
    _learnt_together: ClassVar[tuple[str, ...]] = ()
    _learnt_before: ClassVar[tuple[str, ...]] = ("n_features_in_",)

    def __getstate__(self) -> dict[str, Any]:
        attributes: Any = super().__getstate__()
        plain, objects = CATALOGUE.extended(self._further_classes).describe(self._lasting(attributes))
        return {**plain, _KEY: {"version": VERSION, "objects": objects}}

    def _lasting(self, attributes: Mapping[str, object]) -> dict[str, object]:
        """Return what of the attributes is kept."""
        return dict(attributes)

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(type(self), state)
        catalogue = CATALOGUE.extended(self._further_classes)
        plain = {name: value for name, value in state.items() if name != _KEY}
        attributes = catalogue.make(plain, state[_KEY]["objects"])
        super().__setstate__(attributes)  # type: ignore[misc]


class AutoencoderState(PlainState):
    """What a fitted autoencoder holds."""

    _learnt_together: ClassVar[tuple[str, ...]] = (
        *("network_", "objective_", "encoder_", "decoder_", "n_components_", "mean_", "scale_", "_codec"),
    )
    _learnt_before: ClassVar[tuple[str, ...]] = ("n_features_in_", "_columns")

    def _lasting(self, attributes: Mapping[str, object]) -> dict[str, object]:
        """Return attributes with the state of a training that goes on in the place of the training."""
        kept = dict(attributes)
        going = kept.pop("_going", None)
        if isinstance(going, Going):
            kept["_training_state"] = going.training.state_dict()
        return kept


def check_state(cls: Any, state: Any) -> None:
    """Check that a state is whole, and one that this version of skae reads.

    Parameters
    ----------
    cls : type
        The estimator's class.
    state : dict
        What its `__getstate__` gave.

    Raises
    ------
    ValueError
        If it is not.
    """
    header: Any = state.get(_KEY) if isinstance(state, dict) else None
    version = header.get("version") if isinstance(header, dict) else None
    if version != VERSION or not isinstance(header.get("objects"), list):
        found = "a state that names no version" if version is None else f"a state of version {version}"
        raise ValueError(
            f"This is {found} of {cls.__name__}, and this version of skae reads version {VERSION}. Load it "
            "with the version of skae that wrote it, or fit anew."
        )
    check_attributes(cls, state)


def check_attributes(cls: Any, state: Mapping[str, object]) -> None:
    """Check that a state holds every parameter, and all that a fit leaves or none of it.

    Parameters
    ----------
    cls : type
        The estimator's class.
    state : dict
        Attributes by name.

    Raises
    ------
    ValueError
        If something is missing, which is named.
    """
    lacking = [name for name in cls._get_param_names() if name not in state]
    if any(name in state for name in cls._learnt_together):
        needed = (*cls._learnt_together, *cls._learnt_before)
        lacking += [name for name in needed if name not in state]
    if lacking:
        raise ValueError(
            f"The state of this {cls.__name__} lacks {lacking}: it is damaged, or another version of skae "
            "wrote it. Load it with that version, or fit anew."
        )

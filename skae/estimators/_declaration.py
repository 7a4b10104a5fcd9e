"""Parameters of every estimator: fields, their descriptions and constraints."""

import dataclasses
import inspect
import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from torch import nn

from skae._parameters import Declared
from skae.estimators._checks import Interval, RealNotInt, StrOptions
from skae.networks.activations import ACTIVATIONS
from skae.networks.architecture import Architecture
from skae.objectives import LINKS, LOSSES
from skae.tables.mixed import SCALINGS
from skae.training import SCHEDULES, SOLVERS

_START = "the PCA start chooses its solver itself; leave it out"
_ORDERED = (
    "components have no order, and so no share of the variance each, unless they are asked for it. fit (not "
    "partial_fit, which drops it) sets it with ordered=True, or with a share of the variance or 'elbow' for "
    "n_components. What all components explain together is score(X) and validation_score_"
)
_COVARIANCE = (
    "there is no Gaussian model of X. The covariance of what the components keep is "
    "np.cov(model.reconstruct(X), rowvar=False); VariationalAutoencoderTransformer has likelihoods"
)


class Elsewhere:
    """An attribute that is not there: an AttributeError that says what to use instead.

    It has no ``__set__``: estimators that have such an attribute all the same set it like any other, and what
    is there is found without coming by here.

    Parameters
    ----------
    instead : str
        What to use, one or two sentences without the last full stop.
    """

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        who = f"type object {owner.__name__!r}" if instance is None else f"{owner.__name__!r} object"
        raise AttributeError(f"{who} has no attribute {self.name!r}: {self.instead}.")


class PCANames:
    """Attributes and parameters of PCA that mean nothing here, or not without being asked for."""

    components_ = Elsewhere(
        "it is the best linear approximation of transform, which fit (not partial_fit) finds where codes are "
        "real numbers and columns at most 1,024. LatentTraversalDisplay of skae.inspection shows what each "
        "component does, and SparseAutoencoderTransformer has atoms"
    )
    explained_variance_ = Elsewhere(_ORDERED)
    explained_variance_ratio_ = Elsewhere(_ORDERED)
    cumulative_explained_variance_ = Elsewhere(_ORDERED)
    pca_cumulative_explained_variance_ = Elsewhere(_ORDERED)
    singular_values_ = Elsewhere(
        "a nonlinear map has none. Those of PCA are the roots of explained_variance_ * (n_samples_ - 1), and "
        "explained_variance_ is there with ordered=True"
    )
    noise_variance_ = Elsewhere(
        "there is no noise model. What the components leave out is reconstruction_error(X); "
        "VariationalAutoencoderTransformer and AdversarialAutoencoderTransformer have a noise"
    )
    get_covariance = Elsewhere(_COVARIANCE)
    get_precision = Elsewhere(_COVARIANCE)

    # Read by the constructor.
    _parameters_elsewhere: ClassVar[Mapping[str, str]] = {
        "whiten": (
            "codes are whitened principal components where a fit starts; leave it out, and put a "
            "StandardScaler behind where each component must have unit variance"
        ),
        "copy": "X is never changed; leave it out",
        "svd_solver": _START,
        "iterated_power": _START,
        "n_oversamples": _START,
        "power_iteration_normalizer": _START,
    }
    whiten, copy, svd_solver, iterated_power, n_oversamples, power_iteration_normalizer = (
        Elsewhere(instead) for instead in _parameters_elsewhere.values()
    )

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse parameters that PCA has, and say what to do instead."""
        for name, instead in cls._parameters_elsewhere.items():
            if name in kwargs and name not in inspect.signature(cls).parameters:
                raise TypeError(
                    f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}: {instead}."
                )
        return super().__new__(cls)


class AutoencoderParameters(Declared):
    """Parameters of every autoencoder.

    Parameters
    ----------
    n_components : int, float, "elbow" or None, default=2
        Number of components of the code, at least 1; it may exceed the number of columns. None keeps as many
        as PCA: the smaller of the numbers of rows (including held-out ones) and columns (those inside,
        as a text column becomes several; for wide sparse tables, their 256 directions). A float in (0, 1)
        keeps the fewest ordered components that explain this share of the variance of held-out rows, "elbow"
        those up to the knee of the curve of explained variance (Satopää et al. 2011). A tenth
        more are trained than PCA needs for the share, at most 100 (for the knee: for 0.99, at most 32).
    ordered : bool, default=False
        Whether rows can be reconstructed from the first components alone, as with PCA, for every number of
        them: the decoder is trained on codes that are truncated after a random component (nested
        dropout, Rippel et al. 2014; Kusupati et al. 2022). One fit then serves every size, see `truncated`,
        and takes two to three times as long. Always so if `n_components` is a share or "elbow".
    hidden_layer_sizes : tuple of int, int or "auto", default="auto"
        Number of units of each hidden layer of the encoder; the decoder mirrors them. An int
        is one layer. "auto" is ``(128, 64)``, and ``(64, 32)`` where `fit` gets fewer than 500 rows.
    activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", \
"leaky_relu"}, default="relu"
        Activation of the hidden layers. Their weights start as in Glorot and Bengio
        (2010) for "identity", "logistic" and "tanh", as in He et al. (2015) for the others.
    network : Architecture or pair of torch.nn.Module, default=None
        The architecture: a specification from `skae.networks`, or the user's own
        `(encoder, decoder)`, which is deep-copied at `fit`. It wins over
        `hidden_layer_sizes`, `activation`, `tied_weights`, `dropout` and `batch_norm`, which
        describe the default, `Dense`.
    loss : {"squared_error", "binary_crossentropy", "absolute_error", "huber", \
"poisson"}, default="squared_error"
        Reconstruction loss of a cell. "binary_crossentropy" needs values in [0, 1],
        "poisson" (a deviance) values of at least 0. "huber" is squared below one overall
        standard deviation of the data, and linear beyond.
    output_activation : {"auto", "identity", "logistic", "tanh", "relu", "softplus", \
"exp"}, default="auto"
        Link from the decoder's output to the data. "auto" takes the one that belongs to
        the loss: "logistic" for "binary_crossentropy", "exp" for "poisson", else "identity".
    linear_path : bool, default=True
        Whether a linear map runs in parallel to the encoder and to the decoder, so that
        the network is PCA plus a nonlinear correction. Without it ``init="pca"`` has no effect,
        and all weights start at random.
    init : {"pca", "random"}, default="pca"
        Start of the linear path. "pca" makes the network equal to PCA before the
        first step (for other losses than "squared_error" with an "identity" output: to
        the decoder that is best for the loss among the affine ones).
    n_init : int, default=1
        Number of starts, at least 1, each with random weights of its own. The one that is best on held-out
        rows is kept (on the training rows where none are held out). `Dense` networks are trained side
        by side, so that three starts on a small table take less than three times as long.
        Lines, callbacks and curves are those of the first start until one is chosen.
    pretrain : {"layerwise"} or None, default=None
        "layerwise" trains the layers one after the other before they are trained together (Bengio et al.
        2007), each for a fifth of `max_iter`, as a small autoencoder of the outputs of the layer
        before, corrupted if the estimator corrupts its input. For `Dense` and `Convolutional`.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    dropout : float, default=0.0
        Share of hidden units set to zero in each training step, in [0, 1).
    batch_norm : bool, default=False
        Whether hidden layers are normalised by batch statistics.
    solver : {"adam", "sgd", "rmsprop", "lbfgs", "recirculation"}, default="adam"
        Optimiser: AdamW (Loshchilov and Hutter 2019), stochastic gradient descent
        with Nesterov momentum of 0.9, RMSprop, or L-BFGS on all rows at once
        (ignores `batch_size`, `learning_rate`, `learning_rate_init` and `gradient_clip`).
        "recirculation" (Hinton and McClelland 1988) learns without gradients, and is of historical
        interest: for ``hidden_layer_sizes=()`` and the squared error, without penalties.
    learning_rate : {"one_cycle", "constant", "cosine", "reduce_on_plateau"}, \
default="one_cycle"
        Schedule of the learning rate: up over 250 steps (a tenth of them to a quarter) and down again,
        constant, down along a half cosine, or divided by five after five epochs without improvement.
    learning_rate_init : float or "auto", default="auto"
        The rate that the schedule scales; for "one_cycle" its peak. "auto" is 0.02
        for "adam", 0.003 for "rmsprop", 0.1 for "sgd" and "recirculation"; "adam" takes more for few
        rows or steps in `AutoencoderTransformer`, see its notes.
    weight_decay : float or "auto", default="auto"
        Decay of the weights of the nonlinear parts, at least 0: with "adam" the weights
        shrink by this times the learning rate in each step, with other solvers it is an L2 penalty.
        The linear path and biases do not decay. "auto" is 0.1 for "adam" (more for few rows in
        `AutoencoderTransformer`), 0.03 for "recirculation", 0.002 for "lbfgs", and 1e-4 for "sgd" and
        "rmsprop".
    input_noise : float or "auto", default="auto"
        Standard deviation of the Gaussian noise that is added to what the encoder sees in training, relative
        to the overall one of the data, at least 0. It keeps the network smooth (Bishop 1995): the decoder
        is to give back the rows without it. "auto" is 0, but for few rows
        in `AutoencoderTransformer`.
    l1_weights : float, default=0.0
        Coefficient of the sum of absolute weights of the nonlinear parts, at least 0.
    gradient_clip : float or None, default=1.0
        Largest norm of the gradient of a step; None does not clip.
    batch_size : int or "auto", default="auto"
        Rows of a step. "auto" is a sixteenth of the rows, between 64 and 1024; more for few rows in
        `AutoencoderTransformer`.
    max_iter : int or "auto", default="auto"
        Epochs at most. "auto" is the number that makes 3,400 steps, 2,720 from 10,000 rows on, 1,000
        below 2,000 rows or 600 below 1,000, between 10 and 300; 300 for "lbfgs". `AutoencoderTransformer`
        makes fewer steps on few rows. With "auto", cross-validation below 1,000 rows ends training where it
        is clear that the best epoch is past.
    early_stopping : bool, default=True
        Whether rows are held out to choose the epoch whose weights are kept; the start
        (epoch 0) is a candidate. If False, all epochs are run on all rows, the last one is
        kept, and nothing is promised about new rows.
    validation_fraction : float or "auto", default="auto"
        Share of rows held out by `early_stopping`, in (0, 1). "auto" is 0.1 from 1,000 rows
        on. Below, five-fold cross-validation chooses the epoch up to which the network is
        trained on all rows, and how much is kept of what it learns since its PCA start (all, three quarters,
        half, a quarter): what gains most on held-out rows, less two standard errors. It stays at
        the start if nothing gains more than these. Below 20 rows held-out rows are too few to
        decide, and the network stays at the PCA start.
    n_iter_no_change : int or None, default=None
        Stop after so many epochs without an improvement of the held-out loss (of the
        training loss without `early_stopping`), counted from the end of the schedule's
        warm-up. None runs all epochs, but see `max_iter`, which suits schedules that end at a low rate.
    tol : float, default=1e-4
        Smallest improvement for `n_iter_no_change`, relative to the best loss.
    max_time : float or None, default=None
        Seconds that `fit` may take. If not all epochs fit into them, the schedule is run through faster, so
        that the learning rate has come down when the time is over, and the best weights so far are kept. What
        comes out then depends on the speed of the machine. A fit that ends earlier is as without a limit,
        which None stands for. `partial_fit` ignores it.
    column_types : "auto" or dict, default="auto"
        Kinds of columns, by name or position: "numeric", "binary" (two values), "categorical" or "count"
        (whole numbers of at least 0). With "auto", and for columns that are not named, numbers are numeric;
        in a DataFrame, text, categories and booleans are "binary" if they have two values, else
        "categorical". Each kind has its loss, divided by that of the best constant, so that no kind dominates
        the others; each category becomes a column inside.
    scaling : {"auto", "none", "standard", "robust", "quantile"}, default="auto"
        Scaling of numeric columns inside, undone by `inverse_transform`: none, or as by
        `StandardScaler`, by `RobustScaler`, or by `QuantileTransformer` to a normal distribution. "auto" is
        "none" for tables of numbers alone, else "standard".
    handle_unknown : {"missing", "error"}, default="missing"
        Whether categories that `fit` has not seen count as missing, or raise an error.
    target_weight : float or "auto", default=0.0
        Weight of the target `y`, at least 0: codes are then trained to suit a linear model of it, too. The
        loss of that model, relative to the best constant, is added with this weight to the share of the
        variance that is left unexplained. At 0, `y` is ignored. "auto" takes the largest of 0.03, 0.1, 0.3, 1
        and 3 that costs about a tenth of the variance explained beyond PCA, on held-out rows; they are
        trained side by side. `y` holds classes, numbers or several outputs. Rows whose target is missing
        (NaN or None; -1 for classes) count for the reconstruction alone. See :doc:`/guide/target`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights and the centring of the previous fit.
    checkpoint : str, path-like or None, default=None
        File in which `fit` keeps its state while it runs, in a folder that exists. If the process ends before
        the fit does, the same `fit` of the same rows goes on from there, and ends with the same numbers
        as if it had never stopped, to the last bit. A file of another fit is refused. Where the file is
        damaged, the one before is used, whose name ends in ".before". Both are removed when the fit ends; an
        interrupt (Ctrl-C) leaves them, so that a further `fit` goes on. `partial_fit` keeps nothing.
    checkpoint_every : int or "auto", default="auto"
        Epochs from one writing of `checkpoint` to the next. With "auto", it is written as often as takes a
        twentieth of the time.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the held-out rows, the order of rows and
        the noise. Pass an int for the same results on every fit on one machine.
    device : str, default="auto"
        Device of the training: "cpu", "cuda", "cuda:1", "mps", or "auto" for cuda if
        available, else cpu. Fitted estimators are always on the CPU.
    verbose : bool or int, default=False
        Whether to print a line for each epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The best linear approximation of `transform` over the training rows: codes are about
        ``(X - mean_) @ components_.T`` plus a constant, in the units and columns of `mean_` (of quantiles,
        those of scaled columns). At the PCA start and with a linear encoder it is exact. Not after
        `partial_fit` of an encoder that bends, beyond 1,024 columns, and for restricted or drawn codes.
    linearity_ : ndarray of shape (n_components,)
        Share of the variance of each component that this explains, at most 1. There where `components_` is.
    """

    n_components: int | float | Literal["elbow"] | None = dataclasses.field(default=2, kw_only=False)
    ordered: bool = False
    hidden_layer_sizes: tuple[int, ...] | int | Literal["auto"] = "auto"
    activation: Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", "leaky_relu"] = "relu"
    network: Architecture | tuple[nn.Module, nn.Module] | None = None
    loss: Literal["squared_error", "binary_crossentropy", "absolute_error", "huber", "poisson"] = (
        "squared_error"
    )
    output_activation: Literal["auto", "identity", "logistic", "tanh", "relu", "softplus", "exp"] = "auto"
    linear_path: bool = True
    init: Literal["pca", "random"] = "pca"
    n_init: int = 1
    pretrain: Literal["layerwise"] | None = None
    tied_weights: bool = False
    dropout: float = 0.0
    batch_norm: bool = False
    solver: Literal["adam", "sgd", "rmsprop", "lbfgs", "recirculation"] = "adam"
    learning_rate: Literal["one_cycle", "constant", "cosine", "reduce_on_plateau"] = "one_cycle"
    learning_rate_init: float | Literal["auto"] = "auto"
    weight_decay: float | Literal["auto"] = "auto"
    input_noise: float | Literal["auto"] = "auto"
    l1_weights: float = 0.0
    gradient_clip: float | None = 1.0
    batch_size: int | Literal["auto"] = "auto"
    max_iter: int | Literal["auto"] = "auto"
    early_stopping: bool = True
    validation_fraction: float | Literal["auto"] = "auto"
    n_iter_no_change: int | None = None
    tol: float = 1e-4
    max_time: float | None = None
    column_types: Literal["auto"] | Mapping[Any, str] = "auto"
    scaling: Literal["auto", "none", "standard", "robust", "quantile"] = "auto"
    handle_unknown: Literal["missing", "error"] = "missing"
    target_weight: float | Literal["auto"] = 0.0
    warm_start: bool = False
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int | Literal["auto"] = "auto"
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool | int = False

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"elbow"}),
            None,
        ],
        "ordered": ["boolean"],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "network": [Architecture, tuple, list, None],
        "loss": [StrOptions(set(LOSSES))],
        "output_activation": [StrOptions({"auto", *LINKS})],
        "linear_path": ["boolean"],
        "init": [StrOptions({"pca", "random"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "pretrain": [StrOptions({"layerwise"}), None],
        "tied_weights": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "input_noise": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "l1_weights": [Interval(Real, 0, None, closed="left")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "column_types": [StrOptions({"auto"}), Mapping],
        "scaling": [StrOptions(set(SCALINGS))],
        "handle_unknown": [StrOptions({"missing", "error"})],
        "target_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "device": [str],
        "verbose": ["verbose"],
    }

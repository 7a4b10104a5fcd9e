"""The denoising autoencoder: training on corrupted rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import with_callbacks

from skae.estimators._checks import Interval, StrOptions, check_code_activation, check_function
from skae.estimators.base import BaseAutoencoder
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import CODE_ACTIVATIONS, Bottleneck
from skae.objectives import Objective, Reconstruction
from skae.objectives.corruption import CORRUPTIONS, Corruption, UserCorruption
from skae.tables.positions import group_numbers, per_column


class DenoisingAutoencoderTransformer(BaseAutoencoder):
    """Learn codes that are robust to noise, and remove noise from rows.

    Rows are corrupted anew for every batch, and the autoencoder is trained to reconstruct
    the clean rows. To do so it has to learn how columns depend on each other, so codes
    may be wider than the data. Read more in the guide, :doc:`/guide/denoising`.

    Parameters
    ----------
    corruption : {"swap", "gaussian", "masking", "salt_and_pepper", "missing"} or callable, default="swap"
        Noise added to the rows. "swap" replaces a cell by the value of its column in
        another row of the batch, drawn for each cell; "gaussian" adds normal noise; "masking"
        sets cells to zero; "salt_and_pepper" sets them to the smallest or the largest value of
        their column; "missing" hides them, so that the encoder learns to do without: each row has a rate of
        its own, between zero and twice the level. A callable takes an array of rows in the units of X (with
        `scaling` or columns of several kinds, in those of the columns inside) and a
        `numpy.random.Generator`, and returns an array of the same shape.
    corruption_level : float, array-like of shape (n_features,) or dict, default=0.15
        Probability that a cell is corrupted, in [0, 1]; for "gaussian" the standard deviation of the
        noise in standard deviations of the column, at least 0. One number for all columns, one for each, or
        a dict by name or position, in which columns not named are not corrupted. At 0 this is the plain
        autoencoder. Not used with a callable.
    column_groups : list of lists of str or int, default=None
        Columns, by name or position, that are corrupted together and swapped from one row, such
        as the indicators of one category. They need the same level.
    emphasis : float, default=None
        Weight of the corrupted cells in the loss, in [0, 1]; the others have one minus that
        (Vincent et al. 2010). None weights all cells equally.
    code_activation : {"identity", "logistic"}, default="identity"
        Activation of the code. "logistic" together with ``hidden_layer_sizes=()`` and ``tied_weights=True``
        is the autoencoder of Vincent et al.; it needs ``linear_path=False``.
    features : {"code", "all"}, default="code"
        Output of `transform`: the code, or the activations of all hidden layers, those of the
        encoder first, then the code, then those of the decoder. `inverse_transform` takes
        the same.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    AutoencoderTransformer : The same without noise.

    Notes
    -----
    The rows that choose the epoch are corrupted once, with noise of their own, so
    `validation_score_` and `pca_score_` are shares of the variance of clean rows that is
    explained from corrupted ones: on them, the fit never denoises worse than PCA (with the default loss, and
    tables of numbers).
    `transform`, `reconstruct` and `score` add no noise.

    References
    ----------
    .. [1] Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y. and Manzagol, P.-A. (2010). Stacked
       denoising autoencoders. Journal of Machine Learning Research 11, 3371-3408.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> noisy = X + X.std(axis=0) * np.random.default_rng(0).standard_normal(X.shape)
    >>> model = DenoisingAutoencoderTransformer(16, corruption="gaussian", corruption_level=1, max_iter=50)
    >>> model.set_params(random_state=0).fit(X).transform(X).shape
    (500, 16)
    >>> bool(((model.denoise(noisy) - X) ** 2).mean() < 0.5 * ((noisy - X) ** 2).mean())
    True
    """

    corruption: Literal["swap", "gaussian", "masking", "salt_and_pepper", "missing"] | Callable = "swap"
    corruption_level: float | Sequence[float] | np.ndarray | Mapping[Any, float] = 0.15
    column_groups: Sequence[Sequence[Any]] | None = None
    emphasis: float | None = None
    code_activation: Literal["identity", "logistic"] = "identity"
    features: Literal["code", "all"] = "code"

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left"), "array-like", dict],
        "column_groups": ["array-like", None],
        "emphasis": [Interval(Real, 0, 1, closed="both"), None],
        "code_activation": [StrOptions(set(CODE_ACTIVATIONS))],
        "features": [StrOptions({"code", "all"})],
    }

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        clean: ArrayLike | None = None,
    ) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least 2. Missing cells are NaN (None or NaN in text), and are ignored. A
            DataFrame may hold text and categories, see `column_types`. Sparse rows with more than 256
            columns are read through their 256 leading directions, and never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target for `target_weight`; ignored where that is 0.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0: twice the weight counts like the row twice. None weights all rows
            equally.
        clean : array-like of shape (n_samples, n_features), default=None
            Rows without noise, if they are known: X is then used as it is, without further
            corruption. In a Pipeline, request it with `set_fit_request(clean=True)`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; nothing is changed then.
        FloatingPointError
            If training does not stay finite, as `skae.DivergenceError`.
        """
        return self._fit(X, y, clean, sample_weight)

    def denoise(self, X: ArrayLike) -> np.ndarray:
        """Remove noise from rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Noisy rows.

        Returns
        -------
        X_clean : ndarray of shape (n_samples, n_features)
            Their reconstructions, in the units of the data, as from `reconstruct`.
        """
        return self.reconstruct(X)

    def _bottleneck(self) -> Bottleneck:
        return CODE_ACTIVATIONS[self.code_activation]()

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        objective.corruption = self._corruption(reconstruction)
        objective.emphasis = self.emphasis
        return objective

    def _corruption(self, reconstruction: Reconstruction) -> Corruption | None:
        if not isinstance(self.corruption, str):
            centre = reconstruction.centre.cpu().double().numpy()
            return UserCorruption(self.corruption, centre, reconstruction.scale)
        names = getattr(self, "feature_names_in_", None)
        highest = math.inf if self.corruption == "gaussian" else 1.0
        level = per_column(self.corruption_level, names, self.n_features_in_, "corruption_level", highest)
        groups = group_numbers(self.column_groups, names, self.n_features_in_, "column_groups")
        if not self._columns.is_by_column:
            if np.ptp(level) > 0 or self.column_groups is not None:
                raise ValueError(
                    "A sparse table is read through its leading directions, so that noise cannot be told "
                    "apart by column: give one corruption_level, and no column_groups."
                )
            level, groups = np.full(self._n_columns(), level[0]), np.arange(self._n_columns())
        else:
            # The columns inside of one category go together.
            level, groups = level[self._columns.owners], groups[self._columns.owners]
        for group in range(groups.max() + 1):
            if np.ptp(level[groups == group]) > 0:
                raise ValueError(
                    f"corruption_level differs within a group of column_groups: {level[groups == group]}. "
                    "Columns that are corrupted together need one level."
                )
        if not level.any():
            return None
        return CORRUPTIONS[self.corruption](torch.from_numpy(level), torch.from_numpy(groups))

    def _check(self, X: np.ndarray) -> str:
        link = super()._check(X)
        check_code_activation(self.code_activation, self.linear_path)
        if self.features == "all" and not self._specification().has_activations:
            raise ValueError(
                f"features='all' needs layers that are known, those of Dense; got network={self.network!r}. "
                "Use features='code'."
            )
        if not isinstance(self.corruption, str):
            check_function(self.corruption, "corruption", 2)
        return link

    def _encode(self, X: np.ndarray) -> np.ndarray:
        return self._codec.activations(X) if self.features == "all" else super()._encode(X)

    def _output_in(self, network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        return network.activations(rows) if self.features == "all" else super()._output_in(network, rows)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return super()._decode(Z[:, self._own_codes()])

    def _codes_of(self, output: torch.Tensor) -> torch.Tensor:
        return output[:, self._own_codes()]

    def _own_codes(self) -> slice:
        """Return which columns of the output of `transform` are codes."""
        first = self.network_.encoder.n_hidden_units if self.features == "all" else 0
        return slice(first, first + self.n_components_)

    @property
    def _n_features_out(self) -> int:
        n_hidden = self.network_.encoder.n_hidden_units if self.features == "all" else 0
        return self.n_components_ + 2 * n_hidden

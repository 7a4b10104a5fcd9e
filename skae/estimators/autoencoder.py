"""The plain autoencoder: every seat as the base class fills it."""

from numbers import Real
from typing import ClassVar, Literal

from skae.estimators._checks import Interval, StrOptions
from skae.estimators.base import BaseAutoencoder
from skae.training.plan import Steps


class AutoencoderTransformer(BaseAutoencoder):
    """Reduce dimensions with an autoencoder that starts at PCA, and is no worse on held-out rows.

    An encoder and a decoder are trained to reconstruct rows from a code of
    `n_components` numbers. The fit begins at the PCA of the rows, and keeps the epoch that
    is best on held-out rows, the start included. Read more in the guide,
    :doc:`/guide/autoencoder`.

    Scale the columns first, as for PCA, if their units differ.

    Parameters
    ----------
    encoder : {"nonlinear", "linear"}, default="nonlinear"
        If "linear", codes are one matrix product, and the decoder alone is a network. Not with tied weights,
        `pretrain`, `Recurrent` or modules of the user's own.
    linearity : float, default=0.0
        Weight of the share of the code that is not linear in the row, beside the share of the variance that
        is not explained, at least 0. The larger, the better `components_` tells what components are made of.
    straightness : float, default=0.0
        Weight of the squared error of the linear half of the decoder by itself, in units of that of the whole
        decoder, at least 0. The larger, the nearer are codes to principal components: linear models do better
        on them, and fits with other seeds find the same ones. It needs the linear path and the squared error
        of numbers.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    sklearn.decomposition.PCA : The linear special case.
    skae.metrics.variance_explained : The score of any reducer with an inverse.

    Notes
    -----
    The network is ``z = A x + f(x)`` and ``x' = B z + b + g(z)``, with `A`, `B` from PCA and the
    last layers of `f` and `g` at zero in the beginning.

    Few rows are trained on so that what is learnt holds for others, where the network starts at PCA and the
    parameters are "auto": below 4,000 rows with a `weight_decay` of 400 divided by their number (at most 1),
    below 2,000 with an `input_noise` of 0.3 and, if `max_iter` is "auto", for 600 steps (300 below 1,000
    rows) of a fifth of them (64 to 256), below 500 at a `learning_rate_init` of 0.04. From 2,000 to 10,000
    rows `input_noise` is 0.1. Where fewer than 1,500 steps are made on 2,000 rows or more,
    `learning_rate_init` is 0.03. This is for the solver "adam".

    From 1,000 rows on, the last layer and the linear path of the decoder are at last solved for by a ridge
    regression, if held-out rows gain by it. The entry of `validation_scores_` at `best_iter_` is from then.

    References
    ----------
    .. [1] Hinton, G. E. and Salakhutdinov, R. R. (2006). Reducing the dimensionality of
       data with neural networks. Science 313(5786), 504-507.
    .. [2] Baldi, P. and Hornik, K. (1989). Neural networks and principal component
       analysis: learning from examples without local minima. Neural Networks 2(1), 53-58.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> reducer = AutoencoderTransformer(n_components=5, max_iter=50, random_state=0).fit(X)
    >>> reducer.transform(X).shape
    (500, 5)
    >>> reducer.validation_score_ > reducer.pca_score_
    True
    """

    encoder: Literal["nonlinear", "linear"] = "nonlinear"
    linearity: float = 0.0
    straightness: float = 0.0

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "encoder": [StrOptions({"nonlinear", "linear"})],
        "linearity": [Interval(Real, 0, None, closed="left")],
        "straightness": [Interval(Real, 0, None, closed="left")],
    }
    _n_steps: ClassVar[Steps] = Steps(folds=300, few=600, many=3400)
    _tunes_for_few: ClassVar[bool] = True

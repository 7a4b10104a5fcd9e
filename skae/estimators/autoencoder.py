"""The plain autoencoder: every seat as the base class fills it."""

from skae.estimators.base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    """Reduce dimensions with an autoencoder that starts at PCA, and is no worse on held-out rows.

    An encoder and a decoder are trained to reconstruct rows from a code of
    `n_components` numbers. The fit begins at the PCA of the rows, and keeps the epoch that
    is best on held-out rows, the start included. Read more in the guide,
    :doc:`/guide/autoencoder`.

    Scale the columns first, as for PCA, if their units differ.

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

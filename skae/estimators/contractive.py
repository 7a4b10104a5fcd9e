"""The contractive autoencoder: a penalty on the encoder's Jacobian."""

from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from skae.estimators._checks import Interval, StrOptions, check_code_activation, check_is_fitted
from skae.estimators.base import BaseAutoencoder
from skae.networks.bottlenecks import CODE_ACTIVATIONS, Bottleneck
from skae.networks.jacobian import projected_squared_norms, squared_norms
from skae.objectives import Objective, Reconstruction
from skae.objectives.penalties import Contraction


class ContractiveAutoencoderTransformer(BaseAutoencoder):
    """Learn codes that change little when rows are perturbed.

    A penalty on how strongly each code changes with its row is added to the loss. Directions in which rows do
    not vary are given up first, since they do not help the reconstruction. Read more in the
    guide, :doc:`/guide/contractive`.

    Parameters
    ----------
    tied_weights : bool, default=True
        Whether the decoder uses the transposed weights of the encoder. If False, codes can become
        insensitive by becoming small, which only weight decay of the decoder prevents.
    alpha : float, default=0.1
        Weight of the squared Frobenius norm of the encoder's Jacobian, relative to the squared error of a row
        summed over its columns, at least 0; reached after a tenth of the training. At 0 this is
        the plain autoencoder.
    jacobian : {"estimate", "exact"}, default="estimate"
        Computation of the norm for encoders with more than one hidden layer, or other than `Dense`:
        estimated without bias from one random direction of the code for each row, or exact, with one backward
        pass for each component. With at most one hidden layer it is always exact, in closed form.
    code_activation : {"identity", "logistic"}, default="identity"
        Activation of the code. "logistic" together with ``hidden_layer_sizes=()`` is the
        autoencoder of the paper; it needs ``linear_path=False``.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    DenoisingAutoencoderTransformer : Perturbs rows instead of differentiating.

    Notes
    -----
    The fit may explain less than PCA, as the penalty requires, without a warning. The epoch is chosen by
    loss and penalty on held-out rows together.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X. and Bengio, Y. (2011). Contractive auto-encoders:
       explicit invariance during feature extraction. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, ContractiveAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> model = ContractiveAutoencoderTransformer(5, alpha=1.0, max_iter=20, random_state=0).fit(X)
    >>> model.contraction(X).shape
    (500,)
    >>> loose = ContractiveAutoencoderTransformer(5, alpha=0.0, max_iter=20, random_state=0).fit(X)
    >>> bool(model.contraction(X).mean() < loose.contraction(X).mean())
    True
    """

    tied_weights: bool = True
    alpha: float = 0.1
    jacobian: Literal["estimate", "exact"] = "estimate"
    code_activation: Literal["identity", "logistic"] = "identity"

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "jacobian": [StrOptions({"estimate", "exact"})],
        "code_activation": [StrOptions(set(CODE_ACTIVATIONS))],
    }
    _rivals_pca: ClassVar[bool] = False

    def contraction(self, X: ArrayLike) -> np.ndarray:
        """Compute how strongly the code of each row changes with the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        norms : ndarray of shape (n_samples,)
            Frobenius norm of the Jacobian of `transform`: units of the code over units of X. Exact.
        """
        check_is_fitted(self, "network_")
        squared = self._codec.apply(
            self._validated(X), lambda network, rows: squared_norms(network, *network.filled(rows))
        )
        return np.sqrt(squared) / self._codec.frame.scale

    def _bottleneck(self) -> Bottleneck:
        return CODE_ACTIVATIONS[self.code_activation]()

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        if self.alpha:
            is_exact = self.jacobian == "exact" or self._has_closed_form()
            squared_norm = squared_norms if is_exact else projected_squared_norms
            is_plain = self._specification().n_plain_layers is not None
            penalty = Contraction(self.alpha, self._size, squared_norm, is_exact, stacks=is_plain)
            objective.add_penalty("contraction", penalty)
        return objective

    def _has_closed_form(self) -> bool:
        n_hidden = self._specification().n_plain_layers
        return n_hidden == 0 or (n_hidden == 1 and self.code_activation == "identity")

    def _check(self, X: np.ndarray) -> str:
        link = super()._check(X)
        if self._specification().mixes_rows and self.alpha:
            raise ValueError(
                "batch_norm=True makes the code of a row depend on its neighbours in training, so that its "
                "Jacobian is not of that row alone; use batch_norm=False, or alpha=0."
            )
        check_code_activation(self.code_activation, self.linear_path)
        return link

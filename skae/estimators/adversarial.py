"""The adversarial autoencoder: codes with a distribution that can be drawn from."""

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from skae._random import Streams, normal
from skae.estimators._checks import Interval, StrOptions, check_draws, check_function, check_is_fitted
from skae.estimators._declaration import Elsewhere
from skae.estimators.base import BaseAutoencoder
from skae.objectives import Objective, Reconstruction
from skae.objectives.penalties import Adversary
from skae.objectives.priors import PRIORS, Prior, UserPrior
from skae.training.batches import average
from skae.training.fitted import Fitted
from skae.training.tensors import Frame


class AdversarialAutoencoderTransformer(BaseAutoencoder):
    """Learn codes with a chosen distribution, so that rows can be drawn.

    A critic learns to distinguish the codes of rows from draws of the prior, and the encoder to make them
    indistinguishable: a combination of an autoencoder and a generative adversarial network. Read more in
    the guide, :doc:`/guide/adversarial`.

    Parameters
    ----------
    prior : {"normal", "uniform", "mixture"} or callable, default="normal"
        Distribution of codes: standard normal, uniform in [-1, 1], ten clusters on a
        circle in the first two components, or a function that takes the number of rows, the number of
        components and a `numpy.random.Generator`, and returns an array (n_rows, n_components).
    alpha : float, default=1.0
        Weight of the adversarial loss relative to the squared error of a row summed over its columns, at
        least 0.

    Attributes
    ----------
    noise_variance_ : ndarray of shape (n_features,)
        Variance of each column about the output of the decoder, in squared units of X, over the training
        rows.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    VariationalAutoencoderTransformer : Has a likelihood, and needs no critic.

    Notes
    -----
    The epoch is chosen by the loss of held-out rows and the energy distance between their codes and the
    prior. Codes may explain less than PCA, as they have to follow the prior, without a warning.

    References
    ----------
    .. [1] Makhzani, A., Shlens, J., Jaitly, N., Goodfellow, I. and Frey, B. (2015). Adversarial autoencoders.
       arXiv:1511.05644.
    .. [2] Mescheder, L., Geiger, A. and Nowozin, S. (2018). Which training methods for GANs do actually
       converge? ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversarialAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> model = AdversarialAutoencoderTransformer(4, max_iter=30, random_state=0).fit(X)
    >>> model.sample(3, random_state=0).shape
    (3, 64)
    """

    prior: Literal["normal", "uniform", "mixture"] | Callable = "normal"
    alpha: float = 1.0

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "prior": [StrOptions(set(PRIORS)), callable],
        "alpha": [Interval(Real, 0, None, closed="left")],
    }
    _rivals_pca: ClassVar[bool] = False
    noise_variance_ = Elsewhere("fit sets it")

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, noise: bool = True
    ) -> np.ndarray:
        """Draw new rows: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows every time.
        noise : bool, default=True
            If True, add normal noise of `noise_variance_` for what codes leave out. With a link other than
            the identity (probabilities, counts), none is added.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the units of the data, as float64.
        """
        check_is_fitted(self, "network_")
        check_draws(n_samples, "n_samples", self.n_features_in_)
        generator = Streams(random_state).torch("noise")
        codes = self._prior()(n_samples, self.n_components_, generator)
        reconstruction = self.objective_.reconstruction
        draw = (lambda mean: reconstruction.sample(mean, generator)) if noise else None
        X = self._codec.decode(codes.numpy().astype(np.float64), draw)
        if noise and np.any(self._codec.centred):
            drawn = normal(X.shape, generator, torch.float64).numpy()
            X += np.where(self._codec.centred, np.sqrt(vars(self)["noise_variance_"]) * drawn, 0.0)
        return self._columns.as_given(X)

    def _fitted_attributes(self, fitted: Fitted, frame: Frame) -> dict[str, Any]:
        attributes = super()._fitted_attributes(fitted, frame)
        if fitted.rows is not None:
            network, reconstruction = attributes["network_"], attributes["objective_"].reconstruction
            sizes = range(1, self._size + 1) if self._is_ordered() else [self._size]

            def missed(part: torch.Tensor) -> torch.Tensor:
                codes, target = network.encode(part), reconstruction.target(part)
                outputs = [network.decode(codes[:, :size]) for size in sizes]
                return torch.cat(
                    [reconstruction.squares(output, target).nan_to_num() for output in outputs], 1
                )

            rows = fitted.rows
            there = average(rows, lambda part: ~part.isnan()).clamp_min(torch.finfo().tiny)
            by_size = average(rows, missed).unflatten(0, (len(sizes), -1)) / there
            attributes["_noise_by_size"] = by_size.numpy() * frame.scale**2
            attributes["noise_variance_"] = attributes["_noise_by_size"][-1]
        return attributes

    def _keep(self, n_components: int) -> None:
        fitted = vars(self)
        fitted["noise_variance_"] = fitted["_noise_by_size"][n_components - 1]

    def _prior(self) -> Prior:
        return PRIORS[self.prior] if isinstance(self.prior, str) else UserPrior(self.prior)

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        if self.alpha:
            objective.add_penalty("adversary", Adversary(self.alpha, self._size, self._prior()))
        return objective

    def _check(self, X: np.ndarray) -> str:
        link = super()._check(X)
        if not isinstance(self.prior, str):
            check_function(self.prior, "prior", 3)
        # Drawn from for its checks: a wrong function is told before anything is trained.
        self._prior()(2, self._size, torch.Generator().manual_seed(0))
        return link

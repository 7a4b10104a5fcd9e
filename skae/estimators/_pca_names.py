"""Names that users of scikit-learn's PCA look for and do not find here, and what to use instead."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

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

    def __get__(self, instance: Any, owner: type) -> Any:
        who = f"type object {owner.__name__!r}" if instance is None else f"{owner.__name__!r} object"
        raise AttributeError(f"{who} has no attribute {self.name!r}: {self.instead}.")


class PCANames:
    """Attributes and parameters of PCA that mean nothing here, or not without being asked for."""

    components_ = Elsewhere(
        "a nonlinear decoder has no axes. decoder_ maps codes to rows, LatentTraversalDisplay of "
        "skae.inspection shows what each component does, and SparseAutoencoderTransformer has atoms"
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

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse parameters that PCA has, and say what to do instead."""
        for name, instead in cls._parameters_elsewhere.items():
            if name in kwargs and name not in inspect.signature(cls).parameters:
                raise TypeError(
                    f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}: {instead}."
                )
        return super().__new__(cls)

"""The estimator that scikit-learn's tests get where they ask for PCA."""

import dataclasses
from typing import Any, ClassVar

from skae import AutoencoderTransformer
from skae.estimators._checks import StrOptions


class PCA(AutoencoderTransformer):
    """An autoencoder under the name of PCA: all components, in order, always the same numbers, two epochs.

    It takes the parameters of PCA that say how the same numbers are computed, and does nothing with them; the
    rule of Minka, "mle", is the knee of the curve.
    """

    n_components: Any = dataclasses.field(default=None, kw_only=False)
    ordered: bool = True
    random_state: Any = 0
    max_iter: Any = 2
    svd_solver: Any = "auto"
    iterated_power: Any = "auto"
    n_oversamples: Any = 10
    power_iteration_normalizer: Any = "auto"
    copy: Any = True
    whiten: Any = False

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **AutoencoderTransformer._parameter_constraints,
        "n_components": [*AutoencoderTransformer._parameter_constraints["n_components"], StrOptions({"mle"})],
    }

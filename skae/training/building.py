"""From the parameters of an estimator to a network with random weights. Knows no rows and no training."""

from typing import Any

import torch

from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.gaps import Gaps


def row_work(estimator: Any, n_features: int) -> int:
    """Count the multiply-adds of the largest operation on one row; see `Specification.row_work`.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Read for its parameters.
    n_features : int
        Number of columns inside.

    Returns
    -------
    work : int
    """
    size = estimator._size
    return estimator._specification().row_work(n_features, estimator._bottleneck().width(size), size)


def build(estimator: Any, n_features: int, generator: torch.Generator, gaps: Gaps | None) -> Autoencoder:
    """Build the network that an estimator stands for.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Read for its parameters and asked for its parts.
    n_features : int
        Number of columns inside.
    generator : torch.Generator
        The source of the initial weights.
    gaps : Gaps or None
        What fills rows that hold NaN.

    Returns
    -------
    network : Autoencoder
        Its linear path, if there is one, at zero or random.
    """
    specification = estimator._specification()
    bottleneck = estimator._bottleneck()
    code_in, code_out = bottleneck.width(estimator._size), estimator._size
    flags = {"n_flags": n_features} if gaps is not None and gaps.flags else {}
    further: dict[str, Any] = {"row_work": row_work(estimator, n_features)}
    if estimator._is_ordered():
        told = getattr(specification, "takes_code_flags", False) and estimator.pretrain is None
        flags |= {"n_code_flags": code_out} if told else {}
        further |= {"n_components": code_out, "told": told}
    encoder, decoder = specification.build(n_features, code_in, code_out, generator, **flags)
    if not estimator.linear_path:
        encoder.start_random(generator)
        decoder.start_random(generator)
        return Autoencoder(encoder, decoder, bottleneck, gaps=gaps, **further)
    tied = getattr(specification, "tied_weights", False)
    path = linear_path(n_features, code_in, code_out, tied)
    if estimator.init == "random":
        torch.nn.init.xavier_normal_(path[0].weight, generator=generator)
        if isinstance(path[1], torch.nn.Linear):
            torch.nn.init.xavier_normal_(path[1].weight, generator=generator)
    return Autoencoder(encoder, decoder, bottleneck, *path, gaps, **further)

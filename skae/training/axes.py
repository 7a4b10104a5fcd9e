"""Axes of codes, once a network is trained.

Any invertible map of the codes can be undone by the first layers of the decoder, so that training ends at one
of many codes that give back the same. Here one of them is chosen, at no cost: the one most like PCA's.
"""

from typing import NamedTuple

import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.training.batches import Rows
from skae.training.fitted import Fitted

# Rows that codes are measured on, evenly spaced among all, and how many of them at once.
_ROWS = 10_000
_CHUNK = 2048
# Directions in which codes deviate by less than this share of the largest deviation are stretched only as if
# they deviated by it: the decoder would have to undo by large weights what float32 has lost.
_LEAST_DEVIATION = 1e-3


class _Moments(NamedTuple):
    """What is measured of rows and their codes; float64, on the CPU."""

    mean: torch.Tensor  # (n_components,) of the codes
    covariance: torch.Tensor  # (n_components, n_components) of the codes
    loadings: torch.Tensor  # (n_features, n_components) covariance of columns and codes


@torch.no_grad()
def set_axes(fitted: Fitted) -> None:
    """Move codes to uncorrelated components, in the order of the variance that each explains.

    Codes are whitened, and turned to be as near to the whitened principal components as they can be
    (orthogonal Procrustes), which gives them their directions and signs. What a component explains is that of
    the best linear prediction of rows; since components are uncorrelated, shares add up. Codes of PCA itself
    stay as they are.

    Where only rotations change nothing, codes keep their lengths, and are turned to the directions of
    their own largest variance. Where every map would change something, they stay as they are.

    Parameters
    ----------
    fitted : Fitted
        Its network and objective change in place; the network gives back what it did.
    """
    network, objective, axes, rows = fitted.network, fitted.objective, fitted.axes, fitted.rows
    freedoms = {network.freedom, objective.freedom}
    if axes is None or rows is None or "none" in freedoms:
        return
    found = _moments(network, rows)
    matrix = _turned(found) if "rotations" in freedoms else _whitened(found, axes)
    order = (found.loadings @ matrix).square().sum(0).argsort(descending=True)
    device = rows.target.device
    matrix, shift = matrix[:, order].to(device), found.mean.to(device)
    network.move_codes(matrix, shift)
    objective.move_codes(matrix, shift)


def _moments(network: Autoencoder, rows: Rows) -> _Moments:
    """Measure some of the rows and their codes, by weight."""
    every = -(-len(rows.target) // _ROWS)
    sums: list[torch.Tensor] = []
    for start in range(0, len(rows.target), every * _CHUNK):
        part = rows.take(slice(start, start + every * _CHUNK, every))
        filled, there = network.filled(part.seen)
        codes, columns = network.pre_code_of(filled, there).double(), filled.nan_to_num().double()
        weight = torch.ones_like(codes[:, :1]) if part.weight is None else part.weight.double()
        weighted = weight * codes
        found = [weight.sum(), weighted.sum(0), codes.T @ weighted, columns.T @ weight, columns.T @ weighted]
        sums = [one + other for one, other in zip(sums, found, strict=True)] if sums else found
    total, *moments = (value.cpu() for value in sums)
    mean, squares, centre, products = (moment / total for moment in moments)
    return _Moments(mean, squares - mean.outer(mean), products - centre * mean)


def _whitened(found: _Moments, axes: PrincipalAxes) -> torch.Tensor:
    """Return the map to codes of variance one that are as near to principal components as can be."""
    variances, directions = torch.linalg.eigh(found.covariance)
    least = _LEAST_DEVIATION**2 * variances[-1]
    whitening = directions / variances.clamp_min(max(least, torch.finfo(least.dtype).tiny)).sqrt()
    components = (axes.axes / axes.deviations[:, None]).cpu()[: len(variances)]
    into, _, out_of = torch.linalg.svd((components @ found.loadings @ whitening).T)
    # Where there are more codes than principal components, the others go on from there.
    rank = len(out_of)
    return whitening @ torch.cat([into[:, :rank] @ out_of, into[:, rank:]], 1)


def _turned(found: _Moments) -> torch.Tensor:
    """Return the rotation to uncorrelated codes; those of largest variance first, signs as PCA has them."""
    rotation = torch.linalg.eigh(found.covariance).eigenvectors.flip(1)
    loadings = found.loadings @ rotation
    largest = loadings.gather(0, loadings.abs().argmax(0, keepdim=True))
    return rotation * torch.where(largest < 0, -1.0, 1.0)

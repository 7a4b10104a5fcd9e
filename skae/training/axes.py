"""Axes of codes, once a network is trained.

Any invertible map of the codes can be undone by the first layers of the decoder, so that training ends at one
of many codes that give back the same. Here one of them is chosen, at no cost: the one most like PCA's.
"""

from typing import NamedTuple

import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.training.batches import Rows
from skae.training.fitted import Fitted, LinearReading

# Rows that codes are measured on, evenly spaced among all, and how many of them at once.
_ROWS = 10_000
_CHUNK = 2048
# Columns of tables whose codes are read linearly: the cost is cubic.
_MOST_READ = 1024
# Directions in which codes deviate by less than this share of the largest deviation are stretched only as if
# they deviated by it: the decoder would have to undo by large weights what float32 has lost.
_LEAST_DEVIATION = 1e-3


class _Moments(NamedTuple):
    """What is measured of rows and their codes; float64, on the CPU."""

    mean: torch.Tensor  # (n_components,) of the codes
    covariance: torch.Tensor  # (n_components, n_components) of the codes
    columns: torch.Tensor | None  # (n_features, n_features) covariance of columns, unless they are too many
    loadings: torch.Tensor  # (n_features, n_components) covariance of columns and codes


@torch.no_grad()
def with_axes(fitted: Fitted) -> Fitted:
    """Move codes to uncorrelated components, in the order of what each explains, and read them linearly.

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

    Returns
    -------
    fitted : Fitted
        With a `reading`, where codes are real numbers that are not linear in rows of up to 1,024 columns.
    """
    network, objective, axes, rows = fitted.network, fitted.objective, fitted.axes, fitted.rows
    freedoms = {network.freedom, objective.freedom}
    moves = "none" not in freedoms
    reads = not network.bottleneck.changes_codes and network.linear_encoding() is None
    if axes is None or rows is None or not (moves or reads):
        return fitted
    found = _moments(network, rows)
    matrix = torch.eye(len(found.mean), dtype=torch.float64)
    if moves:
        matrix = _turned(found) if "rotations" in freedoms else _whitened(found, axes)
        matrix = matrix[:, (found.loadings @ matrix).square().sum(0).argsort(descending=True)]
        on_device = matrix.to(rows.target.device), found.mean.to(rows.target.device)
        network.move_codes(*on_device)
        objective.move_codes(*on_device)
    return fitted._replace(reading=_reading(found, matrix)) if reads else fitted


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
        if columns.shape[1] <= _MOST_READ:
            found.append(columns.T @ (weight * columns))
        sums = [one + other for one, other in zip(sums, found, strict=True)] if sums else found
    total, *moments = (value.cpu() for value in sums)
    mean, squares, centre, products, *columns = (moment / total for moment in moments)
    about = columns[0] - centre @ centre.T if columns else None
    return _Moments(mean, squares - mean.outer(mean), about, products - centre * mean)


def _reading(found: _Moments, matrix: torch.Tensor) -> LinearReading | None:
    """Return the best linear prediction of codes that were moved by a matrix; None of too many columns."""
    if found.columns is None:
        return None
    loadings = found.loadings @ matrix
    variances, directions = torch.linalg.eigh(found.columns)
    # Columns may be sums of others, or constant.
    kept = variances > _LEAST_DEVIATION**2 * variances[-1]
    along = directions[:, kept]
    weight = (along / variances[kept]) @ (along.T @ loadings)
    total = (matrix.T @ found.covariance @ matrix).diagonal()
    shares = (weight * loadings).sum(0) / total.clamp_min(torch.finfo(total.dtype).tiny)
    return LinearReading(weight.T, shares.clamp(0, 1))


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

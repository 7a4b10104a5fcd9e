"""How the linear model that fills gaps is learnt from rows that hold some, see `Gaps`."""

import torch

from skae.networks import wide_gaps
from skae.networks.principal_axes import EXACT_SIZE, LEAST_NOISE, Gaps, posterior

_N_ROUNDS = 30
_START_ROWS = 10_000
_CHUNK = 8192


@torch.no_grad()
def learn(gaps: Gaps, rows: torch.Tensor, weight: torch.Tensor | None = None) -> None:
    """Fit the linear model behind gaps to centred and scaled rows with gaps by expectation maximisation.

    Parameters
    ----------
    gaps : Gaps
        What fills gaps; changes in place.
    rows : tensor of shape (n, n_features)
        Training rows; the first 10,000 are used.
    weight : tensor of shape (n, 1), optional
        Weights of rows.
    """
    gaps.known.copy_(torch.stack([(~part.isnan()).any(0) for part in rows.split(_CHUNK)]).any(0))
    rank = gaps.loadings.shape[1]
    if not rank:
        return
    if rows.shape[1] > EXACT_SIZE:
        # An eigendecomposition of all columns would take longer than the fit.
        loadings, noise = wide_gaps.learn(rows, weight, gaps.known, rank, LEAST_NOISE)
        gaps.loadings.copy_(loadings)
        gaps.noise.copy_(noise)
        return
    there = gaps.there(rows[:_START_ROWS]).double()
    cells = rows[:_START_ROWS].nan_to_num().double() * there
    weights = torch.ones_like(cells[:, :1]) if weight is None else weight[:_START_ROWS].double()
    # From the covariances of filled rows, which gaps make too small.
    variances, vectors = torch.linalg.eigh((weights * cells).T @ cells / weights.sum())
    loadings = vectors[:, -rank:] * variances[-rank:].clamp_min(0).sqrt()
    noise = variances[:-rank].mean().clamp_min(LEAST_NOISE)
    for _ in range(_N_ROUNDS):
        loadings, noise = _round(cells, there, weights, loadings, noise)
    gaps.loadings.copy_(loadings.to(gaps.loadings))
    gaps.noise.copy_(noise)


def _round(
    cells: torch.Tensor,
    there: torch.Tensor,
    weights: torch.Tensor,
    loadings: torch.Tensor,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Improve loadings and noise by one round of expectation maximisation."""
    n_features, rank = loadings.shape
    codes, factor = posterior(cells, there, loadings, noise)
    spread = noise * torch.cholesky_inverse(factor)
    second = (spread + codes[:, :, None] * codes[:, None, :]).reshape(len(cells), rank * rank)
    # One regression a column on the codes of the rows that have it; the ridge is a prior of the loadings,
    # for columns with fewer rows than components.
    gram = ((there * weights).T @ second).view(n_features, rank, rank)
    gram = gram + torch.eye(rank, dtype=cells.dtype, device=cells.device)
    found = torch.linalg.solve(gram, ((weights * cells).T @ codes)[..., None])[..., 0]
    missed = (there * (cells - codes @ found.T)).square()
    products = (found[:, :, None] * found[:, None, :]).reshape(n_features, rank * rank)
    unsure = (there * (spread.reshape(len(cells), -1) @ products.T)).sum(1, keepdim=True)
    total = (weights * there).sum().clamp_min(1)
    left = (weights * (missed.sum(1, keepdim=True) + unsure)).sum() / total
    return found, left.clamp_min(LEAST_NOISE)

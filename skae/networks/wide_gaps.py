"""The linear model of gaps for wide tables: the same expectation maximisation, by what is missing.

Sums over the cells that are there are sums over all cells less those over the missing ones, so that a round
costs two products of the table with the loadings, and more only for rows and columns that hold gaps.
"""

from typing import NamedTuple

import torch

from skae.networks.principal_axes import randomised_axes

# Cells that are read at most: a round then takes about as long as one epoch of training on them.
_MAX_CELLS = 5_000_000
_MIN_ROWS = 512
_N_ROUNDS = 30
# Rounds end where the noise changes by a smaller share. On tables of 1,000 columns with 1 to 60 % missing,
# cells were filled as well as by 30 rounds, to a hundredth of their error.
_TOLERANCE = 1e-3
# Passes of the start, which expectation maximisation goes on from.
_N_PASSES = 2


class _Table(NamedTuple):
    """Rows, and which of their cells are missing."""

    cells: torch.Tensor  # (n, n_features), 0 where a cell is missing
    weights: torch.Tensor  # (n, 1), float64
    rows: torch.Tensor  # numbers of the rows with gaps
    columns: torch.Tensor  # numbers of the columns with gaps
    missing: torch.Tensor  # (len(rows), len(columns)), float64: 1 where a cell is missing

    def products(self, loadings: torch.Tensor) -> torch.Tensor:
        """Return the sums of outer products of loadings over each row's cells, (n, rank, rank)."""
        rank = loadings.shape[1]
        sums = (loadings.T @ loadings).repeat(len(self.cells), 1, 1)
        sums[self.rows] -= (self.missing @ _outer(loadings[self.columns])).view(-1, rank, rank)
        return sums

    def regress(self, codes: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return loadings (n_features, rank): one regression a column on the codes of the rows that have it.

        `second` are the second moments of the codes of each row, (n, rank, rank). The ridge is a prior of
        the loadings, for columns with fewer rows than components.
        """
        rank = codes.shape[1]
        second = self.weights[:, :, None] * second
        ridge = torch.eye(rank, dtype=codes.dtype, device=codes.device)
        crossed = (self.cells.T @ (self.weights * codes).to(self.cells)).double()
        found = torch.linalg.solve(second.sum(0) + ridge, crossed.T).T
        gone = (self.missing.T @ second[self.rows].flatten(1)).view(-1, rank, rank)
        own = second.sum(0) - gone + ridge
        found[self.columns] = torch.linalg.solve(own, crossed[self.columns][..., None])[..., 0]
        return found

    def squares(self) -> torch.Tensor:
        """Return the weighted sum of squares of the cells."""
        return self.weights[:, 0] @ torch.linalg.vector_norm(self.cells, dim=1, dtype=torch.float64).square()

    def n_there(self) -> torch.Tensor:
        """Return the weighted number of cells that are there."""
        every = self.weights.sum() * self.cells.shape[1]
        return (every - (self.missing.T @ self.weights[self.rows]).sum()).clamp_min(1)


def learn(
    rows: torch.Tensor, weight: torch.Tensor | None, known: torch.Tensor, rank: int, least_noise: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit probabilistic PCA to centred and scaled rows with gaps.

    Parameters
    ----------
    rows : tensor of shape (n, n_features)
        The first 5,000,000 cells are used, or 512 rows where that is more.
    weight : tensor of shape (n, 1) or None
        Weights of rows.
    known : tensor of bool of shape (n_features,)
        Columns that hold a value; loadings of the others are zero.
    rank : int
        Number of components, at least 1.
    least_noise : float
        The noise is never below.

    Returns
    -------
    loadings : tensor of shape (n_features, rank), float64
    noise : scalar tensor, float64
    """
    n_rows = max(_MIN_ROWS, _MAX_CELLS // rows.shape[1])
    rows = rows[:n_rows] if known.all() else rows[:n_rows, known]
    table = _table(rows, None if weight is None else weight[:n_rows])
    loadings, noise = _start(table, rank, least_noise)
    squares, count, before = table.squares(), table.n_there(), noise
    eye = torch.eye(rank, dtype=torch.float64, device=rows.device)
    read, products = (table.cells @ loadings.to(table.cells)).double(), table.products(loadings)
    for _ in range(_N_ROUNDS):
        factor = torch.linalg.cholesky_ex(products + noise * eye).L
        codes = torch.cholesky_solve(read[..., None], factor)[..., 0]
        second = noise * torch.cholesky_inverse(factor) + codes[:, :, None] * codes[:, None, :]
        loadings = table.regress(codes, second)
        read, products = (table.cells @ loadings.to(table.cells)).double(), table.products(loadings)
        # Squared errors about the codes, and what the codes are unsure of, in one: (x - W z)^2 written out.
        explained = 2 * (codes * read).sum(1) - (second * products).sum((1, 2))
        left = (squares - table.weights[:, 0] @ explained) / count
        noise = left.clamp_min(least_noise)
        if (left - before).abs() <= _TOLERANCE * left:
            break
        before = left
    every = torch.zeros(len(known), rank, dtype=torch.float64, device=rows.device)
    every[known] = loadings
    return every, noise


def _table(rows: torch.Tensor, weight: torch.Tensor | None) -> _Table:
    gone = rows.isnan()
    with_gaps, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
    missing = gone[with_gaps][:, columns].double()
    ones = torch.ones(len(rows), 1, dtype=torch.float64, device=rows.device)
    return _Table(rows.nan_to_num(), ones if weight is None else weight.double(), with_gaps, columns, missing)


def _start(table: _Table, rank: int, least_noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return loadings and noise of the PCA of filled rows, whose variances gaps make too small."""
    cells, n_features = table.cells, table.cells.shape[1]
    if bool((table.weights != 1).any()):
        cells = cells * table.weights.sqrt().to(cells)
    # The same directions for every fit: rounds go on from them.
    generator = torch.Generator().manual_seed(0)
    variances, axes = randomised_axes(cells, rank, generator, _N_PASSES)
    variances = variances.flip(0)[:rank].clamp_min(0) / table.weights.sum()
    left = table.squares() / table.weights.sum() - variances.sum()
    noise = (left / max(1, n_features - rank)).clamp_min(least_noise)
    loadings = torch.zeros(n_features, rank, dtype=torch.float64, device=cells.device)
    loadings[:, : len(axes)] = axes.T * (variances - noise).clamp_min(0).sqrt()
    return loadings, noise


def _outer(loadings: torch.Tensor) -> torch.Tensor:
    """Return the outer product of each row with itself, flat: (n, rank * rank)."""
    return (loadings[:, :, None] * loadings[:, None, :]).flatten(1)

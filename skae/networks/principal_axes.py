"""Directions of largest variance of rows, found exactly or by random directions."""

from collections.abc import Callable
from typing import NamedTuple

import torch

# Up to this many columns (or rows), an exact eigendecomposition costs less than a second.
EXACT_SIZE = 512
# A basis of more axes than this takes long to make orthonormal, and less so in single precision; where a
# quarter of all axes is wanted, finding all is quicker: 1,200 of 3,500 columns take 1.6 s of a core, not 9.2.
_MANY = 512
# A deviation this much smaller than the first one is rounding of float32 rows, not signal.
_RANK_TOLERANCE = 1e-6
_CHUNK = 8192


class PrincipalAxes(NamedTuple):
    """Directions of largest variance of centred rows, and the deviation along each."""

    axes: torch.Tensor  # (rank, n_features), orthonormal rows, float64
    deviations: torch.Tensor  # (rank,), descending, float64

    def project(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the PCA reconstruction of centred rows, in their own dtype."""
        axes = self.axes.to(rows)
        return rows @ axes.T @ axes

    def unexplained(self, squares: torch.Tensor, n_components: int) -> torch.Tensor:
        """Return the variance of each column that so many components leave as noise, (n_features,).

        Parameters
        ----------
        squares : tensor of shape (n_features,)
            Mean square of each centred column.
        n_components : int
            How many; of as many dimensions, the noise was taken for signal.
        """
        explained = (self.deviations[:, None] * self.axes).square().sum(0).to(squares)
        share = len(squares) / max(1, len(squares) - n_components)
        return share * (squares - explained).clamp_min(0)

    def first(self, n_components: int) -> "PrincipalAxes":
        """Return the leading axes."""
        return PrincipalAxes(self.axes[:n_components], self.deviations[:n_components])


@torch.no_grad()
def principal_axes(rows: torch.Tensor, n_components: int, generator: torch.Generator) -> PrincipalAxes:
    """Find the leading principal axes of centred rows.

    Exact in float64 for up to 512 columns or rows, and in float32 where more than 512 axes and a quarter of
    all are wanted; beyond that by randomised subspace
    iteration (Halko, Martinsson and Tropp 2011) in float32, which leaves no figure
    below 1e-3 of the explained variance in doubt and never copies the rows.

    Parameters
    ----------
    rows : tensor of shape (n_rows, n_features)
        Centred rows.
    n_components : int
        How many axes are wanted at most; fewer come back where the rank is lower.
    generator : torch.Generator
        Source of the random directions, on the CPU.

    Returns
    -------
    found : PrincipalAxes
        At most `n_components` axes.
    """
    n_rows, n_features = rows.shape
    wanted = min(n_components, n_rows, n_features)
    if n_features <= EXACT_SIZE:
        variances, vectors = torch.linalg.eigh(_sum_over_chunks(rows, lambda part: part.T @ part))
        axes = vectors.T.flip(0)[:wanted]
    elif n_rows <= EXACT_SIZE:
        double = rows.double()
        variances, vectors = torch.linalg.eigh(double @ double.T)
        axes = vectors.T.flip(0)[:wanted] @ double
        axes /= axes.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    elif wanted > _MANY and wanted > min(n_rows, n_features) // 4:
        variances, axes = _decomposed(rows, wanted)
    else:
        variances, axes = randomised_axes(rows, wanted, generator)
    deviations = (variances.flip(0)[:wanted].clamp_min(0) / n_rows).sqrt()
    rank = int((deviations > _RANK_TOLERANCE * deviations[0]).sum()) if deviations.numel() else 0
    return PrincipalAxes(_signed(axes[:rank]), deviations[:rank])


def _decomposed(rows: torch.Tensor, wanted: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return squares, ascending, and axes, descending, of all directions at once, in the dtype of rows."""
    n_rows, n_features = rows.shape
    if n_features <= n_rows:
        squares, vectors = torch.linalg.eigh(_sum_over_chunks(rows, lambda part: part.T @ part).to(rows))
        return squares.double(), vectors.T.flip(0)[:wanted].double()
    squares, vectors = torch.linalg.eigh(rows @ rows.T)
    # Directions of little variance are rounding of large ones, from which this sets them apart.
    found = torch.linalg.qr(rows.T @ vectors.flip(1)[:, :wanted]).Q
    return squares.double(), found.T.double()


def randomised_axes(
    rows: torch.Tensor, wanted: int, generator: torch.Generator, n_passes: int = 7
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find leading axes by randomised subspace iteration.

    Parameters
    ----------
    rows : tensor of shape (n_rows, n_features)
        Centred rows.
    wanted : int
        How many axes.
    generator : torch.Generator
        Source of the random directions, on the CPU.
    n_passes : int, default=7
        How often the rows are gone over; seven is the setting of scikit-learn's PCA.

    Returns
    -------
    squares : tensor, float64
        Sums of squares along the axes, ascending; those of a few further directions among them.
    axes : tensor of shape (wanted, n_features), float64
        Descending.
    """
    n_features = rows.shape[1]
    # Ten more directions than wanted, as in scikit-learn's PCA.
    width = min(wanted + 10, *rows.shape)
    basis = torch.randn(n_features, width, generator=generator).to(rows)

    def towards(basis: torch.Tensor) -> torch.Tensor:
        return _sum_over_chunks(rows, lambda part: part.T @ (part @ basis))

    for _ in range(n_passes):
        # In double precision where that costs little.
        product = towards(basis) if wanted <= _MANY else towards(basis).to(rows)
        basis = torch.linalg.qr(product).Q.to(rows)
    variances, vectors = torch.linalg.eigh(
        _sum_over_chunks(rows, lambda part: (part @ basis).T @ (part @ basis))
    )
    return variances, (basis.double() @ vectors).T.flip(0)[:wanted]


def _sum_over_chunks(rows: torch.Tensor, product: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Sum a product over chunks of rows in float64, where the chunks fit the exact case."""
    exact = rows.shape[1] <= EXACT_SIZE
    return sum(
        (product(part.double() if exact else part).double() for part in rows.split(_CHUNK)),
        start=torch.zeros((), dtype=torch.float64, device=rows.device),
    )


def _signed(axes: torch.Tensor) -> torch.Tensor:
    """Fix the sign of each axis by its largest entry, as scikit-learn's PCA does."""
    if not len(axes):
        return axes
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)

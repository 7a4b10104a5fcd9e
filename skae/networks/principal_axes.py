"""PCA of rows: directions of largest variance, found exactly or by random ones, and gaps filled by them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from skae._computing import is_recorded

# Up to this many columns (or rows), an exact eigendecomposition costs less than a second.
EXACT_SIZE = 512
# A basis of more axes than this takes long to make orthonormal, and less so in single precision; where a
# quarter of all axes is wanted, finding all is quicker: 1,200 of 3,500 columns take 1.6 s of a core, not 9.2.
_MANY = 512
# A deviation this much smaller than the first one is rounding of float32 rows, not signal.
_RANK_TOLERANCE = 1e-6
_CHUNK = 8192
# Of what fills gaps. Solving for the codes of 1,024 rows takes 0.5 ms with 8 components, and 5.8 ms with 16.
_MAX_RANK = 8
LEAST_NOISE = 1e-3


class PrincipalAxes(NamedTuple):
    """Directions of largest variance of centred rows, and the deviation along each."""

    axes: torch.Tensor  # (rank, n_features), orthonormal rows, float64
    deviations: torch.Tensor  # (rank,), descending, float64
    # (n_features,) mean square of each column, where rows at hand are but a sample of those that axes are of
    squares: torch.Tensor | None = None

    def to(self, device: torch.device) -> "PrincipalAxes":
        """Return the same on a device."""
        squares = None if self.squares is None else self.squares.to(device)
        return PrincipalAxes(self.axes.to(device), self.deviations.to(device), squares)

    def project(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the PCA reconstruction of centred rows, in their own dtype."""
        axes = self.axes.to(rows)
        return rows @ axes.T @ axes

    def unexplained(self, squares: torch.Tensor, n_components: int) -> torch.Tensor:
        """Return the variance of each column that so many components leave as noise, (n_features,).

        Parameters
        ----------
        squares : tensor of shape (n_features,)
            Mean square of each centred column of the rows at hand.
        n_components : int
            How many; of as many dimensions, the noise was taken for signal.
        """
        squares = squares if self.squares is None else self.squares.to(squares)
        explained = (self.deviations[:, None] * self.axes).square().sum(0).to(squares)
        share = len(squares) / max(1, len(squares) - n_components)
        return share * (squares - explained).clamp_min(0)

    def first(self, n_components: int) -> "PrincipalAxes":
        """Return the leading axes."""
        return PrincipalAxes(self.axes[:n_components], self.deviations[:n_components], self.squares)


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
    return _of_rank(axes, variances.flip(0)[:wanted] / n_rows)


@torch.no_grad()
def axes_of_products(products: torch.Tensor, n_components: int) -> PrincipalAxes:
    """Find the leading principal axes of rows of which the mean products of columns are known.

    Parameters
    ----------
    products : tensor of shape (n_features, n_features), float64
        Of centred rows.
    n_components : int
        How many axes are wanted at most; fewer come back where the rank is lower.

    Returns
    -------
    found : PrincipalAxes
    """
    variances, vectors = torch.linalg.eigh(products)
    found = _of_rank(vectors.T.flip(0)[:n_components], variances.flip(0)[:n_components])
    return found._replace(squares=products.diagonal())


def _of_rank(axes: torch.Tensor, variances: torch.Tensor) -> PrincipalAxes:
    """Return those of axes, descending, whose variance is no rounding."""
    deviations = variances.clamp_min(0).sqrt()
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


class Gaps(nn.Module):
    """Fill what is missing in rows, each from its own cells alone, before the network sees them.

    By what probabilistic PCA expects of them (Tipping and Bishop 1999), fitted to the cells that are there,
    so that a network that starts at PCA starts at a PCA that copes with gaps. It is measured once (`set_to`,
    or `gaps.learn` of rows with gaps) and never trained.

    Parameters
    ----------
    n_features : int
        Number of columns.
    n_components : int
        Components of the linear model, 8 at most.
    flags : bool
        Whether the network is told which cells were there.
    always : bool
        Whether rows with gaps were trained on; if not, rows without gaps pass untouched and unasked.

    Attributes
    ----------
    loadings : tensor of shape (n_features, rank)
        Columns along the components.
    noise : scalar tensor
        Variance about them.
    known : tensor of bool of shape (n_features,)
        Columns of which training has seen a value; cells of the others always count as missing.
    """

    loadings: torch.Tensor
    noise: torch.Tensor
    known: torch.Tensor

    def __init__(self, n_features: int, n_components: int, flags: bool = False, always: bool = False) -> None:
        super().__init__()
        self.flags = flags
        self.always = always
        rank = min(n_components, n_features - 1, _MAX_RANK)
        self.register_buffer("loadings", torch.zeros(n_features, rank))
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("known", torch.ones(n_features, dtype=torch.bool))

    def there(self, rows: torch.Tensor) -> torch.Tensor:
        """Return which cells of rows (n, n_features) are observed."""
        return ~rows.isnan() & self.known

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fill centred and scaled rows.

        Parameters
        ----------
        rows : tensor of shape (n, n_features)
            Missing cells are NaN.

        Returns
        -------
        filled : tensor of shape (n, n_features)
            Cells that are there are as they were.
        there : tensor of bool of shape (n, n_features)
            Which those are.
        """
        there = self.there(rows)
        recorded = is_recorded()
        if not recorded and bool(there.all()):
            return rows, there
        # A zero in place of NaN, whose product with zero is NaN.
        rows = torch.where(there, rows, 0.0)
        if not self.loadings.shape[1]:
            return rows, there
        solve = _posterior_by_steps if recorded else posterior
        codes, _ = solve(rows, there.to(rows), self.loadings.to(rows), self.noise.to(rows))
        return torch.where(there, rows, codes @ self.loadings.to(rows).T), there

    @torch.no_grad()
    def set_to(self, axes: PrincipalAxes, rows: torch.Tensor) -> None:
        """Take the linear model from the PCA of rows (n, n_features) without gaps."""
        rank = min(self.loadings.shape[1], len(axes.deviations))
        variances = axes.deviations[:rank].square()
        squares = sum(float(part.square().sum(dtype=torch.float64)) for part in rows.split(_CHUNK))
        mean_square = squares / len(rows) if axes.squares is None else float(axes.squares.sum())
        left = mean_square - float(variances.sum())
        noise = max(LEAST_NOISE, left / max(1, rows.shape[1] - rank))
        lengths = (variances - noise).clamp_min(0).sqrt()
        self.loadings[:, :rank] = (axes.axes[:rank].T * lengths).to(self.loadings)
        self.noise.fill_(noise)


def posterior(
    cells: torch.Tensor, there: torch.Tensor, loadings: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of the codes of rows (n, rank), and the factor of their precision over the noise."""
    precision = _precision(there, loadings, noise)
    factor = torch.linalg.cholesky_ex(precision).L
    return torch.cholesky_solve((cells @ loadings)[..., None], factor)[..., 0], factor


def _precision(there: torch.Tensor, loadings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the precision of the codes of rows over the noise, (n, rank, rank)."""
    n_features, rank = loadings.shape
    products = (loadings[:, :, None] * loadings[:, None, :]).reshape(n_features, rank * rank)
    precision = (there @ products).view(there.shape[0], rank, rank)
    return precision + noise * torch.eye(rank, dtype=there.dtype, device=there.device)


def _posterior_by_steps(
    cells: torch.Tensor, there: torch.Tensor, loadings: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, None]:
    """Return the mean of the codes of rows (n, rank) by elimination, in operations that ONNX has.

    The precision is positive definite, with the noise on its diagonal, so that no pivots need be sought.
    """
    rank = loadings.shape[1]
    table = torch.cat([_precision(there, loadings, noise), (cells @ loadings)[..., None]], dim=2)
    for step in range(rank):
        own = (torch.arange(rank, device=cells.device) == step)[:, None]
        row = table[:, step : step + 1] / table[:, step : step + 1, step : step + 1]
        table = torch.where(own, row, table - table[:, :, step : step + 1] * row)
    return table[:, :, rank], None

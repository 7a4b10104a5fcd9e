"""Likelihoods of cells: what a decoder says of a table whose columns may be of several kinds."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from skae._random import normal
from skae.objectives.by_column import (
    LARGEST_EXPONENT,
    ByColumn,
    Kind,
    Part,
    binary_cells,
    binary_mean,
    binary_sample,
    categorical_cells,
    categorical_mean,
    categorical_sample,
    count_mean,
    count_sample,
)
from skae.objectives.reconstruction import LINKS

# A deviation of a thousandth of the data's: below it, a likelihood rewards rounding.
_LOWEST_LOG_VARIANCE = math.log(1e-6)


class Likelihood(ByColumn):
    """Mean negative log-likelihood of cells, in nats.

    "gaussian" columns are centred and divided by one overall scale, as the inputs are; all others are in the
    units of the data. The cells of a group of "categorical" columns hold one ``1`` among zeros; a group's
    log-likelihood is shared out to the cell that does.

    Parameters
    ----------
    kinds : sequence of str
        A key of `KINDS` for each column.
    groups : sequence of int
        Number of the group of each column; only "categorical" ones share a group.
    link : str
        Key of `LINKS`: between output and mean of gaussian columns.
    variance : float or None
        Variance of gaussian columns, in squared units of the scaled rows. None learns it.
    per_feature : bool
        Whether each column has a variance of its own.
    centre, scale : tensor of shape (n_features,) and float
        Where the data's units lie in those of the network's inputs.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        groups: Sequence[int],
        link: str,
        variance: float | None,
        per_feature: bool,
        centre: torch.Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(KINDS, kinds, groups, link, centre, scale)
        self.is_learnt = variance is None and "gaussian" in kinds
        columns = [column for column, kind in enumerate(kinds) if kind == "gaussian"]
        self.register_buffer("gaussian", torch.tensor(columns, dtype=torch.long), persistent=False)
        start = torch.zeros(len(kinds) if per_feature else 1) + math.log(
            1.0 if variance is None else variance
        )
        if self.is_learnt:
            self.log_variance = nn.Parameter(start)
        else:
            self.register_buffer("log_variance", start)

    log_variance: torch.Tensor
    gaussian: torch.Tensor  # the columns that are

    def start(self, variances: torch.Tensor) -> None:
        """Set a learnt variance to what each column (n_features,) leaves unexplained."""
        if self.is_learnt:
            with torch.no_grad():
                found = variances if self.log_variance.numel() > 1 else variances[self.gaussian].mean()
                # As if a thousandth were left at least: the fit itself may go on from there.
                self.log_variance.copy_(found.clamp_min(1e-3).log())

    def noise(self) -> torch.Tensor:
        """Return the variance of each column, (n_features,), in squared units of the scaled rows."""
        variance = self.log_variance.clamp_min(_LOWEST_LOG_VARIANCE).exp()
        return variance.expand(len(self.kinds))

    def log_volume(self) -> float:
        """Return the term that turns log-densities of targets into those of the data, in nats a row."""
        return float(self.is_scaled.sum()) * math.log(self.scale)

    def gaussian_variance(self) -> torch.Tensor:
        """Return the variance of each gaussian column, in the units of the target."""
        found = self.noise()[self.gaussian]
        return found if self.link == "identity" else found * self.scale**2


def _gaussian_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return LINKS[whole.link].mean(output)


def _gaussian_cells(
    whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part
) -> torch.Tensor:
    variance = whole.gaussian_variance()
    squared = (LINKS[whole.link].mean(output) - target).square()
    return 0.5 * (squared / variance + (2 * math.pi * variance).log())


def _gaussian_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    noise = normal(mean.shape, generator, mean.dtype)
    return mean + whole.gaussian_variance().sqrt() * noise


def _poisson_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return output.clamp(max=LARGEST_EXPONENT).exp()


def _poisson_cells(whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    target = target.clamp(min=0.0)  # rounding of counts that were centred and scaled
    log_mean = output.clamp(max=LARGEST_EXPONENT)
    return log_mean.exp() - target * log_mean + torch.lgamma(target + 1)


def _poisson_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    return torch.poisson(mean, generator=generator)


def _count_cells(whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    return _poisson_cells(whole, output, target.expm1(), part)


KINDS: dict[str, Kind] = {
    "gaussian": Kind(_gaussian_mean, _gaussian_cells, _gaussian_sample, is_scaled=True),
    "bernoulli": Kind(binary_mean, binary_cells, binary_sample, 0.0, 1.0),
    "poisson": Kind(_poisson_mean, _poisson_cells, _poisson_sample, 0.0, math.inf),
    "categorical": Kind(categorical_mean, categorical_cells, categorical_sample, 0.0, 1.0),
    "count": Kind(count_mean, _count_cells, count_sample, 0.0, math.inf),
}
# What columns of a table are, in terms of likelihoods.
LIKELIHOODS = {"numeric": "gaussian", "binary": "bernoulli", "categorical": "categorical", "count": "count"}


def check_cells(X: np.ndarray, kinds: Sequence[str], groups: Sequence[int]) -> None:
    """Check that cells have a likelihood.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Cells that are NaN are not looked at.
    kinds : sequence of str
        A key of `KINDS` for each column.
    groups : sequence of int
        Number of the group of each column.

    Raises
    ------
    ValueError
        If values are outside of what their kind can take, or groups are not those of categories.
    """
    for kind in sorted(set(kinds)):
        part = X[:, [column for column, name in enumerate(kinds) if name == kind]]
        low, high = KINDS[kind].lowest, KINDS[kind].highest
        if np.isnan(part).all():
            continue
        if np.nanmin(part) < low or np.nanmax(part) > high:
            negative = "Negative values in data passed to fit: " if np.nanmin(part) < low == 0 else ""
            raise ValueError(
                f"{negative}likelihood={kind!r} needs values in [{low:g}, {high:g}], but its columns "
                f"lie in [{np.nanmin(part):g}, {np.nanmax(part):g}]. Scale them, or use 'gaussian'."
            )
    _check_groups(X, kinds, groups)


def _check_groups(X: np.ndarray, kinds: Sequence[str], groups: Sequence[int]) -> None:
    """Check that each group is of one kind, and that categorical ones hold one 1 a row."""
    columns: dict[int, list[int]] = {}
    for column, group in enumerate(groups):
        columns.setdefault(group, []).append(column)
    for members in columns.values():
        found = {kinds[column] for column in members}
        if len(members) > 1 and found != {"categorical"}:
            raise ValueError(
                f"column_groups joins columns {members} of kind {sorted(found)}; only 'categorical' "
                "columns form groups."
            )
        if found == {"categorical"}:
            part = X[:, members]
            # Not only whole ones: a row may say how likely each category is.
            sums = part.sum(axis=1)
            if not np.allclose(sums[~np.isnan(sums)], 1, atol=1e-4):
                raise ValueError(
                    f"The 'categorical' columns {members} must add up to 1 in each row, as OneHotEncoder "
                    "gives them without drop=; name the columns that belong together in column_groups."
                )

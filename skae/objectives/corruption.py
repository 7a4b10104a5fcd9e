"""What a denoising autoencoder is shown in place of its rows. Noise is fresh for every batch.

Rows are centred and scaled; a corruption measures what it needs of them once, before training.
Cells are chosen independently, but for columns of one group (the indicators of a
category), which are chosen together and get their values from one donor.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from skae._spelling import refuse_misspelt


class Corruption(nn.Module):
    """Base of all corruptions: what each of them can do.

    Attributes
    ----------
    makes_gaps : bool
        Whether it hides cells, so that the encoder sees gaps.
    """

    makes_gaps: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_misspelt(cls, Corruption)

    def move_centre(self, shift: torch.Tensor) -> None:
        """Take rows that lie about another centre, moved by (n_features,) in scaled units."""

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows that are shifted, by (n_features,), and multiplied by a factor from now on."""

    def adapt(self, rows: torch.Tensor, origin: torch.Tensor) -> None:
        """Take what is needed of the training rows (n, n_features) and of zero in units of the data."""

    def for_units(self, rows: torch.Tensor) -> "Corruption | None":
        """Return the same for rows (n, n_units) of hidden units; None where it is for the data alone."""
        return None

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return corrupted rows of the same shape; weights are of rows, (n, 1). Inputs stay as they are."""
        raise NotImplementedError


class ByCell(Corruption):
    """Base of corruptions that choose cells, by the level of their column.

    Parameters
    ----------
    level : tensor of shape (n_features,)
        How much, by column.
    groups : int64 tensor of shape (n_features,)
        Number of the group that each column belongs to, from 0 on.
    """

    level: torch.Tensor
    groups: torch.Tensor

    def __init__(self, level: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("level", level.float())
        self.register_buffer("groups", groups)
        self.n_groups = int(groups.max()) + 1

    def for_units(self, rows: torch.Tensor) -> Corruption | None:
        """Return the same for rows (n, n_units) of hidden units, all of them at the mean level."""
        n_units = rows.shape[1]
        corruption = type(self)(self.level.mean().cpu().repeat(n_units), torch.arange(n_units)).to(
            rows.device
        )
        corruption.adapt(rows, torch.zeros(n_units, device=rows.device))
        return corruption

    def chosen(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw which cells are corrupted: each with the probability that its column's level is."""
        return self._uniform(inputs, generator) < self.level

    def _uniform(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draws = torch.rand(len(inputs), self.n_groups, generator=generator, device=inputs.device)
        return draws[:, self.groups]


class Gaussian(ByCell):
    """Add normal noise; the level is in standard deviations of each column."""

    deviation: torch.Tensor

    def __init__(self, level: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__(level, groups)
        self.register_buffer("deviation", torch.ones_like(self.level))

    def adapt(self, rows: torch.Tensor, origin: torch.Tensor) -> None:
        """Take the standard deviation of each column."""
        self.deviation.copy_(rows.std(0, correction=0))

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows in another unit."""
        self.deviation.mul_(factor)

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Add noise to every cell."""
        noise = torch.randn(inputs.shape, generator=generator, device=inputs.device)
        return inputs + self.level * self.deviation * noise


class Masking(ByCell):
    """Set cells to zero, in the units of the data."""

    origin: torch.Tensor

    def __init__(self, level: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__(level, groups)
        self.register_buffer("origin", torch.zeros_like(self.level))

    def adapt(self, rows: torch.Tensor, origin: torch.Tensor) -> None:
        """Take where zero lies."""
        self.origin.copy_(origin)

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows about another centre, in another unit."""
        self.origin.sub_(shift).mul_(factor)

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Set the chosen cells to zero."""
        return torch.where(self.chosen(inputs, generator), self.origin, inputs)


class SaltAndPepper(ByCell):
    """Set cells to the least or the largest value of their column, either one as often."""

    lowest: torch.Tensor
    highest: torch.Tensor

    def __init__(self, level: torch.Tensor, groups: torch.Tensor) -> None:
        super().__init__(level, groups)
        self.register_buffer("lowest", torch.zeros_like(self.level))
        self.register_buffer("highest", torch.zeros_like(self.level))

    def adapt(self, rows: torch.Tensor, origin: torch.Tensor) -> None:
        """Take the extremes of each column."""
        self.lowest.copy_(rows.amin(0))
        self.highest.copy_(rows.amax(0))

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows about another centre, in another unit."""
        for extremes in (self.lowest, self.highest):
            extremes.sub_(shift).mul_(factor)

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Set the chosen cells to an extreme."""
        chosen = self.chosen(inputs, generator)
        extreme = torch.where(self._uniform(inputs, generator) < 0.5, self.lowest, self.highest)
        return torch.where(chosen, extreme, inputs)


class Swap(ByCell):
    """Replace cells by those of other rows of the batch, each group of columns from a donor of its own.

    One donor for all cells of a row would keep the ties between them, which are what is
    to be learnt.
    """

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Replace the chosen cells."""
        shape = (len(inputs), self.n_groups)
        if weight is None:
            donors = torch.randint(len(inputs), shape, generator=generator, device=inputs.device)
        else:
            drawn = torch.multinomial(weight[:, 0], shape[0] * shape[1], True, generator=generator)
            donors = drawn.reshape(shape)
        swapped = inputs.gather(0, donors[:, self.groups])
        return torch.where(self.chosen(inputs, generator), swapped, inputs)


class Missing(ByCell):
    """Hide cells: the encoder sees a gap, and the decoder is to say what was there.

    Each row has a rate of its own, drawn between zero and twice the level of its columns, so that rows with
    few and with many gaps are learnt.
    """

    makes_gaps = True

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Put NaN into the chosen cells."""
        rate = 2 * torch.rand(len(inputs), 1, generator=generator, device=inputs.device)
        hidden = self._uniform(inputs, generator) < rate * self.level
        return torch.where(hidden, torch.nan, inputs)


class UserCorruption(Corruption):
    """The user's own function of arrays in units of the data.

    Parameters
    ----------
    function : callable
        Takes an array (n, n_features) and a `numpy.random.Generator`, gives an array of that shape.
    centre : ndarray of shape (n_features,)
        Mean of each column.
    scale : float
        What centred data is divided by.
    """

    def __init__(
        self, function: Callable[[np.ndarray, np.random.Generator], object], centre: np.ndarray, scale: float
    ) -> None:
        super().__init__()
        self.function = function
        self.centre = centre
        self.scale = scale

    def move_centre(self, shift: torch.Tensor) -> None:
        """Take rows about another centre, (n_features,) in scaled units."""
        self.centre = self.centre + shift.double().cpu().numpy() * self.scale

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows about another centre, in another unit."""
        self.move_centre(shift)
        self.scale /= factor

    def forward(
        self, inputs: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Apply the function, from a seed that the stream of noise gives."""
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        X = inputs.cpu().numpy() * self.scale + self.centre
        corrupted = np.asarray(self.function(X, np.random.default_rng(seed)), dtype=np.float64)
        # Gaps may stay gaps.
        if corrupted.shape != X.shape or not np.isfinite(corrupted[~np.isnan(X)]).all():
            raise ValueError(
                f"corruption must give finite numbers of the shape it was given, {X.shape}; it gave "
                f"{'numbers that are not finite' if corrupted.shape == X.shape else corrupted.shape}."
            )
        return torch.from_numpy((corrupted - self.centre) / self.scale).to(inputs)


CORRUPTIONS: dict[str, type[ByCell]] = {
    "gaussian": Gaussian,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "swap": Swap,
    "missing": Missing,
}

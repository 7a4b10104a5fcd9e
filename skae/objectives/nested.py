"""Codes whose first components alone give rows back: the loss of codes that are cut at every size."""

from typing import Literal, cast

import torch

from skae.objectives.batch import Batch, Network, pre_code
from skae.objectives.objective import Errors, Objective
from skae.objectives.penalties.base import Penalty
from skae.objectives.reconstruction import Reconstruction

# Chosen on weatherAUS and digits with 16 components (`benchmarks/ordered.py`). Sizes are drawn with a chance
# of (size + _OFFSET)^-_STEEPNESS: were it the same for all, the first components would serve the last ones.
_OFFSET, _STEEPNESS = 0.5, 1.4
# A single component bends best along a curve through all rows, which is of little use to the second one.
_FIRST = 0.18
# Share of the whole code, beyond that.
_WHOLE = 0.05
# Beyond so many components, more and more of the sizes are drawn alike: large ones would end below PCA.
_FEW = 16
# At the end, a size counts by its loss over that at the start to this power: the few per cent left at large
# sizes would not be heard beside the half that is left at small ones. Early on it is heard less.
_RELATIVE = 0.7
_LEAST_LEVEL = 1e-3
# Sizes that held-out rows judge after each epoch, of small tables and of others, where each costs time.
_MOST_JUDGED = (32, 8)
_SMALL = 1000
# Rows that the start is measured on.
_START_ROWS = 4096


class Nested(Objective):
    """The loss of codes of which only the first components are there, at sizes drawn for each row.

    Nested dropout (Rippel, Gelbart and Adams 2014), with two sizes for each row and step, a small and a
    large one, as in Matryoshka representations (Kusupati et al. 2022). Penalties see whole codes.

    Parameters
    ----------
    reconstruction : Reconstruction
        The loss by cell.
    penalties : dict of str to Penalty, optional
        As for `Objective`.
    n_components : int
        Width of the code.
    penalizes_regressions : bool, default=False
        Whether held-out rows charge an epoch for sizes that are not as good as at the start.
    uniform_sizes : bool, default=False
        Whether all sizes are drawn alike, where it is not known yet which one will be wanted.

    Attributes
    ----------
    judged_sizes : list of int
        Sizes that `evaluate` measures: as many as are worth their time, between 1 and `n_components`.
    """

    reweighs = True
    averages_cells = False
    share: torch.Tensor
    below: torch.Tensor
    halves: torch.Tensor
    levels: torch.Tensor
    masks: torch.Tensor

    def __init__(
        self,
        reconstruction: Reconstruction,
        penalties: dict[str, Penalty] | None = None,
        *,
        n_components: int,
        penalizes_regressions: bool = False,
        uniform_sizes: bool = False,
    ) -> None:
        super().__init__(reconstruction, penalties)
        self.penalizes_regressions = penalizes_regressions
        share = (torch.arange(1.0, n_components + 1) + _OFFSET).pow(-_STEEPNESS)
        share[0] *= _FIRST
        share = share / share.sum()
        share[-1] += _WHOLE
        part = 1.0 if uniform_sizes else max(0.0, 1 - _FEW / n_components)
        share = (1 - part) * share / share.sum() + part / n_components
        self.register_buffer("share", share, persistent=False)
        self.register_buffer("below", self.share.cumsum(0), persistent=False)
        self.register_buffer("halves", torch.tensor([[0.0], [1.0]]), persistent=False)
        masks = torch.ones(n_components, n_components).tril()
        self.register_buffer("masks", masks, persistent=False)
        self.register_buffer("levels", torch.ones(n_components))
        self.judged_sizes = spread(n_components, _MOST_JUDGED[1])

    @property
    def freedom(self) -> Literal["maps", "rotations", "none"]:
        """None: the order of components is part of what is wanted."""
        return "none"

    @property
    def n_sizes(self) -> int:
        """Number of sizes of the code that are measured: one a component."""
        return len(self.masks)

    @torch.no_grad()
    def start(self, network: Network, rows: torch.Tensor, seen: torch.Tensor) -> None:
        """Measure the loss of each size at the start.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows, seen : tensor of shape (n_rows, n_features)
            Training rows and what the encoder sees of them.
        """
        self.judged_sizes = spread(len(self.masks), _MOST_JUDGED[len(rows) >= _SMALL])
        target = self.reconstruction.target(rows[:_START_ROWS])
        code = network.encode(seen[:_START_ROWS])
        for index, kept in enumerate(self.masks):
            output = network.decode(code, kept.expand_as(code))
            self.levels[index] = self._row_losses(output, target, None).mean()

    def prepare(self, rows: Batch, network: Network, generator: torch.Generator) -> Batch:
        """Draw all that is random about a training step, sizes among it."""
        batch = super().prepare(rows, network, generator)
        sizes = self.draw(len(batch.inputs), generator)
        return batch._replace(draws={**batch.draws, "sizes": sizes, "weights": self.weights()[sizes]})

    def draw(self, n_rows: int, generator: torch.Generator) -> torch.Tensor:
        """Draw a small and a large size for each row, counted from 0, (2, n_rows)."""
        uniform = torch.rand((2, n_rows), generator=generator, device=generator.device)
        # One from each half of the distribution: with a single draw, the first two components of weatherAUS
        # explain 0.02 less.
        sizes = torch.searchsorted(self.below, (uniform.to(self.below) + self.halves) / 2)
        return sizes.clamp_max(len(self.share) - 1)

    def weights(self) -> torch.Tensor:
        """Return the weight of the loss of each size, (n_components,), at this point of training."""
        least = (_LEAST_LEVEL * self.levels.max()).clamp_min(1e-12)
        levels = self.levels.clamp_min(least)
        weights = levels.pow(-_RELATIVE * self.progress)
        # As large in all as without weights, so that penalties weigh what they did.
        level = self.share * levels
        return weights * level.sum() / (level * weights).sum()

    def _decoded(
        self, network: Network, code: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        sizes, weights = (cast(torch.Tensor, batch.draws[name]) for name in ("sizes", "weights"))
        kept = self.masks[sizes].flatten(0, 1)
        output = network.decode(code.repeat(2, 1), kept)
        cells = self.reconstruction.cells(output, batch.target.repeat(2, 1))
        cells = (cells * weights.reshape(-1, 1)).unflatten(0, (2, -1)).mean(0)
        # The output of whole codes costs a pass more, and only what brings components back looks at it.
        needed = self.revival is not None or any(
            penalty.needs_output for _, penalty in self.named_penalties()
        )
        return (network.decode(code) if needed else output[-len(code) :]), cells

    @torch.no_grad()
    def evaluate(self, network: Network, rows: Batch) -> Errors:
        """Measure reconstruction at several sizes as in use, and penalties that judge.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows : Batch
            As for `prepare`.

        Returns
        -------
        errors : Errors
        """
        target = self.reconstruction.target(rows.target)
        pre = pre_code(network, rows)
        code = network.bottleneck.read(pre)
        noisy = self._noisy(network, pre)
        emphasis = self._emphasis(rows.inputs, rows.target)
        loss, by_size, output, before = torch.zeros(len(code)).to(code), [], code, 0
        for size in self.judged_sizes:
            kept = self.masks[size - 1].expand_as(code)
            output = network.decode(code, kept)
            by_size.append(self._missed(output, target))
            judged = output if noisy is None else network.decode(noisy, kept)
            # A size speaks for those that are not judged, up to the one before.
            share = self.share[before:size].sum()
            loss, before = loss + share * self._row_losses(judged, target, emphasis), size
        loss = loss + self._judged_penalties(network, rows, pre, code, output)
        return Errors(loss, by_size[-1], torch.stack(by_size, 1), self._told(network, rows, pre))

    @torch.no_grad()
    def missed_by_size(self, network: Network, rows: Batch) -> torch.Tensor:
        """Sum the squared errors of rows when only the first components are there, (n_components,)."""
        target = self.reconstruction.target(rows.target)
        code = network.bottleneck.read(pre_code(network, rows))
        missed = [
            self._missed(network.decode(code, kept.expand_as(code)), target).double() for kept in self.masks
        ]
        weight = 1.0 if rows.weight is None else rows.weight.double()
        return (torch.stack(missed, 1) * weight).sum(0)


def spread(n_components: int, most: int) -> list[int]:
    """Spread so many sizes at most from 1 to all components, closer together where they are small."""
    if n_components <= most:
        return list(range(1, n_components + 1))
    ratio = n_components ** (1 / (most - 1))
    sizes: list[int] = []
    for index in range(most):
        sizes.append(max(round(ratio**index), sizes[-1] + 1 if sizes else 1))
    return sizes

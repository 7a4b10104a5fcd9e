"""What a training run leaves behind, epoch by epoch."""

import dataclasses
from typing import NamedTuple


class Validation(NamedTuple):
    """Errors on held-out rows after an epoch."""

    loss: float  # mean loss a cell; what the best epoch is chosen by
    score: float  # share of variance explained
    by_size: tuple[float, ...] | None = None  # the same by the first components alone, at the judged sizes


@dataclasses.dataclass
class History:
    """Losses and validation results of a run.

    Attributes
    ----------
    losses : list of dict
        Mean terms of the objective over each epoch; the first is epoch 1.
    validations : list of Validation
        Results on held-out rows; the first is epoch 0, the start. Empty without
        held-out rows.
    best_epoch : int
        The epoch whose weights were kept; 0 is the start.
    n_recoveries : int
        How often training went back to the best weights after a step that diverged.
    interrupted : bool
        Whether the user interrupted the run.
    """

    losses: list[dict[str, float]] = dataclasses.field(default_factory=list)
    validations: list[Validation] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    n_recoveries: int = 0
    interrupted: bool = False

    @property
    def n_epochs(self) -> int:
        """Number of epochs run."""
        return len(self.losses)

    @property
    def loss_curve(self) -> list[float]:
        """Sum of the terms, an epoch each."""
        return [sum(terms.values()) for terms in self.losses]

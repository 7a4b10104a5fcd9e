"""The two tuples in which networks, objectives and steps speak to each other."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn


class Batch(NamedTuple):
    """One batch of rows, with everything random about its step already drawn."""

    inputs: torch.Tensor  # (n, n_features) what the encoder sees
    target: torch.Tensor  # (n, n_features) what the decoder should give back
    weight: torch.Tensor | None = None  # (n, 1) of rows or (n, n_features) of cells; None: all one
    # This step's randomness by seat, e.g. "code".
    draws: Mapping[str, torch.Tensor | None] = MappingProxyType({})
    # What the values of each penalty are multiplied by in this step; its `coefficient` where none is told.
    coefficients: Mapping[str, float | torch.Tensor] = MappingProxyType({})
    # Where the network fills gaps, (n, n_features) each: the inputs without them, and which cells were there.
    filled: torch.Tensor | None = None
    there: torch.Tensor | None = None
    # (n, n_outputs) a target to tell from codes; NaN where it is not known.
    labels: torch.Tensor | None = None


def n_cells(batch: Batch) -> torch.Tensor:
    """Count the cells of each row that are there, (n,): what a sum over a row is divided by to be a mean."""
    return counted(batch).sum(1).clamp_min(1)


def counted(batch: Batch) -> torch.Tensor:
    """Return which cells of the target count, (n, n_features)."""
    there = ~batch.target.isnan()
    return there if batch.weight is None else there & (batch.weight > 0)


def left_over(passed: "Pass") -> torch.Tensor:
    """Return the target minus the output, (n, n_features), zero where there is no target."""
    return torch.where(counted(passed.batch), passed.batch.target.nan_to_num() - passed.output, 0.0)


def pre_code(network: "Network", batch: Batch) -> torch.Tensor:
    """Map the inputs of a prepared batch to what enters the bottleneck, (n, width)."""
    if batch.filled is None:
        return network.pre_code(batch.inputs)
    return network.pre_code_of(batch.filled, batch.there)


class Network(Protocol):
    """What objectives ask of a network, whose class stays in its own room."""

    # Their classes are known to those penalties alone that need more of them than a module has.
    encoder: Any
    decoder: Any
    bottleneck: Any

    @property
    def linear_encoder(self) -> nn.Module | None:
        """What runs beside the encoder, if anything does."""
        ...

    @property
    def linear_decoder(self) -> nn.Module | None:
        """What runs beside the decoder, if anything does."""
        ...

    def pre_code(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to what enters the bottleneck, (n, width)."""
        ...

    def pre_code_of(self, x: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
        """Map filled rows (n, n_features), and which of their cells were there, to the same."""
        ...

    def filled(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Fill the gaps of rows (n, n_features) if any were trained on; say which cells were there."""
        ...

    def complete(self, x: torch.Tensor) -> torch.Tensor:
        """Fill the gaps of rows (n, n_features)."""
        ...

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to codes (n, n_components)."""
        ...

    def decode(self, code: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Map codes (n, n_components) to outputs before the link, (n, n_features)."""
        ...


class Pass(NamedTuple):
    """One forward pass, as penalties see it."""

    network: Network
    batch: Batch
    pre: torch.Tensor  # (n, width) what entered the bottleneck
    code: torch.Tensor  # (n, n_components) what left it
    output: torch.Tensor  # (n, n_features) before the link
    draw: torch.Tensor | None = (
        None  # what the penalty at hand drew for this step; None where rows are judged
    )

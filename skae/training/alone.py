"""The steps of a model that is trained alone, by any solver."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from skae.objectives.batch import Batch
from skae.training.loop import Judge, Kept, Run, Validation, epoch_of_each, judge_each
from skae.training.steps import State, Step, Terms


class Alone:
    """The steps of a model that is trained alone.

    Parameters
    ----------
    step : Step
    network, objective : torch.nn.Module
    """

    def __init__(self, step: Step, network: nn.Module, objective: nn.Module) -> None:
        self.step = step
        self.network = network
        self.objective = objective
        self.schedules = [step.schedule]
        both = {"network": network, "objective": objective}
        self.names = [f"{part}.{name}" for part in both for name, _ in both[part].named_parameters()]

    def epoch(self, runs: Sequence[Run]) -> Iterator[Sequence[Batch]]:
        """Go over the rows once."""
        return epoch_of_each(runs)

    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update the model once."""
        return {name: value.detach() for name, value in self.step(batches[0], progress[0]).items()}

    @contextmanager
    def training(self, runs: Sequence[Run]) -> Iterator[None]:
        """Set the network to training mode within a block."""
        self.network.train()
        yield
        self.network.eval()

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Ask the judge of the model."""
        return judge_each(judges)

    def values(self) -> list[torch.Tensor]:
        """Return all parameters, which steps change in place."""
        return [p.data for module in (self.network, self.objective) for p in module.parameters()]

    def named(self, values: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return tensors that are as those of `values` by the names of the parameters."""
        return dict(zip(self.names, values, strict=True))

    def remember(self, model: int) -> Kept:
        """Keep the weights of the network and the objective."""
        both = nn.ModuleDict({"network": self.network, "objective": self.objective})
        return Kept({name: value.clone() for name, value in both.state_dict().items()}, both.load_state_dict)

    def slow_down(self, model: int, factor: float) -> None:
        """Start the model afresh at a lower rate."""
        self.step.slow_down(factor)

    def are_finite(self) -> list[bool]:
        """Return whether all parameters are finite."""
        sums = torch.stack([p.detach().sum() for p in self.network.parameters()])
        return [bool(sums.sum().isfinite())]

    def keep(self, models: Sequence[int]) -> None:
        """Go on."""

    def rest(self) -> None:
        """Do nothing: no thread shares steps."""

    def close(self) -> None:
        """End training; nothing here."""

    def state_dict(self) -> State:
        """Return the state of the step."""
        return self.step.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        self.step.load_state_dict(state)

"""Learning without gradients: a layer compares what it says with what it says the second time round."""

from typing import Any, cast

import torch

from skae.networks.autoencoder import Autoencoder
from skae.objectives.batch import Batch
from skae.objectives.objective import Objective
from skae.training.steps import State, StepSettings, Terms

# How much of its old state a unit keeps when it is computed anew: the value of the paper.
_KEPT = 0.75


class RecirculationStep:
    """One update by recirculation (Hinton and McClelland 1988): local, and no derivative anywhere.

    A row goes to the code, back to the row, and to the code again. Each weight changes by what the unit
    before it said, times how much the unit behind it changed between its two turns.

    Parameters
    ----------
    network : Autoencoder
        One layer of weights each way: the last layer of the encoder and of the decoder learns.
    objective : Objective
        Without penalties, its output centred and scaled.
    settings : StepSettings
        Rate, decay and the like; gradients, of which there are none, are not clipped.
    """

    def __init__(
        self,
        network: Autoencoder,
        objective: Objective,
        settings: StepSettings,
    ) -> None:
        self.network, self.objective = network, objective
        self.schedule, self.rate, self.noise = settings.schedule, settings.rate, settings.noise
        # Share of the weights that a step at a rate of 1 takes away. Without any, the encoder of a linear
        # network learns nothing once the decoder is the best one for it: decay draws both towards each
        # other's transpose, where changes go down the gradient.
        self.weight_decay = settings.weight_decay
        self.into, self.out_of = (cast(Any, part)[-1] for part in (network.encoder, network.decoder))

    @torch.no_grad()
    def __call__(self, batch: Batch, progress: float) -> Terms:
        """Update the weights once."""
        self.objective.progress = progress
        prepared = self.objective.prepare(batch, self.network, self.noise)
        terms = self.objective(self.network, prepared)
        rate = self.rate * self.schedule.factor(progress)
        row, code = prepared.inputs, self.network.encode(prepared.inputs)
        row_again = _KEPT * row + (1 - _KEPT) * self.network.decode(code)
        code_again = _KEPT * code + (1 - _KEPT) * self.network.encode(row_again)
        share = torch.full_like(row[:, :1], 1 / len(row))
        if prepared.weight is not None:
            share = prepared.weight / prepared.weight.sum()
        self._change(self.out_of, rate, share * (prepared.target - row_again), code)
        self._change(self.into, rate, share * (code - code_again), row_again)
        return terms

    def _change(self, layer: Any, rate: float, change: torch.Tensor, said: torch.Tensor) -> None:
        """Add the sum over rows of each unit's weighted change times what the units before it said."""
        layer.weight += rate * (change.T @ said - self.weight_decay * layer.weight)
        layer.bias += rate * change.sum(0)

    def slow_down(self, factor: float) -> None:
        """Go on at a lower rate, after weights went back to an earlier epoch."""
        self.rate *= factor

    def state_dict(self) -> State:
        """Return the state of the step between calls."""
        return {
            "rate": self.rate,
            "schedule": vars(self.schedule).copy(),
            "noise": self.noise.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        self.rate = state["rate"]
        vars(self.schedule).update(state["schedule"])
        self.noise.set_state(state["noise"])

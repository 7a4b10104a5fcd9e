"""Greedy pretraining: each layer learns, by the same loop, to give back what the one before puts out."""

from collections.abc import Callable

import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck
from skae.objectives.objective import Objective
from skae.objectives.reconstruction import LOSSES, Reconstruction
from skae.training.alone import Alone
from skae.training.batches import InMemory
from skae.training.loop import Keeper, Run, checked, train
from skae.training.pace import Clock
from skae.training.steps import Step

_CHUNK = 8192


def pretrain(
    network: Autoencoder,
    objective: Objective,
    rows: torch.Tensor,
    *,
    n_components: int,
    batch_size: int,
    n_epochs: int,
    make_step: Callable[[Autoencoder, Objective, int], Step],
    make_order: Callable[[int], torch.Generator],
    keeper: Keeper | None = None,
    clock: Clock | None = None,
) -> None:
    """Train the layers of a network one after the other, each as an autoencoder of its own.

    Layers between the rows and the last hidden one are trained; those next to the code are, too, if there
    is no linear path beside them, else they are left at zero, where the network is PCA. The first
    layer learns by the loss and the corruption of the objective, the others by the squared error of what
    they are given, corrupted in the same manner.

    Parameters
    ----------
    network : Autoencoder
        Its encoder and decoder have `parts`; changed in place.
    objective : Objective
        Has measured the rows.
    rows : tensor of shape (n_rows, n_features)
        Centred and scaled.
    n_components : int
        Width of the code.
    batch_size, n_epochs : int
        For each layer.
    make_step : callable
        Takes a network, an objective and the number of the layer; gives the update.
    make_order : callable
        Takes the number of the layer; gives the stream that orders rows.
    keeper : Keeper, optional
        Where the state of the trainings is kept.
    clock : Clock, optional
        What ends them in time.
    """
    encoder, decoder = network.encoder, network.decoder
    stages = list(zip(encoder.parts(), reversed(decoder.parts()), strict=True))
    last = len(stages) - 1
    if network.linear_encoder is not None:
        stages.pop()
    first = objective
    for index, (into, out_of) in enumerate(stages):
        layer = Autoencoder(into, out_of, _Leading(n_components) if index == last else Bottleneck())
        if index == 0:
            objective = Objective(first.reconstruction, {}, first.corruption, first.emphasis)
            # The last layer of the decoder starts at zero beside a linear path, which is not here now.
            # Weights are drawn on the CPU, so that they are the same on every device.
            decoder.cpu().start_random(make_order(len(stages)))
            decoder.to(rows.device)
        else:
            objective = _for_hidden(rows, first)
        batches = InMemory(rows, min(batch_size, len(rows)))
        steps = Alone(make_step(layer, objective, index), layer, objective)
        pace = None if clock is None else clock.pace_of_layer()
        checked(train([Run(layer, objective, batches, n_epochs, make_order(index))], steps, keeper, pace))
        with torch.no_grad():
            rows = torch.cat([into.eval()(part) for part in rows.split(_CHUNK)])
    if network.linear_encoder is not None:
        decoder.start_at_zero()


class _Leading(Bottleneck):
    """The first outputs of an encoder alone: where it says how sure it is of a code as well, the code.

    Parameters
    ----------
    n_components : int
        How many.
    """

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Cut what the encoder put out."""
        return pre[:, : self.n_components]


def _for_hidden(rows: torch.Tensor, first: Objective) -> Objective:
    """Return the objective of a layer whose input is the output of another layer."""
    corruption = None if first.corruption is None else first.corruption.for_units(rows)
    return Objective(Reconstruction(LOSSES["squared_error"].cell, "identity"), {}, corruption).to(rows.device)

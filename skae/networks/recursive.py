"""Recursive encoders and decoders: one layer merges neighbours until one is left, another one unfolds it."""

from typing import Literal

import torch
from torch import nn

from skae._counts import MOST_UNITS, check_count
from skae.networks.activations import ACTIVATIONS
from skae.networks.coder import Coder, Reader
from skae.networks.dense import empty_linear, readers_of, zeroed
from skae.networks.sequences import SequenceSpecification


class Recursive(SequenceSpecification):
    """Recursive networks that merge neighbours pairwise and unfold them again (Socher et al. 2011).

    Rows are sequences flattened step by step, so that they pass through a Pipeline. Arrays (n, n_timesteps,
    values of a step) are accepted as well, and returned in the same shape.

    Parameters
    ----------
    n_timesteps : int, default=None
        Number of steps of a row. With None each column is a step.
    hidden_size : int, default=64
        Number of units for a step, or for several that were merged.
    merging : {"balanced", "greedy"}, default="balanced"
        Which neighbours are merged: all pairs at once, level by level, or one pair at a time, the one
        that is unfolded with the smallest error. Greedy trees differ from row to row and have as many levels
        as there are steps.
    activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", \
"leaky_relu"}, default="tanh"
        Activation of the shared layers.

    Notes
    -----
    Codes do not say how their row was merged, so the decoder unfolds along the balanced tree in both cases.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import Recursive
    >>> phase = np.random.default_rng(0).uniform(0, 6, size=(300, 1))
    >>> X = np.sin(phase + np.linspace(0, 6, 24))
    >>> model = AutoencoderTransformer(1, network=Recursive(24, hidden_size=16), max_iter=3, random_state=0)
    >>> model.fit(X).transform(X).shape
    (300, 1)
    """

    hidden_size: int = 64
    merging: Literal["balanced", "greedy"] = "balanced"
    activation: Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", "leaky_relu"] = "tanh"

    def build(
        self, n_features: int, code_in: int, code_out: int, generator: torch.Generator
    ) -> tuple[Coder, Coder]:
        """Build an encoder and a decoder whose outputs start at exactly zero.

        Parameters
        ----------
        n_features : int
            Number of values of a row: steps times values of a step.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of inputs of the decoder: components of the code.
        generator : torch.Generator
            The source of the initial weights.

        Returns
        -------
        encoder, decoder : torch.nn.Module
            Maps from (n, n_features) to (n, code_in) and from (n, code_out) to (n, n_features).

        Raises
        ------
        ValueError
            If a parameter is not valid, or rows cannot be cut into so many steps.
        """
        steps, n_values = self._shape(n_features)
        self._check()
        split = _layer(self, self.hidden_size, 2 * self.hidden_size, generator)
        encoder = RecursiveEncoder(self, steps, n_values, code_in, split, generator)
        return encoder, RecursiveDecoder(self, steps, n_values, code_out, split, generator)

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        n_values = self._shape(n_features)[1]
        self._check()
        return self.hidden_size * (4 * self.hidden_size + 2 * n_values + code_in + code_out)

    def _check(self) -> None:
        self._check_dropout()
        check_count(self.hidden_size, "hidden_size", 1, MOST_UNITS)
        if self.merging not in ("balanced", "greedy"):
            raise ValueError(f"merging must be 'balanced' or 'greedy'; got {self.merging!r}.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {self.activation!r}.")

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        steps, _ = self._shape(n_features)
        # All pairs of a level are merged at once.
        return steps * self.hidden_size**2


def _layer(specification: Recursive, n_in: int, n_out: int, generator: torch.Generator) -> nn.Sequential:
    activation = ACTIVATIONS[specification.activation]
    linear = empty_linear(n_in, n_out)
    activation.initialise(linear.weight, generator=generator)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, activation.module())


def merge_level(merge: nn.Module, nodes: torch.Tensor) -> torch.Tensor:
    """Merge neighbours (n, m, h) pairwise to (n, ceil(m / 2), h); an odd last one stays as it is."""
    n_pairs = nodes.shape[1] // 2
    pairs = nodes[:, : 2 * n_pairs].reshape(nodes.shape[0], n_pairs, -1)
    merged = merge(pairs)
    return torch.cat([merged, nodes[:, 2 * n_pairs :]], dim=1)


def split_level(split: nn.Module, nodes: torch.Tensor, n_wanted: int) -> torch.Tensor:
    """Undo `merge_level`: give (n, n_wanted, h) from (n, ceil(n_wanted / 2), h)."""
    n_pairs = n_wanted // 2
    parts = split(nodes[:, :n_pairs]).reshape(nodes.shape[0], 2 * n_pairs, -1)
    return torch.cat([parts, nodes[:, n_pairs:]], dim=1)


def merge_best(merge: nn.Module, split: nn.Module, nodes: torch.Tensor) -> torch.Tensor:
    """Merge one pair of neighbours of each row, (n, m, h) to (n, m - 1, h): the one that unfolds best."""
    pairs = torch.cat([nodes[:, :-1], nodes[:, 1:]], dim=2)
    merged = merge(pairs)
    with torch.no_grad():
        best = (split(merged) - pairs).square().sum(2).argmin(1, keepdim=True)
    places = torch.arange(merged.shape[1], device=nodes.device)
    # What lies right of the pair moves one place to the left.
    left = (places + (places > best).long())[:, :, None].expand_as(merged)
    return torch.where((places == best)[:, :, None], merged, nodes.gather(1, left))


class RecursiveEncoder(Coder):
    """Merge steps until one is left; what it says is the code. The last layer starts at zero.

    Parameters
    ----------
    specification : Recursive
    n_timesteps, n_values : int
        Steps of a row and values of each.
    n_outputs : int
        Width of the code.
    split : torch.nn.Module
        The decoder's layer, by which greedy merging judges pairs.
    generator : torch.Generator
        The source of the initial weights.
    """

    def __init__(
        self,
        specification: Recursive,
        n_timesteps: int,
        n_values: int,
        n_outputs: int,
        split: nn.Module,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        size = specification.hidden_size
        self.shape = (n_timesteps, n_values)
        self.embed = _layer(specification, n_values, size, generator)
        self.merge = _layer(specification, 2 * size, size, generator)
        self.split = split if specification.merging == "greedy" else None
        self.before_last = specification._before_last(size)
        self.last = zeroed(empty_linear(size, n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_timesteps * n_values) to (n, n_outputs)."""
        nodes = self.embed(x.reshape(x.shape[0], *self.shape))
        while nodes.shape[1] > 1:
            if self.split is None:
                nodes = merge_level(self.merge, nodes)
            else:
                nodes = merge_best(self.merge, self.split, nodes)
        return self.last(self.before_last(nodes[:, 0]))

    def last_layer(self) -> nn.Linear:
        """Return the last layer."""
        return self.last


class RecursiveDecoder(Coder):
    """Unfold a code along the balanced tree. The last layer starts at zero.

    Parameters
    ----------
    specification : Recursive
    n_timesteps, n_values : int
        Steps of a row and values of each.
    n_inputs : int
        Components of the code.
    split : torch.nn.Module
        The layer that unfolds one node into two.
    generator : torch.Generator
        The source of the initial weights.
    """

    def __init__(
        self,
        specification: Recursive,
        n_timesteps: int,
        n_values: int,
        n_inputs: int,
        split: nn.Module,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.first = _layer(specification, n_inputs, specification.hidden_size, generator)
        self.split = split
        self.before_last = specification._before_last(specification.hidden_size)
        self.last = zeroed(empty_linear(specification.hidden_size, n_values))
        self.widths = [n_timesteps]
        while self.widths[-1] > 1:
            self.widths.append(-(-self.widths[-1] // 2))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_inputs) to rows (n, n_timesteps * n_values)."""
        nodes = self.first(code)[:, None]
        for n_wanted in reversed(self.widths[:-1]):
            nodes = split_level(self.split, nodes, n_wanted)
        return self.last(self.before_last(nodes.flatten(0, 1))).reshape(code.shape[0], -1)

    def readers(self) -> list[Reader]:
        """Return the first layer."""
        return readers_of(self.first[0])

    def last_layer(self) -> nn.Linear:
        """Return the last layer."""
        return self.last

"""Recurrent encoders and decoders for sequences."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

from skae._computing import is_recorded
from skae._counts import MOST_UNITS, check_count
from skae.networks.coder import Coder, Reader
from skae.networks.dense import empty_linear, readers_of, zeroed
from skae.networks.sequences import SequenceSpecification

_CELLS: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(SequenceSpecification):
    """Recurrent networks: one encodes a sequence, another one decodes it from the code alone.

    Rows are sequences flattened step by step, so that they pass through a Pipeline. Arrays (n, n_timesteps,
    values of a step) are accepted as well, and returned in the same shape. Sequences may be shorter:
    steps that are all NaN at the end of a row are ignored by the encoder and by the loss.

    Parameters
    ----------
    n_timesteps : int, default=None
        Number of steps of the longest sequence. With None each column is a step.
    cell : {"gru", "lstm"}, default="gru"
        Kind of the recurrent units (Cho et al. 2014; Hochreiter and Schmidhuber 1997).
    hidden_size : int, default=64
        Number of units of each layer.
    bidirectional : bool, default=True
        Whether the encoder reads the sequence in both directions.
    n_layers : int, default=1
        Number of layers, of the encoder and of the decoder.

    Notes
    -----
    The decoder never sees the sequence, neither in training nor in use (no teacher forcing): each
    step gets the code, and the state of the step before.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import Recurrent
    >>> phase = np.random.default_rng(0).uniform(0, 6, size=(300, 1))
    >>> X = np.sin(phase + np.linspace(0, 6, 24))
    >>> model = AutoencoderTransformer(1, network=Recurrent(24, hidden_size=16), max_iter=3, random_state=0)
    >>> model.fit(X).transform(X).shape
    (300, 1)
    """

    cell: Literal["gru", "lstm"] = "gru"
    hidden_size: int = 64
    bidirectional: bool = True
    n_layers: int = 1

    # Rows may end early: trailing steps that are NaN. Estimators do not declare `allow_nan`, which promises
    # scikit-learn that NaN may stand anywhere.
    takes_gaps: ClassVar[bool] = True

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
        encoder = RecurrentEncoder(self, steps, n_values, code_in, generator)
        return encoder, RecurrentDecoder(self, steps, n_values, code_out, generator)

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        n_values = self._shape(n_features)[1]
        self._check()
        n_gates = 4 if self.cell == "lstm" else 3
        n_ways = 2 if self.bidirectional else 1
        deeper = (self.n_layers - 1) * self.hidden_size * self.hidden_size
        read = n_ways * (n_gates * (self.hidden_size * (n_values + self.hidden_size) + (n_ways + 1) * deeper))
        written = n_gates * (self.hidden_size * (code_out + self.hidden_size) + 2 * deeper)
        ends = n_ways * self.n_layers * code_in + self.n_layers * code_out + n_values
        return read + written + self.hidden_size * ends

    def _check(self) -> None:
        self._check_dropout()
        if self.cell not in _CELLS:
            raise ValueError(f"cell must be one of {sorted(_CELLS)}; got {self.cell!r}.")
        check_count(self.hidden_size, "hidden_size", 1, MOST_UNITS)
        check_count(self.n_layers, "n_layers", 1, MOST_UNITS)

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        _, n_values = self._shape(n_features)
        # A step of the cell is one operation; four gates are the most that a cell has.
        return 4 * self.hidden_size * (self.hidden_size + n_values)

    def check_gaps(self, rows: np.ndarray) -> None:
        """Refuse NaN that is not a sequence's end.

        Parameters
        ----------
        rows : ndarray of shape (n, n_timesteps * n_values)
            Rows, some of which end in NaN.

        Returns
        -------
        None

        Raises
        ------
        ValueError
            If a step is NaN in part, or before one that is not, or if there is no step at all.
        """
        steps, n_values = self._shape(rows.shape[1])
        missing = np.isnan(rows).reshape(len(rows), steps, n_values)
        gone = np.asarray(missing.all(axis=2))
        bad = (
            (missing.any(axis=2) != gone).any(axis=1) | (gone[:, :-1] & ~gone[:, 1:]).any(axis=1) | gone[:, 0]
        )
        if bad.any():
            raise ValueError(
                f"Row {int(np.flatnonzero(bad)[0])} holds NaN before its end: only whole steps at the "
                "end of a "
                "sequence may be missing, and not all of them. Fill the others first, e.g. with "
                "SimpleImputer."
            )


def _layers(specification: Recurrent, n_in: int, bidirectional: bool, generator: torch.Generator) -> Any:
    """Build recurrent layers: Glorot for inputs, orthogonal for states, gates of an LSTM open."""
    # Without storage first: the constructor would draw from the global generator.
    layer = _CELLS[specification.cell](
        n_in,
        specification.hidden_size,
        specification.n_layers,
        batch_first=True,
        bidirectional=bidirectional,
        device="meta",
    ).to_empty(device="cpu")
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter, generator=generator)
        elif name.startswith("weight_hh"):
            for part in parameter.data.split(layer.hidden_size):
                nn.init.orthogonal_(part, generator=generator)
        else:
            nn.init.zeros_(parameter)
            if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):
                parameter.data[layer.hidden_size : 2 * layer.hidden_size] = 1.0
    return layer


def read_by_steps(reader: Any, sequences: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Read sequences of different lengths without packing them, which no recorded graph can do.

    Parameters
    ----------
    reader : torch.nn.GRU or torch.nn.LSTM
    sequences : tensor of shape (n, n_timesteps, n_values)
        Finite, whatever stands after their end.
    lengths : tensor of int of shape (n,)
        At least 1.

    Returns
    -------
    states : tensor of shape (n_layers * n_directions, n, hidden_size)
        What the reader gives of packed sequences.
    """
    inputs, states = list(sequences.unbind(1)), []
    for layer in range(reader.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + reader.bidirectional]:
            weights = [getattr(reader, f"{name}_l{layer}{suffix}") for name in _WEIGHTS]
            output = state = memory = sequences.new_zeros(sequences.shape[0], reader.hidden_size)
            outputs.append([output] * len(inputs))
            for step in range(len(inputs))[:: -1 if suffix else 1]:
                output, kept = _STEPS[type(reader)](inputs[step], state, memory, *weights)
                there = (step < lengths)[:, None]
                state, memory = torch.where(there, output, state), torch.where(there, kept, memory)
                outputs[-1][step] = state
            states.append(state)
        inputs = [torch.cat(parts, dim=1) for parts in zip(*outputs, strict=True)]
    return torch.stack(states)


_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gru_step(
    x: torch.Tensor, state: torch.Tensor, memory: torch.Tensor, *weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a GRU says after a step, (n, hidden_size), and a memory that it has not."""
    read = functional.linear(x, weights[0], weights[2]).chunk(3, dim=1)
    kept = functional.linear(state, weights[1], weights[3]).chunk(3, dim=1)
    update = (read[1] + kept[1]).sigmoid()
    new = (read[2] + (read[0] + kept[0]).sigmoid() * kept[2]).tanh()
    return new + update * (state - new), memory


def _lstm_step(
    x: torch.Tensor, state: torch.Tensor, memory: torch.Tensor, *weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what an LSTM says after a step, and its memory, both (n, hidden_size)."""
    gates = functional.linear(x, weights[0], weights[2]) + functional.linear(state, weights[1], weights[3])
    into, forget, new, out = gates.chunk(4, dim=1)
    memory = forget.sigmoid() * memory + into.sigmoid() * new.tanh()
    return out.sigmoid() * memory.tanh(), memory


_STEPS: dict[type, Callable[..., tuple[torch.Tensor, torch.Tensor]]] = {
    nn.GRU: _gru_step,
    nn.LSTM: _lstm_step,
}


class RecurrentEncoder(Coder):
    """Read a sequence; what the last states of all layers say is the code. The last layer starts at zero.

    Parameters
    ----------
    specification : Recurrent
    n_timesteps, n_values : int
        Steps of a row and values of each.
    n_outputs : int
        Width of the code.
    generator : torch.Generator
        The source of the initial weights.
    """

    takes_gaps = True

    def __init__(
        self,
        specification: Recurrent,
        n_timesteps: int,
        n_values: int,
        n_outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.shape = (n_timesteps, n_values)
        self.reader = _layers(specification, n_values, specification.bidirectional, generator)
        n_states = specification.n_layers * (2 if specification.bidirectional else 1)
        self.before_last = specification._before_last(n_states * specification.hidden_size)
        self.last = zeroed(empty_linear(n_states * specification.hidden_size, n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_timesteps * n_values), NaN after their end, to (n, n_outputs)."""
        sequences: Any = x.reshape(x.shape[0], *self.shape)
        missing = sequences[:, :, 0].isnan()
        if is_recorded():
            states = read_by_steps(self.reader, sequences.nan_to_num(), (~missing).sum(1).clamp_min(1))
        else:
            if bool(missing.any()):
                lengths = (~missing).sum(1).clamp_min(1).cpu()
                sequences = rnn.pack_padded_sequence(
                    sequences.nan_to_num(), lengths, batch_first=True, enforce_sorted=False
                )
            states = self.reader(sequences)[1]
            states = states[0] if isinstance(states, tuple) else states
        return self.last(self.before_last(states.transpose(0, 1).flatten(1)))

    def last_layer(self) -> nn.Linear:
        """Return the last layer."""
        return self.last


class RecurrentDecoder(Coder):
    """Write a sequence from its code alone. The last layer starts at zero.

    Parameters
    ----------
    specification : Recurrent
    n_timesteps, n_values : int
        Steps of a row and values of each.
    n_inputs : int
        Components of the code.
    generator : torch.Generator
        The source of the initial weights.
    """

    def __init__(
        self,
        specification: Recurrent,
        n_timesteps: int,
        n_values: int,
        n_inputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_timesteps = n_timesteps
        self.first = empty_linear(n_inputs, specification.n_layers * specification.hidden_size)
        nn.init.xavier_normal_(self.first.weight, generator=generator)
        nn.init.zeros_(self.first.bias)
        self.writer = _layers(specification, n_inputs, False, generator)
        self.before_last = specification._before_last(specification.hidden_size)
        self.last = zeroed(empty_linear(specification.hidden_size, n_values))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_inputs) to rows (n, n_timesteps * n_values)."""
        writer = self.writer
        state = self.first(code).tanh().reshape(code.shape[0], writer.num_layers, writer.hidden_size)
        state = state.transpose(0, 1).contiguous()
        start = (state, torch.zeros_like(state)) if isinstance(writer, nn.LSTM) else state
        steps = code[:, None].expand(-1, self.n_timesteps, -1)
        written = self.before_last(writer(steps, start)[0].flatten(0, 1))
        return self.last(written).reshape(code.shape[0], -1)

    def readers(self) -> list[Reader]:
        """Return what sets the first state, and what reads the code at each step."""
        return [*readers_of(self.first), Reader(self.writer.weight_ih_l0, self.writer.bias_ih_l0)]

    def last_layer(self) -> nn.Linear:
        """Return the last layer."""
        return self.last

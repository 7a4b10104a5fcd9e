"""A dictionary: an encoder that may be deep, and a decoder that adds up unit-norm atoms."""

import dataclasses
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional

from skae.networks.architecture import Architecture
from skae.networks.bottlenecks import Bottleneck
from skae.networks.coder import Coder
from skae.networks.dense import Dense, Layers, n_between

_START_ROWS = 2048


class Dictionary(Architecture):
    """An encoder of any depth, and a linear decoder whose atoms have norm one.

    Encoder and decoder start tied (Gao et al. 2024): the last layer of the encoder is the transpose of the
    dictionary.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=()
        Number of units of each hidden layer of the encoder. ``()`` is one affine map.
    activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", \
"leaky_relu"}, default="relu"
        Activation of the hidden layers.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units that is set to zero in each training step.
    batch_norm : bool, default=False
        Whether hidden layers are normalised by batch statistics.

    Examples
    --------
    >>> from skae.networks import Dictionary
    >>> Dictionary((64,))
    Dictionary(hidden_layer_sizes=(64,))
    """

    hidden_layer_sizes: tuple[int, ...] = dataclasses.field(default=(), kw_only=False)
    activation: Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", "leaky_relu"] = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    has_atoms: ClassVar[bool] = True

    @property
    def mixes_rows(self) -> bool:
        """Whether the code of a row depends, in training, on the other rows of its batch."""
        return self.batch_norm

    def build(
        self, n_features: int, code_in: int, code_out: int, generator: torch.Generator
    ) -> tuple[Coder, Coder]:
        """Build an encoder and a decoder.

        Parameters
        ----------
        n_features : int
            Number of columns of the data.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of atoms.
        generator : torch.Generator
            The source of the initial weights.

        Returns
        -------
        encoder, decoder : torch.nn.Module
            Maps from (n, n_features) to (n, code_in) and from (n, code_out) to (n, n_features).

        Raises
        ------
        ValueError
            If a size or the activation is not valid.
        """
        layers, _ = self._readers().build(n_features, code_in, code_out, generator)
        atoms = Atoms(functional.normalize(torch.randn(n_features, code_out, generator=generator), dim=0))
        return Readers(layers, atoms), atoms  # type: ignore[arg-type]

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        return self._readers()._row_work(n_features, code_in, code_out)

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        self._readers()._check(code_in, code_out)
        return n_between((n_features, *self.hidden_layer_sizes, code_in)) + n_features * code_out

    def _readers(self) -> Dense:
        return Dense(
            self.hidden_layer_sizes,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        )


def atoms_of(decoder: Coder) -> "Atoms | None":
    """Return a decoder that is a dictionary; None for any other."""
    return decoder if isinstance(decoder, Atoms) else None


class Atoms(Coder):
    """The decoder: codes weigh atoms, and an offset is added.

    Atoms have norm one by construction: their direction is the parameter, so that its gradient
    has no part along it, and codes cannot be made small by making atoms long.

    Parameters
    ----------
    directions : tensor of shape (n_features, n_components)
        The atoms at the start, as columns.
    """

    stacks = True

    def __init__(self, directions: torch.Tensor) -> None:
        super().__init__()
        self.directions = nn.Parameter(directions)
        self.offset = nn.Parameter(torch.zeros(len(directions)))

    @property
    def weight(self) -> torch.Tensor:
        """Atoms as columns, (n_features, n_components)."""
        return functional.normalize(self.directions, dim=0)

    @torch.no_grad()
    def place(self, rows: torch.Tensor, generator: torch.Generator) -> None:
        """Start the offset at the geometric median of rows (n, n_features), and atoms at rows about it."""
        median = rows.mean(0)
        for _ in range(10):
            weights = 1 / (rows - median).norm(dim=1, keepdim=True).clamp_min(1e-6)
            median = (weights * rows).sum(0) / weights.sum()
        self.offset.copy_(median)
        n_atoms = self.directions.shape[1]
        chosen = torch.randperm(len(rows), generator=generator).repeat(-(-n_atoms // len(rows)))[:n_atoms]
        about = functional.normalize(rows[chosen.to(rows.device)] - median, dim=1)
        # Some noise keeps atoms apart that start at equal rows, and away from zero.
        noise = torch.randn(about.shape, generator=generator).to(rows) * (0.1 / about.shape[1] ** 0.5)
        self.directions.copy_(functional.normalize(about + noise, dim=1).T)

    def add(self, code: torch.Tensor) -> torch.Tensor:
        """Add weighted atoms, without the offset."""
        return functional.linear(code, self.weight)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_components) to rows (n, n_features)."""
        return self.add(code) + self.offset


class Readers(Coder):
    """The encoder: layers that see rows less the decoder's offset, and start by reading along its atoms.

    Atoms start at rows, and are read so weakly that the sum of the active ones fits rows best. From
    random directions three of four of 3,136 components on MNIST end dead, from rows one of four, and
    without the second part, which sums of alike atoms overshoot, training takes twice as long.

    Parameters
    ----------
    layers : Layers
        From n_features to as many outputs as the bottleneck wants.
    atoms : Atoms
        The decoder.
    """

    starts_at_rows = True

    def __init__(self, layers: Layers, atoms: Atoms) -> None:
        super().__init__()
        self.stacks = layers.stacks
        self.layers = layers
        self.atoms = atoms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to what enters the bottleneck."""
        return self.layers(x - self.atoms.offset)

    def last_layer(self) -> nn.Linear | None:
        """Return the last layer, which `start_at` ties to the atoms."""
        return self.layers.last_layer()

    @torch.no_grad()
    def start_at(self, rows: torch.Tensor, bottleneck: Bottleneck, generator: torch.Generator) -> None:
        """Start atoms at training rows (n, n_features), and read along them.

        Parameters
        ----------
        rows : tensor of shape (n, n_features)
            Training rows, centred and scaled.
        bottleneck : Bottleneck
            Chooses the codes, and starts at those of some of the rows.
        generator : torch.Generator
            Chooses the rows.
        """
        self.atoms.place(rows, generator)
        last = self.layers.linear_layers()[-1]
        if len(self.layers) == 1:
            last.weight.copy_(self.atoms.weight.T)
        part = rows[:_START_ROWS]
        pre = self(part)
        bottleneck.start(pre)
        back = self.atoms.add(bottleneck.read(pre))
        scale = ((part - self.atoms.offset) * back).sum() / back.square().sum().clamp_min(1e-12)
        if scale > 0:
            last.weight.mul_(scale)
            last.bias.mul_(scale)
            bottleneck.start(pre * scale)

    @torch.no_grad()
    def start_again(self, components: torch.Tensor, rows: torch.Tensor, alive: torch.Tensor) -> None:
        """Let components start at what is left of rows, and be read as strongly as the living.

        Parameters
        ----------
        components : tensor of int of shape (n,)
            Their numbers.
        rows : tensor of shape (n, n_features)
            Residuals; those that are zero change nothing.
        alive : tensor of bool of shape (n_components,)
            Which components set the strength.
        """
        some = rows.norm(dim=1) > 0
        components, rows = components[some], functional.normalize(rows[some], dim=1)
        last = self.layers.linear_layers()[-1]
        self.atoms.directions[:, components] = rows.T * self.atoms.directions[:, components].norm(dim=0)
        if len(self.layers) == 1:
            last.weight[components] = rows * last.weight[alive].norm(dim=1).mean().nan_to_num(1.0)
            last.bias[components] = 0.0

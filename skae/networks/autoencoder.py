"""Encoder, bottleneck and decoder as one module, with the linear path beside them.

Knows no loss, no training and no units of the data: rows come in centred and scaled.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from skae._computing import use_one_thread_after_fork
from skae.networks.architecture import Architecture
from skae.networks.bottlenecks import Bottleneck
from skae.networks.coder import Coder, PlainLayers, Reader
from skae.networks.dense import Dense, Layers, Transposed, empty_linear, readers_of, zeroed
from skae.networks.dropout import Dropout
from skae.networks.principal_axes import Gaps, PrincipalAxes

# Rows that bottlenecks start at.
_START_ROWS = 2048


class Autoencoder(nn.Module):
    """The network of every estimator: ``z = A x + f(x)`` and ``output = B z + b + g(z)``.

    Parameters
    ----------
    encoder, decoder : Coder
        The nonlinear parts `f` and `g`.
    bottleneck : Bottleneck
        What happens to the code between them.
    linear_encoder, linear_decoder : torch.nn.Module, optional
        The linear path `A` and `B`, given together or not at all.
    gaps : Gaps, optional
        Fills rows that hold NaN. None leaves them to the encoder.
    n_components : int, optional
        Width of the code, where it may be cut after its first components.
    has_code_flags : bool, default=False
        Whether the decoder has further inputs, after those of the code, that say which components are
        cut: 0 for one that is there, -1 for one that is not.
    row_work : int, default=0
        Multiply-adds of the largest operation on one row, see `Architecture.row_work`.

    Attributes
    ----------
    n_kept : int or None
        How many components a user gets; None gives all.
    """

    def __init__(
        self,
        encoder: Coder,
        decoder: Coder,
        bottleneck: Bottleneck,
        linear_encoder: nn.Module | None = None,
        linear_decoder: nn.Module | None = None,
        gaps: Gaps | None = None,
        n_components: int | None = None,
        has_code_flags: bool = False,
        row_work: int = 0,
    ) -> None:
        super().__init__()
        # Also a network that is only loaded may be used in a forked child.
        use_one_thread_after_fork()
        self.encoder = encoder
        self.decoder = decoder
        self.bottleneck = bottleneck
        self.linear_encoder = linear_encoder
        self.linear_decoder = linear_decoder
        self.gaps = gaps
        self.n_components = n_components
        self.has_code_flags = has_code_flags
        self.row_work = row_work
        self.n_kept: int | None = None

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        use_one_thread_after_fork()

    def pre_code(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to what enters the bottleneck, (n, width)."""
        return self.pre_code_of(*self.filled(x))

    def filled(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Fill the gaps of rows (n, n_features) if any were trained on; say which cells were there."""
        return self.gaps(x) if self.gaps is not None and self.gaps.always else (x, None)

    def complete(self, x: torch.Tensor) -> torch.Tensor:
        """Fill the gaps of rows (n, n_features), unless the network has a way of its own with them."""
        return x.nan_to_num() if self.gaps is None else self.gaps(x)[0]

    def pre_code_of(self, x: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
        """Map filled rows (n, n_features) to what enters the bottleneck, (n, width).

        Where the encoder has a way of its own with gaps, the linear path reads them as zero: the mean of
        their column.
        """
        pre = self.encoder(self.seen(x, there))
        if self.linear_encoder is None:
            return pre
        return pre + self.linear_encoder(x.nan_to_num() if self.takes_gaps else x)

    def seen(self, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """Return the input of the encoder: filled rows and, beside them, flags of observed cells."""
        if there is None or self.gaps is None or not self.gaps.flags:
            return x
        return torch.cat([x, there.to(x)], dim=1)

    @property
    def takes_gaps(self) -> bool:
        """Whether the encoder has a way of its own with NaN."""
        return self.encoder.takes_gaps

    def plain_layers(self) -> tuple[PlainLayers, PlainLayers] | None:
        """List the layers of encoder and decoder; None where there is more than those and the linear path."""
        encoder, decoder = self.encoder.plain_layers(), self.decoder.plain_layers()
        sees_more = self.has_code_flags or (self.gaps is not None and self.gaps.always)
        if encoder is None or decoder is None or sees_more or self.bottleneck.changes_codes:
            return None
        return encoder, decoder

    @torch.no_grad()
    def linear_encoding(self) -> Reader | None:
        """Return weights (n_components, n_features) and biases where the encoder is that alone, else None.

        So it is where it has one layer, and where it adds nothing to its linear path, as at the PCA start.
        """
        plain, path = self.encoder.plain_layers(), self.linear_encoder
        if self.bottleneck.changes_codes:
            return None
        sees_flags = self.gaps is not None and self.gaps.flags
        if plain is not None and len(plain.linear) == 1 and not sees_flags:
            weight, bias = plain.linear[0].weight, plain.linear[0].bias
            # In float64, as the two are added where rows are.
            whole = weight.double() + path.weight.double() if isinstance(path, nn.Linear) else weight
            return Reader(whole, bias)
        if isinstance(path, nn.Linear) and self.encoder.is_silent:
            return Reader(path.weight, path.weight.new_zeros(path.out_features))
        return None

    def activations(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to all hidden layers: of the encoder, the code, of the decoder.

        Needs an architecture whose layers list them, as those of `Dense` do.
        """
        filled, there = self.filled(x)
        code = self.bottleneck.read(self.pre_code_of(filled, there))[:, : self.n_kept]
        hidden = self.encoder.activations(self.seen(filled, there))
        shown = self._shown(*self._padded(code, None))
        return torch.cat([*hidden, code, *self.decoder.activations(shown)], dim=1)

    @torch.no_grad()
    def start_bottleneck(self, rows: torch.Tensor) -> None:
        """Start what the bottleneck learns at what the encoder makes of some rows (n, n_features)."""
        self.bottleneck.start(self.pre_code(rows[:_START_ROWS]))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to the codes a user gets, (n, n_components)."""
        return self.bottleneck.read(self.pre_code(x))[:, : self.n_kept]

    def decode(self, code: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Map codes to outputs before the link, (n, n_features).

        Parameters
        ----------
        code : tensor of shape (n, n_components)
            Fewer columns are the first components, the others being cut.
        kept : tensor of shape (n, n_components), optional
            1 for components that are there, 0 for those that are cut; all are there by default.

        Returns
        -------
        output : tensor of shape (n, n_features)
        """
        code, kept = self._padded(code, kept)
        output = self.decoder(self._shown(code, kept))
        return output if self.linear_decoder is None else output + self.linear_decoder(code)

    def _padded(
        self, code: torch.Tensor, kept: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Put zeros in the place of components that are cut; say which are there."""
        n_cut = 0 if self.n_components is None else self.n_components - code.shape[1]
        if n_cut > 0:
            return functional.pad(code, (0, n_cut)), functional.pad(torch.ones_like(code), (0, n_cut))
        # Zero is the mean of a component: the linear path is then PCA of fewer components.
        return (code if kept is None else code * kept), kept

    def _shown(self, code: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return the input of the nonlinear decoder."""
        if not self.has_code_flags:
            return code
        return torch.cat([code, torch.zeros_like(code) if kept is None else kept - 1], dim=1)

    @property
    def dropouts(self) -> list[Dropout]:
        """Layers that set units to zero in training."""
        return [module for module in self.modules() if isinstance(module, Dropout)]

    def draw_dropout_from(self, generator: torch.Generator | None) -> None:
        """Let every dropout layer draw from a generator."""
        for layer in self.dropouts:
            layer.generator = generator

    def keep(self, n_components: int) -> None:
        """Keep the first components only, from now on."""
        self.n_kept = n_components
        self.bottleneck.keep(n_components)

    def keep_all(self) -> None:
        """Use all components again."""
        if self.n_kept is not None:
            self.keep(self.n_components or self.n_kept)

    @torch.no_grad()
    def start_at(self, found: PrincipalAxes, generator: torch.Generator) -> None:
        """Make the linear path PCA, with codes of unit variance.

        The network then *is* PCA: its nonlinear parts put out zero, and what the linear path gives back is
        the projection on the components. Those beyond the rank of the data read random directions and
        write nothing, so that the network still is PCA, and may put them to use in training.

        Parameters
        ----------
        found : PrincipalAxes
            From `principal_axes`.
        generator : torch.Generator
            Source of the random directions, on the CPU.
        """
        into, out_of = self.linear_encoder, self.linear_decoder
        if not isinstance(into, nn.Linear) or out_of is None:
            return
        rank = min(len(found.deviations), into.out_features)
        axes, deviations = found.axes[:rank], found.deviations[:rank, None]
        if isinstance(out_of, Transposed):
            # One matrix for both halves: the codes keep the deviations of the data.
            into.weight[:rank] = axes.to(into.weight)
            return
        spare = torch.randn(into.out_features - rank, into.in_features, generator=generator)
        into.weight[:rank] = (axes / deviations).to(into.weight)
        into.weight[rank:] = (spare / into.in_features**0.5).to(into.weight)
        out_of.weight[:, :rank] = (axes * deviations).T.to(into.weight)  # type: ignore[union-attr]

    @property
    def can_straighten(self) -> bool:
        """Whether `straighten` can be asked for: what is beside a linear path can be scaled."""
        coders = (self.encoder, self.decoder)
        return self.linear_encoder is not None and all(coder.can_scale for coder in coders)

    def path(self) -> dict[str, torch.Tensor]:
        """Return a copy of the weights of the linear path, by name."""
        names = ("linear_encoder.", "linear_decoder.")
        return {
            name: value.detach().clone() for name, value in self.named_parameters() if name.startswith(names)
        }

    @torch.no_grad()
    def straighten(self, start: Mapping[str, torch.Tensor], share: float) -> None:
        """Keep a share of what was learnt since a start at which the nonlinear parts put out nothing.

        The linear path keeps that share of its way, and the nonlinear parts that share of their outputs.
        Between PCA, 0, and what was learnt, 1, a network bends more and more.

        Parameters
        ----------
        start : mapping of str to tensor
            The `path` of the start.
        share : float in [0, 1]
            What is kept.
        """
        parameters = dict(self.named_parameters())
        for name, value in start.items():
            parameters[name].lerp_(value, 1 - share)
        self.encoder.scale(share)
        self.decoder.scale(share)

    @property
    def freedom(self) -> Literal["maps", "rotations", "none"]:
        """By which maps the codes can be moved without any change of what is given back, see `move_codes`.

        Rotations alone where the decoder uses the weights of the encoder.
        """
        has_layers = isinstance(self.encoder.last_layer(), nn.Linear) and bool(self.decoder.readers())
        if not has_layers or self.bottleneck.changes_codes or self.n_components is not None:
            return "none"
        return "rotations" if self.decoder.mirrors else "maps"

    @torch.no_grad()
    def move_codes(self, matrix: torch.Tensor, shift: torch.Tensor) -> None:
        """Let codes be ``(code - shift) @ matrix`` from now on, and the decoder undo it.

        Parameters
        ----------
        matrix : tensor of shape (n_components, n_components)
            Invertible; orthogonal where `freedom` has rotations alone.
        shift : tensor of shape (n_components,)
            What is subtracted first.
        """
        path_in, path_out = self.linear_encoder, self.linear_decoder
        readers = self.decoder.readers() + ([] if path_out is None else readers_of(path_out))
        inverse = torch.linalg.inv(matrix)
        for weight, bias in readers:
            bias += (weight.to(shift) @ shift).to(bias)
            if not self.decoder.mirrors:
                weight.copy_(weight.to(inverse) @ inverse.T)
        for layer in (self.encoder.last_layer(), path_in):
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(matrix.T @ layer.weight.to(matrix))
                if layer.bias is not None:
                    layer.bias.copy_((layer.bias.to(shift) - shift) @ matrix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode and decode, as in use."""
        return self.decode(self.encode(x))


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """What a network is built from; knows no rows and no training.

    Parameters
    ----------
    architecture : Architecture
        Builds the nonlinear parts.
    bottleneck : callable
        Returns a new bottleneck.
    n_components : int
        Width of the code.
    is_ordered : bool, default=False
        Whether the code may be cut after its first components.
    linear_path : bool, default=True
        Whether a linear map runs beside the encoder and beside the decoder.
    init : {"pca", "random"}, default="pca"
        Whether the linear path is zero until it is set to PCA, or random.
    by_layer : bool, default=False
        Whether layers are trained one by one beforehand. They are then not shown which cells and which
        components are there.
    encodes_linearly : bool, default=False
        Whether the encoder is one affine map, whatever the architecture: the decoder alone bends.
    """

    architecture: Architecture
    bottleneck: Callable[[], Bottleneck]
    n_components: int
    is_ordered: bool = False
    linear_path: bool = True
    init: Literal["pca", "random"] = "pca"
    by_layer: bool = False
    encodes_linearly: bool = False

    @functools.cached_property
    def width(self) -> int:
        """Number of outputs of the encoder."""
        return self.bottleneck().n_inputs * self.n_components

    def n_weights(self, n_features: int) -> int:
        """Count the weights of the network, after a check of its sizes."""
        n_weights = self.architecture._n_weights(n_features, self.width, self.n_components)
        return n_weights + (n_features * (self.width + self.n_components) if self.linear_path else 0)

    def row_work(self, n_features: int) -> int:
        """Count the multiply-adds of the largest operation on one row; see `Architecture.row_work`."""
        # The linear path is counted whatever the architecture is.
        path = n_features * max(self.width, self.n_components)
        return max(path, self.architecture._row_work(n_features, self.width, self.n_components))

    def gaps(self, n_features: int, always: bool) -> Gaps | None:
        """Return what fills gaps; None where the encoder has a way of its own with them.

        Parameters
        ----------
        n_features : int
            Number of columns.
        always : bool
            Whether the network sees gaps in training.

        Returns
        -------
        gaps : Gaps or None
            Not fitted yet.
        """
        if self.architecture.takes_gaps:
            return None
        flags = always and self.architecture.takes_flags and not (self.by_layer or self.encodes_linearly)
        return Gaps(n_features, self.n_components, flags, always)

    def build(self, n_features: int, generator: torch.Generator, gaps: Gaps | None) -> Autoencoder:
        """Build the network.

        Parameters
        ----------
        n_features : int
            Number of columns inside.
        generator : torch.Generator
            The source of the initial weights.
        gaps : Gaps or None
            What fills rows that hold NaN.

        Returns
        -------
        network : Autoencoder
            Its linear path, if there is one, at zero or random.
        """
        code_in, code_out = self.width, self.n_components
        has_code_flags = self.is_ordered and not self.by_layer and self.architecture.takes_code_flags
        flags = {"n_flags": n_features} if gaps is not None and gaps.flags else {}
        if has_code_flags:
            flags["n_code_flags"] = code_out
        # Flags are parameters of those alone that declare them.
        make: Callable[..., tuple[Coder, Coder]] = self.architecture.build
        encoder, decoder = make(n_features, code_in, code_out, generator, **flags)
        if self.encodes_linearly:
            encoder = Layers((n_features, code_in), Dense(()), generator)
        path = (None, None)
        if not self.linear_path:
            encoder.start_random(generator)
            decoder.start_random(generator)
        else:
            path = linear_path(n_features, code_in, code_out, self.architecture.is_tied)
            if self.init == "random":
                draw_linear_path(*path, generator)
        return Autoencoder(
            encoder,
            decoder,
            self.bottleneck(),
            *path,
            gaps,
            n_components=code_out if self.is_ordered else None,
            has_code_flags=has_code_flags,
            row_work=self.row_work(n_features),
        )


def linear_path(n_features: int, code_in: int, code_out: int, tied: bool) -> tuple[nn.Linear, nn.Module]:
    """Build the linear path, all zero: `Autoencoder.start_at` gives it its values.

    Parameters
    ----------
    n_features, code_in, code_out : int
        Widths of the data, of the encoder's output and of the decoder's input.
    tied : bool
        Whether the decoder's half uses the encoder's weights transposed.

    Returns
    -------
    linear_encoder, linear_decoder : torch.nn.Module
    """
    linear_encoder = zeroed(empty_linear(n_features, code_in, bias=False))
    if tied:
        return linear_encoder, Transposed(linear_encoder)
    return linear_encoder, zeroed(empty_linear(code_out, n_features))


def draw_linear_path(into: nn.Linear, out_of: nn.Module, generator: torch.Generator) -> None:
    """Set the weights of a linear path at random, in place."""
    nn.init.xavier_normal_(into.weight, generator=generator)
    if isinstance(out_of, nn.Linear):
        nn.init.xavier_normal_(out_of.weight, generator=generator)

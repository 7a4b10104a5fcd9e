"""The gradient of the squared error by the weights of plain fully connected networks, written by hand.

On small batches, autograd and `torch.func.vmap` take as long as the arithmetic. Here a step is its matrix
products and one pass over the numbers for each activation, with little Python between them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from skae.networks.activations import ACTIVATIONS
from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Errors, Objective

Tensors = Mapping[str, torch.Tensor]

_MOST_ROOMS = 4
# Numbers of single precision that one instruction of a processor takes.
_LANES = 16


def can_differentiate(network: Autoencoder, objective: Objective) -> bool:
    """Return whether `DenseGradient` gives the gradient of an objective by the weights of a network.

    Parameters
    ----------
    network : Autoencoder
        Has to be linear layers, activations and the linear path alone.
    objective : Objective
        Has to be the mean squared error, alone or with `Nonlinearity` and `Straightness`. Corruption and
        emphasis are seen to by `Objective.prepare`.

    Returns
    -------
    can : bool
    """
    return network.plain_layers() is not None and objective.is_squared_error


class DenseGradient:
    """Squared errors of several networks of one shape, and the gradient of each by its own weights.

    Parameters
    ----------
    network : Autoencoder
        One that `can_differentiate` takes, for its layers and their names. Its weights are not read.
    parameters : mapping of str to tensor of shape (n_members, ...)
        The weights of all members, by the names of `network.named_parameters`. They may change between calls,
        in place.
    gradients : mapping of str to tensor of shape (n_members, ...)
        Written in each call, by the same names.
    table : tensor of shape (n_members, n_parameters), optional
        What the gradients are views of, one after the other, if that is so. They are then put there at once:
        `torch.bmm` goes member by member where its result is not contiguous (thirty members of 64 rows: 0.92
        of the time).
    penalties : sequence of dict of str to float, optional
        Weights of `skae.objectives.penalties.Nonlinearity` and `Straightness`, by the names "nonlinearity"
        and "straightness", of each member; none by default.

    Raises
    ------
    ValueError
        If the network is more than such layers.
    """

    def __init__(
        self,
        network: Autoencoder,
        parameters: Tensors,
        gradients: Tensors,
        table: torch.Tensor | None = None,
        penalties: Sequence[Mapping[str, float]] = (),
    ) -> None:
        coders = network.plain_layers()
        if coders is None:
            raise ValueError(
                "DenseGradient knows linear layers, activations and the linear path, and this network has "
                "more than that. Ask `can_differentiate` first, and leave it to autograd."
            )
        self.table = None
        if table is not None and len(table) > 1:
            gradients = {name: torch.zeros_like(value).contiguous() for name, value in gradients.items()}
            self.table, self.columns = table, [value.flatten(1) for value in gradients.values()]
        names = {id(parameter): name for name, parameter in network.named_parameters()}

        def layer(*names: str) -> _Layer:
            return _Layer(*(tensors[name].detach() for name in names for tensors in (parameters, gradients)))

        self.encoder, self.decoder = (
            _Chain(
                [layer(names[id(part.weight)], names[id(part.bias)]) for part in coder.linear],
                coder.activation,
            )
            for coder in coders
        )
        has_path = network.linear_encoder is not None
        self.path_in = layer("linear_encoder.weight") if has_path else None
        self.path_out = layer("linear_decoder.weight", "linear_decoder.bias") if has_path else None
        self.is_alone = self.encoder.layers[0].is_alone
        self.nonlinearity = self._weights(penalties, "nonlinearity")
        self.straightness = self._weights(penalties, "straightness")
        self.rooms: dict[int, _Room] = {}

    def _weights(self, penalties: Sequence[Mapping[str, float]], name: str) -> torch.Tensor | None:
        """Return the weight of a penalty in each member; None where none has any."""
        found = [member.get(name, 0.0) for member in penalties]
        if not any(found):
            return None
        return self.encoder.layers[0].weight.new_tensor(found).reshape(() if self.is_alone else (-1, 1, 1))

    def output(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map rows (n_members, n_rows, n_features) to what each member gives back of its own."""
        output = self._pass(self._members(inputs)).output
        return output.unsqueeze(0) if self.is_alone else output

    def errors(self, inputs: torch.Tensor, target: torch.Tensor, has_gaps: bool = False) -> Errors:
        """Measure the errors of rows, as `Objective.evaluate` does without emphasis.

        Parameters
        ----------
        inputs, target : tensor of shape (n_members, n_rows, n_features)
            What the encoders see, and what should come back.
        has_gaps : bool, default=False
            Whether the target may hold NaN, which count nowhere.

        Returns
        -------
        errors : Errors
            Each of shape (n_members, n_rows).
        """
        cells = self.output(inputs).sub_(target).square_()
        if has_gaps:
            return Errors(cells.nanmean(-1).nan_to_num_(), cells.nansum(-1))
        return Errors(cells.mean(-1), cells.sum(-1))

    def __call__(
        self, inputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Write the gradients, and return the losses.

        Parameters
        ----------
        inputs, target : tensor of shape (n_members, n_rows, n_features)
            From `Objective.prepare`: without NaN.
        weight : tensor of shape (n_members, n_rows, 1) or (n_members, n_rows, n_features), optional
            Of rows or cells; all count alike by default. What weighs nothing changes nothing.

        Returns
        -------
        terms : dict of str to tensor of shape (n_members,)
            "reconstruction", the weighted mean of the squared errors of each member's cells, and, where they
            have a weight, "nonlinearity" and "straightness".
        """
        inputs, weight = self._members(inputs), None if weight is None else self._members(weight)
        room = self._room(inputs.shape[-2])
        passed = self._pass(inputs, room)
        target = self._members(target)
        losses, gradient = _loss(passed.output.sub_(target), weight)
        terms, by_bent, by_path = {"reconstruction": losses.reshape(-1)}, None, gradient
        if self.nonlinearity is not None and passed.bent is not None:
            code = passed.decoded.inputs[0]
            terms["nonlinearity"], by_bent = _nonlinearity(passed.bent, code, weight, self.nonlinearity)
        if self.straightness is not None and passed.straight is not None:
            alone, by_straight = _loss(passed.straight.sub_(target), weight)
            found = self.straightness * losses.reshape(self.straightness.shape)
            terms["straightness"] = found.reshape(-1)
            scale = found / alone.reshape(found.shape).clamp_min_(torch.finfo(found.dtype).tiny)
            by_path = torch.addcmul(gradient, by_straight, scale)
        self._backward(passed, gradient, by_path, room, by_bent)
        return terms

    def _members(self, tensor: torch.Tensor) -> torch.Tensor:
        # Two axes take one or two microseconds less than three, an operation: a tenth of a small step.
        return tensor[0] if self.is_alone else tensor

    def _pass(self, inputs: torch.Tensor, room: "_Room | None" = None) -> "_Pass":
        encoded, code = self.encoder.forward(inputs, room and room.encoder)
        bent = None if self.nonlinearity is None or room is None else code.clone()
        if self.path_in is not None:
            self.path_in.add_to(code, inputs)
        decoded, output = self.decoder.forward(code, room and room.decoder)
        straight = None
        if self.path_out is not None:
            if self.straightness is None or room is None:
                self.path_out.add_to(output, code)
            else:
                straight = self.path_out.forward(code, room.straight)
                output.add_(straight)
        return _Pass(encoded, decoded, output, bent, straight)

    def _backward(
        self,
        passed: "_Pass",
        gradient: torch.Tensor,
        by_path: torch.Tensor,
        room: "_Room",
        by_bent: torch.Tensor | None,
    ) -> None:
        """Write the gradients, from those by what the decoder, its linear half and the encoder put out."""
        by_code = self.decoder.backward(passed.decoded, gradient, room.decoder_gradients)
        by_code = self.decoder.layers[0].backward(by_code, room.decoder_gradients[0])
        if self.path_out is not None:
            self.path_out.write(passed.decoded.inputs[0], by_path)
            self.path_out.add_backward_to(by_code, by_path)
        if self.path_in is not None:
            self.path_in.write(passed.encoded.inputs[0], by_code)
        if by_bent is not None:
            by_code.add_(by_bent)
        self.encoder.backward(passed.encoded, by_code, room.encoder_gradients)
        if self.table is not None:
            torch.cat(self.columns, 1, out=self.table)

    def _room(self, n_rows: int) -> "_Room":
        """Return what steps of so many rows are computed in; the last few are kept."""
        if n_rows not in self.rooms:
            # Batches of an epoch differ by one row, and those of members whose rows do by another.
            self.rooms = dict([*self.rooms.items()][-(_MOST_ROOMS - 1) :])
            encoder, decoder = self.encoder.layers, self.decoder.layers
            self.rooms[n_rows] = _Room(
                [layer.new_output(n_rows) for layer in encoder],
                [layer.new_output(n_rows) for layer in decoder],
                [layer.new_input(n_rows) for layer in encoder],
                [layer.new_input(n_rows) for layer in decoder],
                None if self.path_out is None else self.path_out.new_output(n_rows),
            )
        return self.rooms[n_rows]


def _loss(residual: torch.Tensor, weight: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses and their gradient by the output, which takes the place of the residual."""
    n_rows, n_features = residual.shape[-2:]
    if weight is None:
        n_cells = n_rows * n_features
        losses = torch.linalg.vector_norm(residual, dim=(-2, -1)).square_().div_(n_cells)
        return losses, residual.mul_(2 / n_cells)
    total = weight.sum((-2, -1), keepdim=True).mul_(n_features / weight.shape[-1])
    # The mean over nothing is zero, as in `weighted_mean`.
    weighted = residual * (weight / total.clamp_min_(torch.finfo(total.dtype).tiny))
    return residual.mul_(weighted).sum((-2, -1)), weighted.mul_(2)


def _nonlinearity(
    bent: torch.Tensor, code: torch.Tensor, weight: torch.Tensor | None, coefficient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted shares of codes that are not linear in rows, and their gradient by that part."""
    weighted, squares = bent, code.square()
    if weight is not None:
        rows = weight.mean(-1, keepdim=True)
        weighted, squares = bent * rows, squares * rows
    scale = coefficient / squares.sum((-2, -1), keepdim=True).clamp_min_(torch.finfo(code.dtype).tiny)
    return ((weighted * bent).sum((-2, -1), keepdim=True) * scale).reshape(-1), weighted.mul(2 * scale)


class _Trace(NamedTuple):
    """What a chain saw, as far as its gradient needs it."""

    inputs: list[torch.Tensor]  # of each layer
    kept: list[torch.Tensor]  # of each activation, as `Activation.backward` wants it


class _Pass(NamedTuple):
    """What all layers saw, and what came out."""

    encoded: _Trace
    decoded: _Trace
    output: torch.Tensor
    bent: torch.Tensor | None  # what the encoder puts out beside its linear path, where that is penalised
    straight: torch.Tensor | None  # what the linear half of the decoder puts out, where that is judged alone


class _Room(NamedTuple):
    """Tensors that a step is computed in.

    Fresh ones cost nothing as long as the allocator keeps the memory. It gives that of large ones back to the
    system, and asks for it again: 8,192 rows of 17 columns and 128-64 units took twice the time of a step.
    """

    encoder: list[torch.Tensor]  # what each layer puts out
    decoder: list[torch.Tensor]
    encoder_gradients: list[torch.Tensor]  # by what comes into each layer
    decoder_gradients: list[torch.Tensor]
    straight: torch.Tensor | None  # what the linear half of the decoder puts out


class _Layer:
    """A linear layer of all members: its weights, and where their gradients go.

    Parameters
    ----------
    weight, weight_gradient : tensor of shape (n_members, n_out, n_in)
    bias, bias_gradient : tensor of shape (n_members, n_out), optional
    """

    def __init__(
        self,
        weight: torch.Tensor,
        weight_gradient: torch.Tensor,
        bias: torch.Tensor | None = None,
        bias_gradient: torch.Tensor | None = None,
    ) -> None:
        self.is_alone = len(weight) == 1
        if self.is_alone:
            weight, weight_gradient = weight[0], weight_gradient[0]
            bias = None if bias is None else bias[0]
            bias_gradient = None if bias_gradient is None else bias_gradient[0]
        elif bias is not None:
            bias = bias.unsqueeze(1)
        self.weight, self.transposed, self.bias = weight, weight.mT, bias
        self.weight_gradient, self.bias_gradient = weight_gradient, bias_gradient
        *members, n_out, n_in = weight.shape
        # Where rows of the result are short and no multiple of what one instruction takes, products take up
        # to six times as long as for the transposed result: 128 x 17 of 1,024 rows 102 and 64 microseconds.
        is_turned = n_in < n_out and n_in % _LANES > 0
        self.turned = weight.new_empty(*members, n_in, n_out) if is_turned else None
        self.product = torch.mm if self.is_alone else torch.bmm
        self.affine = torch.addmm if self.is_alone else torch.baddbmm
        self.add_product = torch.Tensor.addmm_ if self.is_alone else torch.Tensor.baddbmm_

    def new_output(self, n_rows: int) -> torch.Tensor:
        """Return room for what goes out."""
        *members, n_out, _ = self.weight.shape
        return self.weight.new_empty(*members, n_rows, n_out)

    def new_input(self, n_rows: int) -> torch.Tensor:
        """Return room for what comes in."""
        *members, _, n_in = self.weight.shape
        return self.weight.new_empty(*members, n_rows, n_in)

    def forward(self, x: torch.Tensor, room: torch.Tensor | None) -> torch.Tensor:
        """Map what comes in, (..., n_rows, n_in), to what goes out, (..., n_rows, n_out)."""
        if self.bias is None:
            return self.product(x, self.transposed, out=room)
        return self.affine(self.bias, x, self.transposed, out=room)

    def add_to(self, output: torch.Tensor, x: torch.Tensor) -> None:
        """Add what the layer makes of `x` to the output of another one."""
        self.add_product(output, x, self.transposed)
        if self.bias is not None:
            output.add_(self.bias)

    def backward(self, gradient: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
        """Return the gradient by what came in, from that by what went out."""
        return self.product(gradient, self.weight, out=room)

    def add_backward_to(self, by_input: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add the same to a gradient."""
        self.add_product(by_input, gradient, self.weight)

    def write(self, x: torch.Tensor, gradient: torch.Tensor) -> None:
        """Write the gradients by the weights, from what came in and the gradient by what went out."""
        if self.turned is None:
            self.product(gradient.mT, x, out=self.weight_gradient)
        else:
            self.weight_gradient.copy_(self.product(x.mT, gradient, out=self.turned).mT)
        if self.bias_gradient is not None:
            torch.sum(gradient, -2, out=self.bias_gradient)


class _Chain:
    """An encoder or a decoder of all members: layers with an activation between them."""

    def __init__(self, layers: list[_Layer], activation: str) -> None:
        self.layers = layers
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor, room: list[torch.Tensor] | None) -> tuple[_Trace, torch.Tensor]:
        """Map what comes in to what goes out, which nothing else holds."""
        *hidden, last = zip(self.layers, room or [None] * len(self.layers), strict=True)
        inputs, kept = [x], []
        for layer, place in hidden:
            before = layer.forward(x, place)
            x = self.activation.apply(before)
            inputs.append(x)
            kept.append(before if self.activation.from_input else x)
        layer, place = last
        return _Trace(inputs, kept), layer.forward(x, place)

    def backward(self, trace: _Trace, gradient: torch.Tensor, room: list[torch.Tensor]) -> torch.Tensor:
        """Write all gradients, from that by what went out; return that by what the first layer puts out."""
        for index in range(len(self.layers) - 1, 0, -1):
            layer = self.layers[index]
            layer.write(trace.inputs[index], gradient)
            gradient = layer.backward(gradient, room[index])
            self.activation.backward(gradient, trace.kept[index - 1], grad_input=gradient)
        self.layers[0].write(trace.inputs[0], gradient)
        return gradient

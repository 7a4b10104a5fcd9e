"""The gradient of the squared error by the weights of plain fully connected networks, written by hand.

On small batches, autograd and `torch.func.vmap` take as long as the arithmetic. Here a step is its matrix
products and one pass over the numbers for each activation, with little Python between them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch

from skae.networks.activations import ACTIVATIONS
from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Errors, Objective

Tensors = Mapping[str, torch.Tensor]

_MOST_ROOMS = 4
# Numbers of single precision that one instruction of a processor takes. Where rows of a product are short and
# no multiple of that, it takes up to six times as long as its transpose: that is what is computed then, of
# the gradients by weights always, and from so many multiply-adds of a member on of what goes forward or back.
_LANES = 16
_FORWARD_FROM, _BACKWARD_FROM = 2**17, 2**13


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
        output = self._pass(self._members(inputs), _now, is_step=False).output
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
        room = self._room(inputs)
        room.inputs.copy_(inputs)
        for call in room.forward:
            call()
        passed, target = room.passed, self._members(target)
        residual = passed.output.sub_(target)
        losses, terms = _loss(residual, weight), {}
        terms["reconstruction"] = losses.reshape(-1)
        if self.nonlinearity is not None and passed.bent is not None:
            code = passed.decoded.inputs[0]
            terms["nonlinearity"] = _nonlinearity(passed.bent, code, weight, self.nonlinearity)
        if self.straightness is not None and passed.straight is not None:
            alone = _loss(passed.straight.sub_(target), weight)
            found = self.straightness * losses.reshape(self.straightness.shape)
            terms["straightness"] = found.reshape(-1)
            scale = found / alone.reshape(found.shape).clamp_min_(torch.finfo(found.dtype).tiny)
            torch.addcmul(residual, passed.straight, scale, out=passed.straight)
        for call in room.backward:
            call()
        return terms

    def _members(self, tensor: torch.Tensor) -> torch.Tensor:
        # Two axes take one or two microseconds less than three, an operation: a tenth of a small step.
        return tensor[0] if self.is_alone else tensor

    def _pass(self, inputs: torch.Tensor, call: "_Call", is_step: bool) -> "_Pass":
        """Go forward; in a step, what penalties are about is kept apart."""
        encoded, code = self.encoder.forward(inputs, call)
        bent = None
        if is_step and self.nonlinearity is not None:
            bent = torch.empty_like(code)
            call(bent.copy_, code)
        if self.path_in is not None:
            self.path_in.add_to(code, inputs, call)
        decoded, output = self.decoder.forward(code, call)
        straight = None
        if self.path_out is not None:
            if is_step and self.straightness is not None:
                straight = self.path_out.forward(code, call)
                call(output.add_, straight)
            else:
                self.path_out.add_to(output, code, call)
        return _Pass(encoded, decoded, output, bent, straight)

    def _backward(self, passed: "_Pass", call: "_Call") -> None:
        """Write the gradients, from those by what the decoder, its linear half and the encoder put out."""
        gradient = passed.output
        by_path = gradient if passed.straight is None else passed.straight
        by_code = self.decoder.backward(passed.decoded, gradient, call)
        by_code = self.decoder.layers[0].backward(by_code, call)
        if self.path_out is not None:
            self.path_out.write(passed.decoded.inputs[0], by_path, call)
            self.path_out.add_backward_to(by_code, by_path, call)
        if self.path_in is not None:
            self.path_in.write(passed.encoded.inputs[0], by_code, call)
        if passed.bent is not None:
            call(by_code.add_, passed.bent)
        self.encoder.backward(passed.encoded, by_code, call)
        if self.table is not None:
            call(torch.cat, self.columns, 1, out=self.table)

    def _room(self, inputs: torch.Tensor) -> "_Room":
        """Return what steps of as many rows are computed in; the last few are kept."""
        n_rows = inputs.shape[-2]
        if n_rows not in self.rooms:
            # Batches of an epoch differ by one row, and those of members whose rows do by another.
            self.rooms = dict([*self.rooms.items()][-(_MOST_ROOMS - 1) :])
            room, forward, backward = torch.empty_like(inputs), _Calls(), _Calls()
            passed = self._pass(room, forward.add, is_step=True)
            self._backward(passed, backward.add)
            self.rooms[n_rows] = _Room(room, passed, forward.calls, backward.calls)
        # Last of all: what has not come for longest is forgotten.
        found = self.rooms[n_rows] = self.rooms.pop(n_rows)
        return found


def _loss(residual: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the losses; their gradient by the output takes the place of the residual."""
    n_rows, n_features = residual.shape[-2:]
    if weight is None:
        n_cells = n_rows * n_features
        losses = torch.linalg.vector_norm(residual, dim=(-2, -1)).square_().div_(n_cells)
        residual.mul_(2 / n_cells)
        return losses
    total = weight.sum((-2, -1), keepdim=True).mul_(n_features / weight.shape[-1])
    # The mean over nothing is zero, as in `weighted_mean`.
    weighted = residual * (weight / total.clamp_min_(torch.finfo(total.dtype).tiny))
    losses = residual.mul_(weighted).sum((-2, -1))
    torch.mul(weighted, 2, out=residual)
    return losses


def _nonlinearity(
    bent: torch.Tensor, code: torch.Tensor, weight: torch.Tensor | None, coefficient: torch.Tensor
) -> torch.Tensor:
    """Return the weighted shares of codes that are not linear; the gradient takes the place of that part."""
    weighted, squares = bent, code.square()
    if weight is not None:
        rows = weight.mean(-1, keepdim=True)
        weighted, squares = bent * rows, squares * rows
    scale = coefficient / squares.sum((-2, -1), keepdim=True).clamp_min_(torch.finfo(code.dtype).tiny)
    shares = ((weighted * bent).sum((-2, -1), keepdim=True) * scale).reshape(-1)
    torch.mul(weighted, 2 * scale, out=bent)
    return shares


# What is done with a function and its arguments, a place for the result among them.
_Call = Callable[..., object]


def _now(function: _Call, *arguments: object, **named: object) -> None:
    """Call a function."""
    function(*arguments, **named)


class _Calls:
    """Calls of torch that a step consists of, with their arguments, which are at the same place in each step.

    The way to them took a third of a step of 64 rows of 17-64-32-3; and two threads that both are on it wait
    for each other.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def add(self, function: _Call, *arguments: object, **named: object) -> None:
        """Add a call."""
        self.calls.append(partial(function, *arguments, **named))


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
    """Tensors that a step is computed in, and its operations.

    Fresh ones cost nothing as long as the allocator keeps the memory. It gives that of large ones back to the
    system, and asks for it again: 8,192 rows of 17 columns and 128-64 units took twice the time of a step.
    """

    inputs: torch.Tensor  # what the encoder sees
    passed: _Pass
    forward: Sequence[Callable[[], object]]
    # Once the gradients by what came out have taken its place.
    backward: Sequence[Callable[[], object]]


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
        is_turned = n_in < n_out and n_in % _LANES > 0
        self.turned = weight.new_empty(*members, n_in, n_out) if is_turned else None
        self.product = torch.mm if self.is_alone else torch.bmm
        self.affine = torch.addmm if self.is_alone else torch.baddbmm
        self.add_product = torch.Tensor.addmm_ if self.is_alone else torch.Tensor.baddbmm_

    def forward(self, x: torch.Tensor, call: _Call) -> torch.Tensor:
        """Map what comes in, (..., n_rows, n_in), to what goes out, (..., n_rows, n_out)."""
        n_out, n_in = self.weight.shape[-2:]
        room = x.new_empty(*x.shape[:-1], n_out)
        if self.bias is None:
            call(self.product, x, self.transposed, out=room)
        elif n_out < 2 * _LANES and n_out % _LANES and x.shape[-2] * n_in * n_out >= _FORWARD_FROM:
            call(torch.add, self._turned(self.weight, x, call), self.bias, out=room)
        else:
            call(self.affine, self.bias, x, self.transposed, out=room)
        return room

    def add_to(self, output: torch.Tensor, x: torch.Tensor, call: _Call) -> None:
        """Add what the layer makes of `x` to the output of another one."""
        call(self.add_product, output, x, self.transposed)
        if self.bias is not None:
            call(output.add_, self.bias)

    def backward(self, gradient: torch.Tensor, call: _Call) -> torch.Tensor:
        """Return the gradient by what came in, from that by what went out."""
        room = gradient.new_empty(*gradient.shape[:-1], self.weight.shape[-1])
        if self._turns_back(gradient):
            call(room.copy_, self._turned_back(gradient, call))
        else:
            call(self.product, gradient, self.weight, out=room)
        return room

    def add_backward_to(self, by_input: torch.Tensor, gradient: torch.Tensor, call: _Call) -> None:
        """Add the same to a gradient."""
        if self._turns_back(gradient):
            call(by_input.add_, self._turned_back(gradient, call))
        else:
            call(self.add_product, by_input, gradient, self.weight)

    def _turns_back(self, gradient: torch.Tensor) -> bool:
        n_out, n_in = self.weight.shape[-2:]
        return n_in < _LANES and gradient.shape[-2] * n_in * n_out >= _BACKWARD_FROM

    def _turned_back(self, gradient: torch.Tensor, call: _Call) -> torch.Tensor:
        """Return where the gradient by what came in will be, computed transposed."""
        flat = torch.empty_like(self.transposed, memory_format=torch.contiguous_format)
        call(flat.copy_, self.transposed)
        return self._turned(flat, gradient, call)

    def _turned(self, weight: torch.Tensor, x: torch.Tensor, call: _Call) -> torch.Tensor:
        """Return where products of rows and weights (..., k, n) will be, (..., n_rows, k)."""
        turned = x.new_empty(*weight.shape[:-1], x.shape[-2])
        call(self.product, weight, x.mT, out=turned)
        return turned.mT

    def write(self, x: torch.Tensor, gradient: torch.Tensor, call: _Call) -> None:
        """Write the gradients by the weights, from what came in and the gradient by what went out."""
        if self.turned is None:
            call(self.product, gradient.mT, x, out=self.weight_gradient)
        else:
            call(self.product, x.mT, gradient, out=self.turned)
            call(self.weight_gradient.copy_, self.turned.mT)
        if self.bias_gradient is not None:
            call(torch.sum, gradient, -2, out=self.bias_gradient)


class _Chain:
    """An encoder or a decoder of all members: layers with an activation between them."""

    def __init__(self, layers: list[_Layer], activation: str) -> None:
        self.layers = layers
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor, call: _Call) -> tuple[_Trace, torch.Tensor]:
        """Map what comes in to what goes out, which nothing else holds."""
        *hidden, last = self.layers
        inputs, kept = [x], []
        for layer in hidden:
            before = layer.forward(x, call)
            kept.append(before)
            if self.activation.from_input:
                x = torch.empty_like(before)
                call(self.activation.apply, before, out=x)
            else:
                x = before
                call(self.activation.apply, x)
            inputs.append(x)
        return _Trace(inputs, kept), last.forward(x, call)

    def backward(self, trace: _Trace, gradient: torch.Tensor, call: _Call) -> torch.Tensor:
        """Write all gradients, from that by what went out; return that by what the first layer puts out."""
        for index in range(len(self.layers) - 1, 0, -1):
            layer = self.layers[index]
            layer.write(trace.inputs[index], gradient, call)
            gradient = layer.backward(gradient, call)
            call(self.activation.backward, gradient, trace.kept[index - 1], grad_input=gradient)
        self.layers[0].write(trace.inputs[0], gradient, call)
        return gradient

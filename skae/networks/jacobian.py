"""How strongly codes move with rows: the squared Frobenius norm of the encoder's Jacobian."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import nn

from skae.networks.activations import ACTIVATIONS, Activation
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck, Logistic

# Bottlenecks that act on each code alone, and their derivatives.
_SLOPES: dict[type[Bottleneck], Callable[[torch.Tensor], torch.Tensor]] = {
    Bottleneck: ACTIVATIONS["identity"].slope,
    Logistic: ACTIVATIONS["logistic"].slope,
}


def squared_norms(network: Autoencoder, x: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
    """Return the squared Frobenius norm of the Jacobian of codes, for each row.

    At the price of one backward pass a component, unless the encoder has linear layers and one hidden layer
    at most (Rifai et al. 2011 for none).

    Parameters
    ----------
    network : Autoencoder
        Each row's code must depend on that row alone.
    x : tensor of shape (n_rows, n_features)
        Rows, centred, scaled and filled: the derivative is by the cells of filled rows.
    there : tensor of shape (n_rows, n_features), optional
        Which cells were there, where any were filled; both are from `Autoencoder.filled`.

    Returns
    -------
    norms : tensor of shape (n_rows,)
        Differentiable by the parameters, unless gradients are switched off.
    """
    plain = _Plain.of(network)
    if plain is not None:
        return plain.squared_norms(x, there)
    with _Differentiable(x) as copy:
        # Rows do not see each other: the sum over rows has the gradient of each. torch.func.jacrev would do
        # the same; its first use imports torch's compiler, which takes longer (2 s) than many a fit.
        norms = torch.zeros_like(copy.rows[:, 0])
        codes = network.bottleneck.read(network.pre_code_of(copy.rows, there))
        for total in codes.sum(0)[: network.n_kept]:
            (gradient,) = torch.autograd.grad(
                total, copy.rows, create_graph=copy.is_learning, retain_graph=True
            )
            norms = norms + gradient.square().sum(1)
        return copy.result(norms)


def projected_squared_norms(
    network: Autoencoder, x: torch.Tensor, there: torch.Tensor | None, signs: torch.Tensor
) -> torch.Tensor:
    """Estimate `squared_norms` from one backward pass, without bias over random signs (Hutchinson 1990).

    Parameters
    ----------
    network : Autoencoder
    x, there : tensor of shape (n_rows, n_features)
        As for `squared_norms`.
    signs : tensor of shape (n_rows, n_components)
        Minus one or one, independent of each other.

    Returns
    -------
    norms : tensor of shape (n_rows,)
    """
    plain = _Plain.of(network)
    if plain is not None:
        return plain.projected(x, there, signs).square().sum(1)
    with _Differentiable(x) as copy:
        total = (network.bottleneck.read(network.pre_code_of(copy.rows, there)) * signs).sum()
        (gradient,) = torch.autograd.grad(total, copy.rows, create_graph=copy.is_learning)
        return copy.result(gradient.square().sum(1))


class _Differentiable:
    """Rows that can be differentiated by, even where gradients are off around."""

    def __init__(self, x: torch.Tensor) -> None:
        self.is_learning = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        self.x = x
        self.contexts = (torch.inference_mode(False), torch.enable_grad())

    def __enter__(self) -> "_Differentiable":
        for context in self.contexts:
            context.__enter__()
        self.rows = self.x.detach().clone().requires_grad_()
        return self

    def __exit__(self, *exception: object) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*exception)

    def result(self, values: torch.Tensor) -> torch.Tensor:
        return values if self.is_learning else values.detach()


class _Plain(NamedTuple):
    """The derivative of codes by rows, written out for linear layers with activations between them.

    Without a call of autograd, which torch's vectorised map would refuse.
    """

    network: Autoencoder
    linear: list[nn.Linear]
    activation: Activation

    @classmethod
    def of(cls, network: Autoencoder) -> "_Plain | None":
        """Return that of a network; None where there is anything else."""
        layers = network.encoder.plain_layers()
        if layers is None or type(network.bottleneck) not in _SLOPES:
            return None
        return cls(network, layers.linear, ACTIVATIONS[layers.activation])

    def slopes(self, x: torch.Tensor, there: torch.Tensor | None) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the derivative of each hidden layer's activation, and what enters the bottleneck."""
        *hidden, last = self.linear
        passed, slopes, function = self.network.seen(x, there), [], self.activation.module()
        for layer in hidden:
            before = layer(passed)
            slopes.append(self.activation.slope(before))
            passed = function(before)
        pre = last(passed)
        path = self.network.linear_encoder
        return slopes, pre if path is None else pre + path(x)

    def projected(self, x: torch.Tensor, there: torch.Tensor | None, by_code: torch.Tensor) -> torch.Tensor:
        """Return the gradient by rows (n, n_features), from that by codes (n, n_components)."""
        slopes, pre = self.slopes(x, there)
        return self.backward(slopes, by_code * _SLOPES[type(self.network.bottleneck)](pre), x.shape[1])

    def backward(self, slopes: list[torch.Tensor], by_pre: torch.Tensor, n_features: int) -> torch.Tensor:
        """Return the gradient by rows (n, n_features), from that by what enters the bottleneck."""
        gradient = by_pre
        for slope, layer in zip(reversed(slopes), reversed(self.linear[1:]), strict=True):
            gradient = (gradient @ layer.weight) * slope
        # Flags that tell which cells are there are no part of the row.
        gradient = gradient @ self.linear[0].weight[:, :n_features]
        path = self.network.linear_encoder
        return gradient if path is None else gradient + by_pre @ _weight(path)

    def squared_norms(self, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """Return the squared norm of the whole derivative, for each row."""
        n_kept, n_features = self.network.n_kept, x.shape[1]
        slopes, pre = self.slopes(x, there)
        outer = _SLOPES[type(self.network.bottleneck)](pre)[:, :n_kept].square()
        if not slopes:
            # sum_j b'_j^2 |w_j|^2, with b' the slope of the bottleneck.
            weight = self.linear[0].weight[:, :n_features]
            path = self.network.linear_encoder
            weight = weight if path is None else weight + _weight(path)
            return (outer * weight.square().sum(1)[:n_kept]).sum(1)
        if len(slopes) == 1 and type(self.network.bottleneck) is Bottleneck:
            return self.of_two_layers(slopes[0], n_features)
        norms = torch.zeros_like(x[:, 0])
        for component, one in enumerate(torch.eye(pre.shape[1]).to(pre)[:n_kept]):
            gradient = self.backward(slopes, one.expand_as(pre), n_features)
            norms = norms + outer[:, component] * gradient.square().sum(1)
        return norms

    def of_two_layers(self, slope: torch.Tensor, n_features: int) -> torch.Tensor:
        """Return ``|A + V diag(s') W|^2`` without the product: it is quadratic in s', the slopes of a row."""
        first, last = self.linear
        reads = first.weight[:, :n_features]
        writes = last.weight[: self.network.n_kept]
        quadratic = (writes.T @ writes) * (reads @ reads.T)
        norms = ((slope @ quadratic) * slope).sum(1)
        if self.network.linear_encoder is None:
            return norms
        linear = _weight(self.network.linear_encoder)[: self.network.n_kept]
        crossed = ((writes.T @ linear) * reads).sum(1)
        return linear.square().sum() + 2 * slope @ crossed + norms


def _weight(layer: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, layer.weight)

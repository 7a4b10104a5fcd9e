"""How strongly codes move with rows: the squared Frobenius norm of the encoder's Jacobian."""

from typing import Any, cast

import torch
from torch import nn

from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck, Logistic
from skae.networks.dense import Layers

# Bottlenecks that act on each code alone, so that their derivative is one number a code.
_BY_CODE = (Bottleneck, Logistic)


def squared_norms(network: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """Return the squared Frobenius norm of the Jacobian of codes, for each row.

    In closed form where the encoder has at most one hidden layer of known kind (Rifai et al. 2011 for none),
    otherwise at the price of one backward pass a component.

    Parameters
    ----------
    network : Autoencoder
        Each row's code must depend on that row alone.
    x : tensor of shape (n_rows, n_features)
        Rows, centred and scaled. Where there are gaps, rows are filled first, and the derivative is by
        the cells of filled rows.

    Returns
    -------
    norms : tensor of shape (n_rows,)
        Differentiable by the parameters, unless gradients are switched off.
    """
    x, there = network.filled(x)
    layers = _plain_layers(network)
    if layers is not None and len(layers) == 1:
        return _of_one_layer(network, layers[0], x, there)
    if layers is not None and len(layers) == 3 and type(network.bottleneck) is Bottleneck:
        return _of_two_layers(network, layers, network.seen(x, there))
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


def projected_squared_norms(network: Autoencoder, x: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """Estimate `squared_norms` from one backward pass, without bias over random signs (Hutchinson 1990).

    Parameters
    ----------
    network : Autoencoder
    x : tensor of shape (n_rows, n_features)
        Rows, centred and scaled.
    signs : tensor of shape (n_rows, n_components)
        Minus one or one, independent of each other.

    Returns
    -------
    norms : tensor of shape (n_rows,)
    """
    x, there = network.filled(x)
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


def _plain_layers(network: Autoencoder) -> list[nn.Module] | None:
    """List linear layers and activations in turn, or None where there is anything else."""
    if type(network.encoder) is not Layers or type(network.bottleneck) not in _BY_CODE:
        return None
    layers = list(network.encoder)
    linear = layers[::2]
    between = layers[1::2]
    known = all(type(layer) is nn.Linear for layer in linear) and not any(
        isinstance(layer, (nn.Linear, nn.BatchNorm1d)) or list(layer.children()) for layer in between
    )
    return layers if known and len(linear) == len(between) + 1 else None


def _slope(function: Any, at: torch.Tensor) -> torch.Tensor:
    """Return the derivative of a function of each number alone."""
    is_learning = at.requires_grad
    with torch.inference_mode(False), torch.enable_grad():
        if not is_learning:
            at = at.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(at).sum(), at, create_graph=is_learning)
    return slope


def _weight(layer: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, layer.weight)


def _linear_weight(network: Autoencoder) -> torch.Tensor | float:
    return 0.0 if network.linear_encoder is None else _weight(network.linear_encoder)


def _of_one_layer(
    network: Autoencoder, layer: nn.Module, x: torch.Tensor, there: torch.Tensor | None
) -> torch.Tensor:
    """Return ``sum_j b'_j^2 |w_j|^2``, with b' the slope of the bottleneck."""
    weight = _weight(layer)[:, : x.shape[1]] + _linear_weight(network)
    slope = _slope(network.bottleneck.read, network.pre_code_of(x, there))
    return (slope.square() * weight.square().sum(1))[:, : network.n_kept].sum(1)


def _of_two_layers(network: Autoencoder, layers: list[nn.Module], seen: torch.Tensor) -> torch.Tensor:
    """Return ``|A + V diag(s') W|^2`` without the product: it is quadratic in s', the slopes of a row."""
    first, activation, last = (cast(Any, layer) for layer in layers)
    slope = _slope(activation, first(seen))
    # Without what tells which cells are there, which is no part of the row.
    n_flags = seen.shape[1] // 2 if network.gaps is not None and network.gaps.flags else 0
    reads = first.weight[:, : seen.shape[1] - n_flags]
    writes = last.weight[: network.n_kept]
    quadratic = (writes.T @ writes) * (reads @ reads.T)
    norms = ((slope @ quadratic) * slope).sum(1)
    if network.linear_encoder is None:
        return norms
    linear = _weight(network.linear_encoder)[: network.n_kept]
    crossed = ((writes.T @ linear) * reads).sum(1)
    return linear.square().sum() + 2 * slope @ crossed + norms

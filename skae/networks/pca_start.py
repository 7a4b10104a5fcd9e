"""Starts beyond PCA: turned at random, probabilistic, or with the decoder that is best for another loss.

All go on from `Autoencoder.start_at`, after which the network *is* PCA.
"""

from typing import Any, cast

import numpy as np
import scipy.fft
import scipy.optimize
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skae.networks.autoencoder import Autoencoder
from skae.networks.dense import Transposed
from skae.networks.principal_axes import PrincipalAxes

# Up to this size, a rotation at random is drawn whole; its cost is cubic.
_DENSE_SIZE = 512
_CHUNK_COLUMNS = 1024
# Rows that the affine start of losses other than the squared error is fitted on.
_START_ROWS = 10_000
# Added to the sum of losses for each squared weight.
_RIDGE = 1e-2


@torch.no_grad()
def rotate_linear_path(network: Autoencoder, found: PrincipalAxes) -> None:
    """Turn the components that a linear path reads at random, so that each has as much variance.

    Their signs then differ between two rows as often as the rows differ in direction: among 60,000
    images of MNIST, 100 neighbours by 64 signs were of the same digit for 0.79 of them, and for 0.70 without
    the rotation, where the last component counts as much as the first.

    Parameters
    ----------
    network : Autoencoder
        A network whose linear path was set to PCA; the encoder's half changes in place.
    found : PrincipalAxes
        From `principal_axes`.
    """
    into = network.linear_encoder
    if not isinstance(into, nn.Linear) or not len(found.axes):
        return
    size = into.out_features
    rank = min(len(found.axes), size)
    # Codes of variance one on average, as whitened ones have.
    spread = (found.deviations[:rank].square().sum() / size).sqrt()
    # The same rotation for every fit: none is better than another.
    generator = torch.Generator().manual_seed(0)
    if size <= _DENSE_SIZE:
        draws = torch.randn(size, size, generator=generator, dtype=torch.float64)
        turned = torch.linalg.qr(draws).Q[:, :rank].to(found.axes.device) @ found.axes[:rank]
        into.weight.copy_((turned / spread).to(into.weight))
        return
    signs = torch.randint(2, (2, size, 1), generator=generator).double() * 2 - 1
    for columns in torch.arange(into.in_features).split(_CHUNK_COLUMNS):
        padded = torch.zeros(size, len(columns), dtype=torch.float64)
        padded[:rank] = found.axes[:rank, columns].cpu()
        turned = _mixed(signs[1] * _mixed(signs[0] * padded))
        into.weight[:, columns] = (turned / spread.cpu()).to(into.weight)


def _mixed(rows: torch.Tensor) -> torch.Tensor:
    """Return an orthogonal transform of columns after which each row is a mixture of all rows.

    Between changes of sign at random it mixes as a rotation at random does, and makes no table of all pairs
    (Ailon and Chazelle 2009).
    """
    return torch.from_numpy(scipy.fft.dct(rows.numpy(), axis=0, norm="ortho"))


@torch.no_grad()
def set_probabilistic_path(network: Autoencoder, found: PrincipalAxes, noise: float) -> None:
    """Make the linear path probabilistic PCA (Tipping and Bishop 1999), for a Gaussian bottleneck.

    Component i decodes along its axis with the length ``sqrt(variance_i - noise)``; its code is what is
    best for this decoder: mean ``length / variance_i`` times the projection, variance ``noise / variance_i``.

    Parameters
    ----------
    network : Autoencoder
        A network whose linear path was set to PCA; its bottleneck has an `offset` of log-variances.
    found : PrincipalAxes
        From `principal_axes`.
    noise : float
        Variance of each column about the axes, in squared units of the rows, above 0.
    """
    into, out_of = network.linear_encoder, network.linear_decoder
    if not isinstance(into, nn.Linear) or not isinstance(out_of, nn.Linear):
        return
    n_components = out_of.in_features
    rank = min(len(found.deviations), n_components)
    axes, variances = found.axes[:rank], found.deviations[:rank].square()
    # A hundredth at least: where noise is larger, the best linear code is none at all, and a component
    # that neither reads nor writes would learn nothing else.
    squared = torch.maximum(variances - noise, 0.01 * variances)
    into.weight[:rank] = (axes * (squared.sqrt() / (squared + noise))[:, None]).to(into.weight)
    into.weight[rank:n_components] *= 0.01
    into.weight[n_components:] = 0.0
    out_of.weight[:, :rank] = (axes * squared.sqrt()[:, None]).T.to(into.weight)
    cast(Any, network.bottleneck).offset[:rank] = (noise / (squared + noise)).log().to(into.weight)


def fit_affine_decoder(
    network: Autoencoder,
    rows: torch.Tensor,
    reconstruction: Any,
    seen: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    n_steps: int = 20,
) -> None:
    """Fit the decoder's half of the linear path to a loss, the codes being those of PCA.

    Where the loss is not the squared error of a linear output, or codes are not those of PCA, PCA is not the
    best affine start. This one is the affine decoder nearest in that loss: a generalised linear
    model of each column on the codes, found by a few steps of L-BFGS; for the squared error, by equations.

    Parameters
    ----------
    network : Autoencoder
        A network whose linear path was set to PCA; its decoder's half changes in place.
    rows : tensor of shape (n_rows, n_features)
        Centred and scaled rows; the first 10,000 are fitted.
    reconstruction : Reconstruction
        Has `target`, of rows, `cells`, the loss of outputs and targets, and `is_squared_error`.
    seen : tensor of shape (n_rows, n_features), optional
        What the encoder sees of the rows; themselves by default.
    weight : tensor of shape (n_rows, 1), optional
        Weights of rows.
    n_steps : int, default=20
        Steps of L-BFGS.
    """
    rows, seen = rows[:_START_ROWS], (rows if seen is None else seen)[:_START_ROWS]
    target = reconstruction.target(rows)
    there = ~target.isnan()
    counted = None
    if weight is not None or not there.all():
        counted = there.to(target) * (1.0 if weight is None else weight[:_START_ROWS])
    target = target.nan_to_num()
    n_cells = rows.numel() if counted is None else float(counted.sum())
    decoder = network.linear_decoder
    if decoder is None:
        return
    parameters = [decoder.bias] if isinstance(decoder, Transposed) else list(decoder.parameters())
    with torch.no_grad():
        codes = network.encode(seen)
    start = parameters_to_vector(parameters).detach().clone()
    if reconstruction.is_squared_error and there.all() and len(parameters) == 2:
        _solve(decoder, codes, target, None if weight is None else weight[:_START_ROWS])
        return

    def evaluate(values: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.tensor(values).to(start), parameters)
        with torch.enable_grad():
            # The ridge keeps the weights of columns finite that are constant or perfectly told.
            ridge = torch.stack([parameter.square().sum() for parameter in parameters]).sum() / n_cells
            cells = reconstruction.cells(decoder(codes), target)
            mean = cells.mean() if counted is None else (cells * counted).sum() / counted.sum()
            value = mean + _RIDGE * ridge
            gradients = torch.autograd.grad(value, parameters)
        return float(value.detach()), parameters_to_vector(gradients).double().cpu().numpy()

    # The first optimiser of torch's in a process imports its compiler, which takes a second or two.
    options = {"maxiter": n_steps}
    first = start.double().cpu().numpy()
    found = scipy.optimize.minimize(evaluate, first, jac=True, method="L-BFGS-B", options=options).x
    with torch.no_grad():
        values = torch.tensor(found).to(start)
        vector_to_parameters(values if bool(values.isfinite().all()) else start, parameters)


@torch.no_grad()
def _solve(
    decoder: nn.Module, codes: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> None:
    """Set a linear layer to the ridge regression of a target (n, n_features) on codes (n, n_components)."""
    # On the CPU: not every device has float64.
    inputs = torch.cat([codes, torch.ones_like(codes[:, :1])], 1).cpu().double()
    weighted = inputs if weight is None else inputs * weight.cpu().double()
    squares = weighted.T @ inputs
    squares.diagonal().add_(_RIDGE)
    found = torch.linalg.solve(squares, weighted.T @ target.cpu().double()).T
    for name, values in (("weight", found[:, :-1]), ("bias", found[:, -1])):
        parameter = decoder.get_parameter(name)
        parameter.copy_(values.to(parameter))

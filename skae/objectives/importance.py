"""The importance-weighted bound on the likelihood of rows (Burda, Grosse and Salakhutdinov 2016)."""

import math
from typing import Any

import torch

from skae.objectives.batch import Batch, Network, Pass, n_cells, pre_code
from skae.objectives.objective import Objective, weighted_mean
from skae.objectives.penalties.revival import Watched
from skae.objectives.reconstruction import Reconstruction

_LOG_TWO_PI = math.log(2 * math.pi)


def log_weights(
    network: Network,
    reconstruction: Reconstruction,
    pre: torch.Tensor,
    target: torch.Tensor,
    noise: torch.Tensor,
) -> torch.Tensor:
    """Return ``log p(x, z) - log q(z | x)`` of codes drawn for each row, in nats of the target's units.

    Parameters
    ----------
    network : Autoencoder
        With a Gaussian bottleneck.
    reconstruction : Likelihood
    pre : tensor of shape (n_rows, 2 * n_components)
        What the encoder put out.
    target : tensor of shape (n_rows, n_features)
        Cells that are NaN count as not observed.
    noise : tensor of shape (n_draws * n_rows, n_components)
        From the bottleneck's `draw`.

    Returns
    -------
    weights : tensor of shape (n_draws, n_rows)
    """
    code = network.bottleneck(pre, noise)
    _, log_variance = network.bottleneck.posterior(pre)
    times = len(noise) // len(pre)
    log_likelihood = -log_losses(reconstruction, network.decode(code), target.repeat(times, 1))
    # The constants of both normal densities cancel.
    log_prior = -0.5 * code.square().sum(1)
    log_posterior = -0.5 * (noise.square() + log_variance.repeat(times, 1)).sum(1)
    return (log_likelihood + log_prior - log_posterior).reshape(times, len(pre))


def log_losses(reconstruction: Reconstruction, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Sum the negative log-likelihood over the cells of each row that are there, (n,)."""
    there = ~target.isnan()
    return (reconstruction.cells(output, target.nan_to_num()) * there).sum(1)


def log_mean_exp(values: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the mean of exponentials over the first axis."""
    return values.logsumexp(0) - math.log(len(values))


def evidence_bound(
    network: Network, reconstruction: Reconstruction, rows: torch.Tensor, draws: torch.Tensor
) -> torch.Tensor:
    """Return the evidence lower bound of each row, (n_rows,), in nats of the target's units.

    Parameters
    ----------
    network : Autoencoder
        With a Gaussian bottleneck.
    reconstruction : Likelihood
        Likelihood of cells given the code.
    rows : tensor of shape (n_rows, n_features)
        Cells that are NaN count as not observed.
    draws : tensor of shape (n_draws, n_components)
        Standard normal, the same for all rows; the expectation is the mean over them.

    Returns
    -------
    bound : tensor of shape (n_rows,)
    """
    pre, target = network.pre_code(rows), reconstruction.target(rows)
    divergence = network.bottleneck.posterior(pre).divergence().sum(1)
    total = torch.zeros_like(divergence)
    for draw in draws:
        code = network.bottleneck(pre, draw.to(pre).expand(len(pre), -1))
        total = total - log_losses(reconstruction, network.decode(code), target)
    return total / len(draws) - divergence


def weighted_bound(
    network: Network, reconstruction: Reconstruction, rows: torch.Tensor, draws: torch.Tensor
) -> torch.Tensor:
    """Return the importance-weighted bound of each row, (n_rows,); takes what `evidence_bound` does."""
    pre, target = network.pre_code(rows), reconstruction.target(rows)
    weights = [
        log_weights(network, reconstruction, pre, target, draw.to(pre).expand(len(pre), -1)) for draw in draws
    ]
    return log_mean_exp(torch.cat(weights))


def codes_given(
    network: Network,
    reconstruction: Reconstruction,
    rows: torch.Tensor,
    noise: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Choose a code for each row, given its observed cells, by its weight (sampling importance resampling).

    Parameters
    ----------
    network : Autoencoder
        With a Gaussian bottleneck.
    reconstruction : Likelihood
        Likelihood of cells given the code.
    rows : tensor of shape (n_rows, n_features)
        Cells that are NaN are not observed.
    noise : tensor of shape (n_candidates * n_rows, n_components)
        Standard normal: each candidate of all rows, one after the other.
    generator : torch.Generator
        Source of the choice, on the CPU.

    Returns
    -------
    codes : tensor of shape (n_rows, n_components)
    """
    pre, target = network.pre_code(rows), reconstruction.target(rows)
    noise = noise.to(pre)
    # Rows so far out that no candidate has a likelihood take any of them.
    lowest = torch.finfo(pre.dtype).min
    logs = log_weights(network, reconstruction, pre, target, noise)
    weights = logs.nan_to_num(nan=lowest, neginf=lowest).softmax(0)
    chosen = torch.multinomial(weights.T, 1, generator=generator)[:, 0]
    drawn = network.bottleneck(pre, noise).reshape(len(weights), len(pre), -1)
    return drawn[chosen, torch.arange(len(pre), device=pre.device)]


class ImportanceWeighted(Objective):
    """Minus the importance-weighted bound, a cell; takes the place of reconstruction and divergence."""

    averages_cells = False

    def watched(self, network: Network, batch: Batch) -> tuple[dict[str, torch.Tensor], Watched]:
        """Return the named terms of a training pass; nothing is noted of it."""
        pre = pre_code(network, batch)
        # Gaps are filled in the target, and still there in what the encoder sees.
        target = self.reconstruction.target(batch.inputs) if self.has_gaps else batch.target
        loss = self._bound(network, pre, batch._replace(target=target), batch.draws["code"])
        code = network.bottleneck.read(pre)
        passed = Pass(network, batch, pre, code, network.decode(code)) if self.penalties else None
        terms = {} if passed is None else self._penalised(passed)
        return {"reconstruction": weighted_mean(loss, batch.weight), **terms}, ()

    def _bound(self, network: Network, pre: torch.Tensor, batch: Batch, noise: Any) -> torch.Tensor:
        weights = log_weights(network, self.reconstruction, pre, batch.target, noise)
        return -log_mean_exp(weights) / n_cells(batch)

    def _judged(
        self,
        network: Network,
        pre: torch.Tensor,
        output: torch.Tensor,
        target: torch.Tensor,
        emphasis: torch.Tensor | None,
    ) -> torch.Tensor:
        noise = network.bottleneck.draw(len(pre), torch.Generator(pre.device).manual_seed(0))
        return self._bound(network, pre, Batch(target, target), noise)

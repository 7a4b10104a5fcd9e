"""The last layer of a decoder by least squares, once training has found what goes into it."""

import torch

from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.training.batches import CHUNK, Rows

# Ridge towards the weights as they are, relative to the mean square of what goes into the layer. On twelve
# tables of 4,000 to 58,000 rows, 1e-5 to 1e-3 left the same errors; 1e-1 undid a third of the gain.
_DAMPING = 1e-3


def can_solve(network: Autoencoder, objective: Objective) -> bool:
    """Return whether the best last layer of a network is the solution of linear equations.

    Parameters
    ----------
    network : Autoencoder
        Has to be linear layers, activations and the linear path alone.
    objective : Objective
        Has to be the mean squared error of rows that the encoder sees as they are.

    Returns
    -------
    can : bool
    """
    return (
        objective.is_squared_error
        and objective.corruption is None
        and not objective.has_gaps
        and network.plain_layers() is not None
    )


@torch.no_grad()
def solve_last_layer(network: Autoencoder, rows: Rows) -> None:
    """Set all that is linear at the end of the decoder to what is best for rows, the codes being as they are.

    That is the last layer and the linear path from the code: they add up to the output, so that one ridge
    regression on the last hidden layer and the code has the weights of both.

    Parameters
    ----------
    network : Autoencoder
        One that `can_solve` takes, in evaluation mode; changes in place.
    rows : Rows
        Those that were trained on.
    """
    plain, path = network.plain_layers(), network.linear_decoder
    if plain is None:
        return
    layers = [dict(layer.named_parameters()) for layer in (plain[1].linear[-1], path) if layer is not None]
    weights = torch.cat(
        [part for layer in layers for part in (layer["weight"], layer["bias"][:, None])], dim=1
    )
    # On the CPU: not every device has float64.
    squares = products = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(rows.target), CHUNK):
        part = rows.take(slice(start, start + CHUNK))
        inputs = _last_inputs(network, part.seen, has_path=len(layers) > 1)
        weighted = inputs if part.weight is None else inputs * part.weight
        squares = squares + (weighted.T @ inputs).cpu().double()
        products = products + (weighted.T @ (part.target - inputs @ weights.T)).cpu().double()
    squares.diagonal().add_(_DAMPING * squares.diagonal().mean())
    change = torch.linalg.solve(squares, products).T.to(weights)
    for layer in layers:
        size = layer["weight"].shape[1]
        layer["weight"] += change[:, :size]
        layer["bias"] += change[:, size]
        change = change[:, size + 1 :]


def _last_inputs(network: Autoencoder, seen: torch.Tensor, has_path: bool) -> torch.Tensor:
    """Return what goes into the last layer and the linear path, each with a column of ones for its bias."""
    code = network.encode(seen)
    ones = torch.ones_like(code[:, :1])
    hidden = network.decoder.activations(code)
    inputs = [hidden[-1] if hidden else code, ones]
    return torch.cat([*inputs, code, ones] if has_path else inputs, dim=1)

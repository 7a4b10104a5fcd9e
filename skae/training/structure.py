"""What two models must have in common to be trained as one stack."""

import dataclasses
from collections.abc import Hashable, Mapping
from functools import partial

import torch
from torch import nn

from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.objectives.penalties.base import Penalty
from skae.objectives.penalties.revival import Revival
from skae.objectives.reconstruction import Reconstruction

# Names that every module has; what else lies beside its tensors is a setting of its own.
_EVERY_MODULE = frozenset(vars(nn.Module()))
# Tensors beside parameters and buffers are compared by their numbers up to this size, else by identity.
_FEW = 10_000
# What a pass forward does not read, or is given with each batch: members may differ in it.
_PER_MEMBER: tuple[tuple[type[nn.Module], frozenset[str]], ...] = (
    (Autoencoder, frozenset({"gaps", "row_work"})),
    (
        Objective,
        frozenset(
            {"corruption", "emphasis", "judged_sizes", "penalizes_regressions", "progress", "warms_up"}
        ),
    ),
    (Penalty, frozenset({"coefficient"})),
    (Revival, frozenset({"n_rows", "n_seen"})),
    # The target is put into its units before batches are stacked.
    (Reconstruction, frozenset({"scale"})),
)


def can_stack(network: Autoencoder, objective: Objective) -> bool:
    """Whether all parts of a model can be computed side by side with those of others.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective

    Returns
    -------
    can_stack : bool
    """
    # What is done about gaps within a network depends on the rows at hand.
    fills = network.gaps is not None and network.gaps.always
    parts = [network.encoder, network.decoder, network.bottleneck, *objective.penalties.values()]
    revives = objective.revival is not None and not objective.revival.stacks
    return not fills and not revives and all(part.stacks for part in parts)


def can_pad(network: Autoencoder, objective: Objective) -> bool:
    """Whether rows of weight zero at the end of a batch change nothing.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective

    Returns
    -------
    can_pad : bool
    """
    # Draws are made for the rows there are.
    plain = type(objective) is Objective and not objective.penalties and objective.revival is None
    return plain and not network.bottleneck.changes_codes


def structure(network: Autoencoder, objective: Objective) -> Hashable:
    """Return what is equal for models that one operation can serve: shapes, classes and settings.

    What differs between members is given to each step: rows, draws, rates and coefficients of penalties.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective

    Returns
    -------
    structure : hashable
    """
    return _of(network), _of(objective)


def _of(module: nn.Module) -> Hashable:
    per_member = frozenset[str]().union(*(names for kind, names in _PER_MEMBER if isinstance(module, kind)))
    settings = tuple(
        (name, _plain(value))
        for name, value in sorted(vars(module).items())
        if name not in _EVERY_MODULE and name not in per_member
    )
    tensors = tuple(
        (name, tuple(value.shape), value.dtype, value.device)
        for found in (module.named_parameters(recurse=False), module.named_buffers(recurse=False))
        for name, value in found
    )
    children = tuple((name, _of(child)) for name, child in module.named_children() if name not in per_member)
    return type(module), settings, tensors, children


def _plain(value: object) -> Hashable:
    """Return something that is equal for equal settings; for what is not known, its identity."""
    if isinstance(value, torch.Tensor):
        small = value.numel() <= _FEW
        return tuple(value.shape), tuple(value.flatten().tolist()) if small else id(value)
    if isinstance(value, Mapping):
        return tuple((key, _plain(part)) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_plain(part) for part in value)
    if isinstance(value, partial):
        return value.func, _plain(value.args), _plain(value.keywords)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), _plain(vars(value))
    return value if isinstance(value, (int, float, str, type(None))) else id(value)

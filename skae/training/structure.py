"""What two models must have in common to be trained as one stack."""

import dataclasses
from collections.abc import Hashable, Mapping, Set
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
# Codes up to this width are widened to that of others: their layers are a small part of most networks.
_WIDEST = 64
# What a linear layer knows of the shape of its weights.
_SIZES = ("in_features", "out_features")
# What a pass forward does not read, or is given with each batch: members may differ in it.
_PER_MEMBER: tuple[tuple[type[nn.Module], frozenset[str]], ...] = (
    (Autoencoder, frozenset({"gaps", "row_work"})),
    (
        Objective,
        frozenset(
            {
                "corruption",
                "emphasis",
                "input_noise",
                "judged_sizes",
                "penalizes_regressions",
                "progress",
                "warms_up",
            }
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
    # Gaps are filled before batches are stacked; how depends on the rows at hand.
    fills = network.gaps is not None and network.gaps.always
    reads_gaps = fills and any(penalty.reads_inputs for _, penalty in objective.named_penalties())
    parts = [network.encoder, network.decoder, network.bottleneck, *objective.penalties.values()]
    revives = objective.revival is not None and not objective.revival.stacks
    return not reads_gaps and not revives and all(part.stacks for part in parts)


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
    plain = type(objective) is Objective and objective.revival is None
    plain = plain and all(penalty.is_by_hand for _, penalty in objective.named_penalties())
    return plain and not network.bottleneck.changes_codes


def can_widen(network: Autoencoder, objective: Objective) -> bool:
    """Whether further components change nothing whose weights are all zero, and stay zero in training.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective

    Returns
    -------
    can_widen : bool
    """
    plain = type(objective) is Objective and objective.revival is None
    if not plain or not all(penalty.ignores_zeros for _, penalty in objective.named_penalties()):
        return False
    coders = network.plain_layers()
    return coders is not None and coders[0].linear[-1].out_features <= _WIDEST


def structure(network: Autoencoder, objective: Objective) -> Hashable:
    """Return what is equal for models that one operation can serve: shapes, classes and settings.

    Codes may be of several widths where one `can_widen`: a stack is as wide as the widest.

    What differs between members is given to each step: rows, draws, rates and coefficients of penalties.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective

    Returns
    -------
    structure : hashable
    """
    free = _code_axes(network) if can_widen(network, objective) else {}
    return _of(network, free), _of(objective, free)


def _code_axes(network: Autoencoder) -> dict[nn.Module, set[int]]:
    """Return the axes of the weights of a plain network that are as long as the code, by layer."""
    found: dict[nn.Module, set[int]] = {}
    coders = network.plain_layers()
    if coders is not None:
        encoder, decoder = coders
        for layer, axis in (
            (encoder.linear[-1], 0),
            (decoder.linear[0], 1),
            (network.linear_encoder, 0),
            (network.linear_decoder, 1),
        ):
            if layer is not None:
                found.setdefault(layer, set()).add(axis)
    return found


def _of(module: nn.Module, free: Mapping[nn.Module, set[int]]) -> Hashable:
    """Return the structure of a module, without the axes of some linear layers."""
    axes = free.get(module, set())
    per_member = frozenset[str]().union(*(names for kind, names in _PER_MEMBER if isinstance(module, kind)))
    settings = tuple(
        (name, _plain(value))
        for name, value in sorted(vars(module).items())
        if name not in _EVERY_MODULE and name not in per_member and not (axes and name in _SIZES)
    )
    tensors = tuple(
        (name, _shape(value, axes), value.dtype, value.device)
        for found in (module.named_parameters(recurse=False), module.named_buffers(recurse=False))
        for name, value in found
    )
    children = tuple(
        (name, _of(child, free)) for name, child in module.named_children() if name not in per_member
    )
    return type(module), settings, tensors, children


def _shape(value: torch.Tensor, free: Set[int]) -> tuple[int, ...]:
    return tuple(0 if axis in free else size for axis, size in enumerate(value.shape))


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

"""A pair of the user's own torch modules as encoder and decoder."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from skae.networks.architecture import Architecture
from skae.networks.coder import Coder


class Custom(Architecture):
    """The user's own encoder and decoder.

    The modules are deep-copied when a fit begins; the originals are not changed. They
    get centred rows, divided by one overall scale.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps (n, n_features) to (n, n_components).
    decoder : torch.nn.Module
        Maps (n, n_components) to (n, n_features).

    Examples
    --------
    >>> from torch import nn
    >>> from skae.networks import Custom
    >>> pair = Custom(nn.Linear(5, 2), nn.Linear(2, 5))
    >>> pair.encoder
    Linear(in_features=5, out_features=2, bias=True)
    """

    encoder: nn.Module = dataclasses.field(kw_only=False)
    decoder: nn.Module = dataclasses.field(kw_only=False)

    draws_globally: ClassVar[bool] = True

    def build(
        self, n_features: int, code_in: int, code_out: int, generator: torch.Generator
    ) -> tuple[Coder, Coder]:
        """Copy the modules and check that their shapes fit.

        Parameters
        ----------
        n_features : int
            Number of columns of the data.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of inputs of the decoder.
        generator : torch.Generator
            Not used: the modules come with weights.

        Returns
        -------
        encoder, decoder : torch.nn.Module
            Copies, faded in from zero.

        Raises
        ------
        ValueError
            If a module does not map the widths it has to, with both shapes named.
        TypeError
            If one of the two is not a torch module.
        """
        encoder = _checked(self.encoder, "encoder", n_features, code_in)
        decoder = _checked(self.decoder, "decoder", code_out, n_features)
        return ZeroGain(encoder, code_in), ZeroGain(decoder, n_features)

    def _given_modules(self) -> tuple[nn.Module, nn.Module]:
        """Return encoder and decoder, as they were passed."""
        return self.encoder, self.decoder

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        # Weights of the largest parameter: what most modules multiply each row by.
        modules = [module for module in (self.encoder, self.decoder) if isinstance(module, nn.Module)]
        return max((p.numel() for module in modules for p in module.parameters()), default=0)


def as_architecture(network: Architecture | Sequence[nn.Module]) -> Architecture:
    """Return an architecture as it is, and a pair of modules as `Custom`.

    Parameters
    ----------
    network : Architecture or pair of torch.nn.Module

    Returns
    -------
    architecture : Architecture

    Raises
    ------
    ValueError
        If there are not two modules.
    """
    if isinstance(network, Architecture):
        return network
    if len(network) != 2:
        raise ValueError(
            f"network must be a specification or a pair (encoder, decoder); got {len(network)} items."
        )
    return Custom(*network)


def _checked(module: nn.Module, role: str, n_in: int, n_out: int) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise TypeError(f"network must hold two torch modules; the {role} is a {type(module).__name__}.")
    module = copy.deepcopy(module).float().cpu()
    wanted = f"the {role} must map (n, {n_in}) to (n, {n_out})"
    was_training = module.training
    try:
        with torch.no_grad():
            shape = tuple(module.eval()(torch.zeros(2, n_in)).shape)
    except Exception as error:
        raise ValueError(
            f"{wanted}, but it fails on an input of shape (2, {n_in}): {error} "
            "Change the module, or n_components to its width."
        ) from error
    if shape != (2, n_out):
        raise ValueError(
            f"{wanted}, but it gave {shape} for an input of shape (2, {n_in}). "
            "Change the module, or n_components to its width."
        )
    return module.train(was_training)


class ZeroGain(Coder):
    """A module whose outputs are weighed by gains that start at zero and are learnt.

    Any module starts as nothing beside the linear path this way, whatever its last layer
    is (the zero-initialised gain of Bachlechner et al. 2021).

    Parameters
    ----------
    module : torch.nn.Module
        What is weighed.
    n_outputs : int
        Its width.
    """

    def __init__(self, module: nn.Module, n_outputs: int) -> None:
        super().__init__()
        self.module = module
        self.gain: nn.Parameter | None = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the module and weigh its outputs."""
        output = self.module(x)
        return output if self.gain is None else self.gain * output

    @property
    def given_module(self) -> nn.Module:
        """The module that is weighed."""
        return self.module

    @property
    def can_scale(self) -> bool:
        """Whether there are gains to multiply."""
        return self.gain is not None

    @property
    def is_silent(self) -> bool:
        """Whether all gains are zero."""
        return self.gain is not None and not bool(self.gain.any())

    def scale(self, factor: float) -> None:
        """Multiply the gains."""
        if self.gain is not None:
            self.gain.mul_(factor)

    def start_random(self, generator: torch.Generator) -> None:
        """Leave the module as the user made it: there is no linear path to start from."""
        self.gain = None

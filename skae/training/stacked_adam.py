"""Adam for all members of a stack, each at a rate, a decay and a clipped gradient of its own."""

import math
from collections.abc import Callable, Sequence

import torch

# Values, gradients, first and second moments, and numbers of steps: of some members, one tensor each.
Rows = list[list[torch.Tensor]]

# What `torch.optim.AdamW` itself calls for ``fused=True``. It is not public and may be gone one day: separate
# operations then do the same. The public function around it takes twice as long for one network, and the
# optimiser three times.
_kernel: Callable[..., None] | None = getattr(torch, "_fused_adamw_", None)
_KERNEL_DEVICES = ("cpu", "cuda")


class StackedAdam:
    """Adam with decoupled decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`, a row a member.

    Calls the kernel of ``torch.optim.AdamW(fused=True)`` on whole rows. With 13,000 parameters, one member
    takes 40 microseconds a step, norms included, and six take 110. torch's optimiser and `clip_grad_norm_`
    take 230 for the 14 tensors of one network, most of it in Python, and know one rate for all; separate
    operations take two to three times as long as the kernel.

    Parameters
    ----------
    values, gradients : tensor of shape (n_members, n_parameters)
        Parameters, changed in place, and their gradients, which are clipped in place.
    n_decaying : int
        The first so many parameters decay.
    weight_decays : sequence of float
        Decay of each member.
    gradient_clips : sequence of float or None
        Largest norm of the gradient of each member.
    betas : tuple of float
        Decay of the moments.
    """

    epsilon = 1e-8

    def __init__(
        self,
        values: torch.Tensor,
        gradients: torch.Tensor,
        n_decaying: int,
        weight_decays: Sequence[float],
        gradient_clips: Sequence[float | None],
        betas: tuple[float, float],
    ) -> None:
        self.n_decaying, self.betas = n_decaying, betas
        self.weight_decays, self.gradient_clips = list(weight_decays), list(gradient_clips)
        self.first, self.second = torch.zeros_like(values), torch.zeros_like(values)
        # float32 whatever the parameters are, as the kernel wants it.
        self.n_steps = values.new_zeros(len(values), dtype=torch.float32)
        self._take(values, gradients)

    def _take(self, values: torch.Tensor, gradients: torch.Tensor) -> None:
        """Prepare what steps read of the tensors at hand."""
        self.values, self.gradients = values, gradients
        tables = (values, gradients, self.first, self.second)
        # Two calls of the kernel, with and without decay, are quicker than a pass for the decay and one call.
        self.decaying, self.others = (
            [*(list(table[:, part]) for table in tables), list(self.n_steps)]
            for part in (slice(0, self.n_decaying), slice(self.n_decaying, None))
        )
        self.clips = any(clip is not None for clip in self.gradient_clips)
        limits = [math.inf if clip is None else clip for clip in self.gradient_clips]
        self.limits = values.new_tensor(limits).unsqueeze(1)

    def step(self, rates: Sequence[float]) -> None:
        """Change all members once, each at its rate."""
        if self.clips:
            self._clip()
        self.n_steps += 1
        settings = list(zip(rates, self.weight_decays, strict=True))
        # One call serves all members of the same settings.
        for rate, decay in set(settings):
            members = [member for member, setting in enumerate(settings) if setting == (rate, decay)]
            for rows, part_decay in ((self.decaying, decay), (self.others, 0.0)):
                self._change([[column[member] for member in members] for column in rows], rate, part_decay)

    def _clip(self) -> None:
        norms = torch.linalg.vector_norm(self.gradients, dim=1, keepdim=True)
        # As torch does: a gradient of exactly the largest norm shrinks by a millionth.
        self.gradients *= (self.limits / norms.add_(1e-6)).clamp_(max=1.0)

    def _change(self, rows: Rows, rate: float, decay: float) -> None:
        """Change parts of rows of some members, all at the same rate and decay."""
        if _kernel is None or self.values.device.type not in _KERNEL_DEVICES:
            _change_by_parts(rows, rate, decay, self.betas, self.epsilon)
            return
        *tables, n_steps = rows
        beta1, beta2 = self.betas
        further = {"weight_decay": decay, "eps": self.epsilon, "amsgrad": False, "maximize": False}
        _kernel(*tables, [], n_steps, lr=rate, beta1=beta1, beta2=beta2, **further)

    def reset(self, index: int) -> None:
        """Forget the moments of a member."""
        self.first[index], self.second[index], self.n_steps[index] = 0.0, 0.0, 0.0

    def keep(self, members: Sequence[int], values: torch.Tensor, gradients: torch.Tensor) -> None:
        """Go on with some of the members, whose parameters and gradients lie elsewhere now."""
        index = torch.tensor(members, device=values.device)
        self.first, self.second, self.n_steps = self.first[index], self.second[index], self.n_steps[index]
        self.weight_decays = [self.weight_decays[member] for member in members]
        self.gradient_clips = [self.gradient_clips[member] for member in members]
        self._take(values, gradients)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the moments, (n_members, n_parameters), and the number of steps of each member."""
        return {"first": self.first, "second": self.second, "n_steps": self.n_steps}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load a state from `state_dict`."""
        for name, value in self.state_dict().items():
            value.copy_(state[name])


def _change_by_parts(
    rows: Rows, rate: float, decay: float, betas: tuple[float, float], epsilon: float
) -> None:
    for values, gradients, first, second, n_steps in zip(*rows, strict=True):
        first.lerp_(gradients, 1 - betas[0])
        second.mul_(betas[1]).addcmul_(gradients, gradients, value=1 - betas[1])
        lacks = [1 - beta ** n_steps.to(values) for beta in betas]
        denominators = (second.sqrt() / lacks[1].sqrt()).add_(epsilon)
        values.mul_(1 - rate * decay).sub_((first * (rate / lacks[0])).div_(denominators))

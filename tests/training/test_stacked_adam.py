import pytest
import torch

from skae.training import steps
from skae.training.steps import StackedAdam

N_PARAMETERS, N_DECAYING = 23, 15
RATES, DECAYS, CLIPS = [0.1, 0.02, 0.1], [0.3, 0.3, 0.0], [1.0, None, 0.5]
BETAS = (0.9, 0.95)


class Torch:
    """What torch does with one member."""

    def __init__(self, values, rate, decay, clip, betas=BETAS):
        self.parts = [part.clone().requires_grad_() for part in values.tensor_split([N_DECAYING])]
        groups = [
            {"params": [part], "weight_decay": each}
            for part, each in zip(self.parts, (decay, 0.0), strict=True)
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas)
        self.clip = clip

    def step(self, gradient):
        for part, gradient_part in zip(self.parts, gradient.tensor_split([N_DECAYING]), strict=True):
            part.grad = gradient_part.clone()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parts, self.clip)
        self.optimizer.step()

    @property
    def values(self):
        return torch.cat(self.parts).detach()


@pytest.fixture(params=["kernel", "parts"])
def way(request, monkeypatch):
    """Change values by torch's kernel, and by what stands in for it where there is none."""
    if request.param == "parts":
        monkeypatch.setattr(steps, "_kernel", None)


def tables(generator, n_members=3, dtype=torch.float64):
    values = torch.randn(n_members, N_PARAMETERS, generator=generator, dtype=dtype)
    return values, torch.zeros_like(values)


def noise(values, generator):
    return 0.3 * torch.randn(values.shape, generator=generator, dtype=values.dtype)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=str)
def test_each_member_is_changed_as_by_torch(generator, dtype, tolerance):
    values, gradients = tables(generator, dtype=dtype)
    alone = [Torch(*settings) for settings in zip(values, RATES, DECAYS, CLIPS, strict=True)]
    together = StackedAdam(values, gradients, N_DECAYING, DECAYS, CLIPS, BETAS)
    for step in range(50):
        factor = 1 - step / 60
        gradients.copy_(noise(values, generator))
        for member, gradient, rate in zip(alone, gradients, RATES, strict=True):
            for group in member.optimizer.param_groups:
                group["lr"] = factor * rate
            member.step(gradient)
        together.step([factor * rate for rate in RATES])
    for row, member in zip(values, alone, strict=True):
        torch.testing.assert_close(row, member.values, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("n_decaying", [0, N_PARAMETERS])
def test_all_parameters_or_none_decay(generator, n_decaying):
    values, gradients = tables(generator)
    start = values.clone()
    StackedAdam(values, gradients, n_decaying, [0.5] * 3, [None] * 3, BETAS).step([0.1] * 3)
    torch.testing.assert_close(values, start * (0.95 if n_decaying else 1.0))


def test_clipped_gradients_have_the_largest_norm(generator):
    values, gradients = tables(generator)
    gradients += noise(values, generator)
    before = gradients.clone()
    StackedAdam(values, gradients, N_DECAYING, [0.0] * 3, [0.1, None, 100.0], BETAS).step([0.1] * 3)
    assert gradients[0].norm() == pytest.approx(0.1, rel=1e-4)
    assert torch.equal(gradients[1:], before[1:])


@pytest.mark.usefixtures("way")
def test_a_member_that_is_reset_begins_anew_and_the_others_go_on(generator):
    values, gradients = tables(generator, 2)
    together = StackedAdam(values, gradients, N_DECAYING, [0.1] * 2, [None] * 2, BETAS)
    steady = Torch(values[1], 0.1, 0.1, None)
    for _ in range(5):
        gradients.copy_(noise(values, generator))
        steady.step(gradients[1])
        together.step([0.1, 0.1])
    together.reset(0)
    fresh = Torch(values[0], 0.01, 0.1, None)
    for _ in range(5):
        gradients.copy_(noise(values, generator))
        steady.step(gradients[1])
        fresh.step(gradients[0])
        together.step([0.01, 0.1])
    torch.testing.assert_close(values[0], fresh.values)
    torch.testing.assert_close(values[1], steady.values)


def test_members_that_are_kept_go_on_as_before(generator):
    values, gradients = tables(generator)
    together = StackedAdam(values, gradients, N_DECAYING, DECAYS, CLIPS, BETAS)
    alone = [Torch(*settings) for settings in zip(values, RATES, DECAYS, CLIPS, strict=True)]
    members = [0, 1, 2]
    for places in ([0, 1, 2], [0, 2], [1]):
        # The last of the three is the last of the two.
        members = [members[place] for place in places]
        values, gradients = values[places].clone(), gradients[places].clone()
        together.keep(places, values, gradients)
        for _ in range(4):
            gradients.copy_(noise(values, generator))
            for member, gradient in zip(members, gradients, strict=True):
                alone[member].step(gradient)
            together.step([RATES[member] for member in members])
        for member, row in zip(members, values, strict=True):
            torch.testing.assert_close(row, alone[member].values)


def test_training_goes_on_from_a_state(generator):
    values, gradients = tables(generator)
    gradients += noise(values, generator)
    first = StackedAdam(values, gradients, N_DECAYING, DECAYS, CLIPS, BETAS)
    first.step(RATES)
    copied = values.clone()
    second = StackedAdam(copied, gradients.clone(), N_DECAYING, DECAYS, CLIPS, BETAS)
    second.load_state_dict(first.state_dict())
    for optimizer in (first, second):
        optimizer.step(RATES)
    assert torch.equal(values, copied)
    torch.testing.assert_close(second.n_steps, torch.full((3,), 2.0))

"""Priors, bits and critics: values spelt out."""

import numpy as np
import pytest
import torch

from skae.objectives import Batch, Pass
from skae.objectives.penalties import Adversary, Balance, Decorrelation, Divergence
from skae.objectives.penalties import bits as bits_module
from skae.objectives.penalties.adversary import energy_distance
from skae.objectives.priors import PRIORS, UserPrior


@pytest.mark.parametrize("n_components", [1, 2, 5])
@pytest.mark.parametrize("name", PRIORS)
def test_priors_repeat_and_are_centred(name, n_components):
    draws = [PRIORS[name](20_000, n_components, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*draws)
    torch.testing.assert_close(draws[0].mean(0), torch.zeros(n_components), atol=0.05, rtol=0)
    assert 0.3 < float(draws[0].std()) < 1.5


def test_a_function_is_seeded_by_the_stream():
    prior = UserPrior(lambda n, k, generator: generator.uniform(size=(n, k)))
    draws = [prior(4, 3, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*draws)
    assert draws[0].dtype == torch.float32


def passed(code, weight=None, network=None, draw=None):
    x = torch.zeros(len(code), 3)
    return Pass(network, Batch(x, x, weight), code, code, x, draw)


def test_balance_and_decorrelation_spelt_out():
    bits = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    # Means of signs 0, 0 and 1: a third. Covariances: one between the first two, none with a constant.
    assert float(Balance(1.0)(passed(bits))) == pytest.approx(1 / 3)
    assert float(Decorrelation(1.0)(passed(bits))) == pytest.approx(2 / 6)
    four = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert float(Balance(1.0)(passed(four))) == 0
    assert float(Decorrelation(1.0)(passed(four))) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_decorrelation_of_many_bits_is_that_of_all_pairs(monkeypatch, weighted, generator):
    bits = (torch.rand(12, 40, generator=generator) > 0.4).double()
    weight = torch.rand(12, 1, generator=generator).double() if weighted else None
    by_pairs = Decorrelation(1.0)(passed(bits, weight))
    monkeypatch.setattr(bits_module, "_BY_PAIRS", 8)
    torch.testing.assert_close(Decorrelation(1.0)(passed(bits, weight)), by_pairs)


@pytest.mark.parametrize("penalty", [Balance(1.0), Decorrelation(1.0)])
def test_weights_are_repetitions(penalty):
    bits = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    weighted = penalty(passed(bits, torch.tensor([[2.0], [1.0], [1.0]])))
    repeated = penalty(passed(bits[[0, 0, 1, 2]]))
    torch.testing.assert_close(weighted, repeated)


def test_free_bits_spare_the_first_nats():
    class Network:
        class bottleneck:
            @staticmethod
            def posterior(pre):
                class Posterior:
                    @staticmethod
                    def divergence():
                        return pre

                return Posterior

    divergences = torch.tensor([[0.1, 2.0], [0.3, 4.0]])
    # Over three columns: the mean of sums, and the mean a component, but half a nat at least.
    rows = Divergence(1.0)(passed(divergences, network=Network))
    torch.testing.assert_close(rows, torch.tensor([2.1, 4.3]) / 3)
    assert float(Divergence(1.0, free_bits=0.5)(passed(divergences, network=Network))) == pytest.approx(
        3.5 / 3
    )


def test_energy_distance_is_zero_for_one_distribution(generator):
    x, y = (torch.randn(2000, 2, generator=generator) for _ in range(2))
    assert abs(float(energy_distance(x, y))) < 0.01
    assert float(energy_distance(x, y + 1)) > 0.3
    assert float(energy_distance(torch.zeros(2, 1), torch.full((2, 1), 3.0))) == 6


def test_the_encoder_gets_the_critic_s_gradient_reversed(generator):
    critic = Adversary(2.0, 2, PRIORS["normal"], penalty=0.0)
    code = torch.randn(10, 2, generator=generator, requires_grad=True)
    drawn = critic.draw(code, generator)
    critic(passed(code, draw=drawn)).backward()
    reversed_gradient, code.grad = code.grad.clone(), None
    told = critic.critic(code)[:, 0]
    # Half of the cross-entropy's rows are codes, told from draws as zeros.
    (torch.nn.functional.softplus(told).sum() / 20).backward()
    torch.testing.assert_close(reversed_gradient, -2 * code.grad)


def test_held_out_rows_are_judged_by_the_distance():
    critic = Adversary(1.0, 2, PRIORS["normal"])
    near = torch.from_numpy(np.random.default_rng(0).standard_normal((500, 2))).float()
    assert float(critic(passed(near))) < 0.02 < float(critic(passed(near + 1)))


@pytest.mark.parametrize(
    ("prior", "shape"),
    [
        (lambda n, k, generator: np.zeros((n, k + 1)), r"\(4, 3\)"),
        (lambda n, k, generator: np.full((n, k), np.nan), r"\(4, 2\)"),
    ],
    ids=["shape", "finite"],
)
def test_what_a_function_gives_must_be_finite_and_of_the_right_shape(prior, shape):
    with pytest.raises(ValueError, match=rf"finite numbers of shape \(4, 2\); got shape {shape}"):
        UserPrior(prior)(4, 2, torch.Generator())


def test_the_critic_weighs_codes_by_their_rows_and_draws_alike(generator):
    critic = Adversary(1.0, 2, PRIORS["normal"], penalty=0.0)
    code = torch.randn(4, 2, generator=generator)
    drawn = critic.draw(code, generator)
    weight = torch.tensor([[3.0], [1.0], [0.0], [4.0]])
    loss = critic(passed(code, weight)._replace(draw=drawn))
    told, truth = critic.critic(code)[:, 0], critic.critic(drawn)[:, 0]
    softplus = torch.nn.functional.softplus
    # Weights of rows have mean one: 3/2, 1/2, 0 and 2.
    expected = ((weight[:, 0] / 2 * softplus(told)).sum() + softplus(-truth).sum()) / 8
    torch.testing.assert_close(loss, expected)
    assert critic.critic(code).shape == (4, 1)


def test_the_critic_is_kept_from_growing_steep(generator):
    free, kept = (Adversary(1.0, 2, PRIORS["normal"], penalty=penalty) for penalty in (0.0, 3.0))
    code = torch.randn(4, 2, generator=generator)
    drawn = free.draw(code, generator)
    points = torch.cat([code, drawn]).requires_grad_()
    (gradient,) = torch.autograd.grad(kept.critic(points).sum(), points)
    handed = passed(code)._replace(draw=drawn)
    torch.testing.assert_close(kept(handed) - free(handed), 3 * gradient.square().sum(1).mean() / 2)


def test_clusters_lie_on_a_line_or_a_circle():
    one = PRIORS["mixture"](20_000, 1, torch.Generator().manual_seed(0))[:, 0]
    centres = (torch.arange(10) - 4.5) * 0.3
    nearest = (one[:, None] - centres).abs().min(1).values
    # Deviations of 0.06 about places 0.3 apart.
    assert float(nearest.square().mean().sqrt()) == pytest.approx(0.06, rel=0.05)
    assert (one.min(), one.max()) == (pytest.approx(-1.35, abs=0.3), pytest.approx(1.35, abs=0.3))
    two = PRIORS["mixture"](20_000, 3, torch.Generator().manual_seed(0))
    radius = two[:, :2].norm(dim=1)
    assert float(radius.mean()) == pytest.approx(1.5, abs=0.03)
    assert float(radius.std()) == pytest.approx(0.18, rel=0.05)
    assert float(two[:, 2].std()) == pytest.approx(1.0, rel=0.05)

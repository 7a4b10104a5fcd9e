"""Likelihoods by column against torch's distributions, and samples that have their moments."""

import math

import numpy as np
import pytest
import torch
from torch import distributions

from skae.objectives.likelihood import KINDS, Likelihood, check_cells

MIXED = ["gaussian", "poisson", "categorical", "categorical", "bernoulli", "gaussian"]
GROUPS = [0, 1, 2, 2, 3, 4]


def likelihood(kinds=MIXED, groups=GROUPS, **settings):
    options = {"link": "identity", "variance": 0.25, "per_feature": False, "scale": 2.0} | settings
    return Likelihood(kinds, groups, centre=torch.arange(float(len(kinds))), **options)


def test_cells_are_those_of_torch_s_distributions(generator):
    output = torch.randn(50, 6, generator=generator)
    target = torch.zeros(50, 6)
    target[:, [0, 5]] = torch.randn(50, 2, generator=generator)
    target[:, 1] = torch.arange(50) % 4
    target[:, 2] = torch.arange(50) % 2
    target[:, 3] = 1 - target[:, 2]
    target[:, 4] = torch.arange(50) % 2
    cells = likelihood().cells(output, target)
    normal = distributions.Normal(output[:, [0, 5]], 0.5).log_prob(target[:, [0, 5]])
    torch.testing.assert_close(cells[:, [0, 5]], -normal)
    poisson = distributions.Poisson(output[:, 1].exp()).log_prob(target[:, 1])
    torch.testing.assert_close(cells[:, 1], -poisson)
    categorical = distributions.Categorical(logits=output[:, 2:4]).log_prob(target[:, 2:4].argmax(1))
    torch.testing.assert_close(cells[:, 2:4].sum(1), -categorical)
    bernoulli = distributions.Bernoulli(logits=output[:, 4]).log_prob(target[:, 4])
    torch.testing.assert_close(cells[:, 4], -bernoulli)


def test_only_gaussian_columns_are_scaled():
    found = likelihood()
    rows = torch.ones(1, 6)
    # Rows are (data - centre) / 2 with centres 0 to 5: gaussian ones stay, the others are 2 + centre.
    assert found.target(rows).tolist() == [[1.0, 3.0, 4.0, 5.0, 6.0, 1.0]]
    assert found.centred.tolist() == [True, False, False, False, False, True]
    assert not found.is_centred
    assert found.log_volume() == pytest.approx(2 * math.log(2))
    # A squared error of one unit of the data is a quarter of the scaled rows'.
    zeros = torch.zeros(1, 6)
    squares = found.squares(zeros, found.mean(zeros) + 1)
    assert squares.tolist() == [[1.0, 0.25, 0.25, 0.25, 0.25, 1.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments(kind, generator):
    found = likelihood([kind] * 3, [0, 0, 0] if kind == "categorical" else [0, 1, 2])
    mean = torch.tensor([0.2, 0.5, 0.3]).repeat(20_000, 1)
    drawn = found.sample(mean, generator)
    if kind == "count":
        # Counts lie in tables as log(1 + count).
        drawn = drawn.expm1()
        mean = mean.expm1()
    variance = {"gaussian": torch.full((3,), 0.25), "poisson": mean[0], "count": mean[0]}
    variance = variance.get(kind, mean[0] * (1 - mean[0]))
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.var(0), variance, atol=0.02, rtol=0)


def test_variances_are_learnt_from_what_is_left(generator):
    found = likelihood(["gaussian"] * 3, [0, 1, 2], variance=None, per_feature=True)
    found.start(torch.tensor([0.5, 2.0, 0.0]))
    assert found.noise().tolist() == pytest.approx([0.5, 2.0, 1e-3])
    one = likelihood(["gaussian"] * 3, [0, 1, 2], variance=None)
    one.start(torch.tensor([1.0, 2.0, 3.0]))
    assert one.noise().tolist() == pytest.approx([2.0] * 3)
    assert [name for name, _ in one.named_parameters()] == ["log_variance"]
    assert not list(likelihood().parameters())


def test_a_gaussian_behind_a_link_is_in_units_of_the_data():
    found = likelihood(["gaussian"] * 2, [0, 1], link="logistic", variance=0.25)
    output, target = torch.zeros(1, 2), torch.full((1, 2), 0.5)
    # The mean is right; the variance is a quarter of the scale's square, one.
    assert found.cells(output, target)[0].tolist() == pytest.approx([0.5 * math.log(2 * math.pi)] * 2)
    assert found.log_volume() == 0


@pytest.mark.parametrize(
    ("rows", "kinds", "groups", "message"),
    [
        ([[0.5, 2.0]], ["gaussian", "bernoulli"], [0, 1], r"likelihood='bernoulli' needs values in \[0, 1\]"),
        ([[-1.0]], ["poisson"], [0], "Negative values in data passed to fit"),
        ([[0.0, 1.0]], ["gaussian", "categorical"], [0, 0], "joins columns .0, 1. of kind"),
        ([[0.5, 0.1]], ["categorical", "categorical"], [0, 0], "must add up to 1 in each row"),
    ],
)
def test_cells_without_a_likelihood_are_refused(rows, kinds, groups, message):
    with pytest.raises(ValueError, match=message):
        check_cells(np.array(rows), kinds, groups)


def test_cells_that_have_one_pass_and_gaps_are_not_looked_at():
    rows = np.array([[-5.0, 1.0, 0.25, 0.75], [np.nan, np.nan, np.nan, np.nan]])
    check_cells(rows, ["gaussian", "bernoulli", "categorical", "categorical"], [0, 1, 2, 2])
    check_cells(np.full((2, 1), np.nan), ["poisson"], [0])


def test_a_variance_behind_a_link_is_that_of_the_scale_squared():
    found = likelihood(["gaussian"], [0], link="logistic", variance=0.25, scale=3.0)
    # 0.25 * 9 in units of the data; the mean is a half, the target is off by a half.
    expected = 0.5 * (0.25 / 2.25 + math.log(2 * math.pi * 2.25))
    assert found.cells(torch.zeros(1, 1), torch.ones(1, 1)).item() == pytest.approx(expected)


def test_counts_lie_in_tables_as_logarithms():
    found = likelihood(["count"], [0])
    output = torch.tensor([[math.log(2.0)]])
    expected = -distributions.Poisson(2.0).log_prob(torch.tensor(3.0))
    torch.testing.assert_close(found.cells(output, torch.tensor([[math.log(4.0)]]))[0, 0], expected)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_do_not_depend_on_the_way_and_keep_the_dtype(kind, dtype):
    found = likelihood([kind] * 3, [0, 0, 0] if kind == "categorical" else [0, 1, 2])
    mean = torch.tensor([[0.2, 0.5, 0.3]], dtype=dtype).repeat(20, 1)
    drawn = [found.sample(mean, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*drawn)
    assert drawn[0].dtype == dtype
    assert set(drawn[0].unique().tolist()) == {0.0, 1.0}

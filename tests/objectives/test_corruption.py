"""Every corruption: level 0 changes nothing, the same generator gives the same, marginals are as told."""

import numpy as np
import pytest
import torch

from skae.objectives.corruption import CORRUPTIONS, UserCorruption

N = 4000


@pytest.fixture
def rows():
    values = torch.randn(N, 5, generator=torch.Generator().manual_seed(1))
    return values * torch.tensor([1.0, 2.0, 0.5, 1.0, 0.0])


def make(name, level, rows, groups=(0, 1, 2, 3, 4)):
    corruption = CORRUPTIONS[name](torch.full((5,), level), torch.tensor(groups))
    corruption.adapt(rows, torch.full((5,), -3.0))
    return corruption


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_zero_changes_nothing(name, rows, generator):
    assert torch.equal(make(name, 0.0, rows)(rows, generator), rows)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_noise_is_repeatable_and_fresh(name, rows):
    corruption, before = make(name, 0.3, rows), rows.clone()
    generator = torch.Generator().manual_seed(0)
    first, second = corruption(rows, generator), corruption(rows, generator)
    assert torch.equal(rows, before)
    assert not torch.equal(first, second)
    again = corruption(rows, torch.Generator().manual_seed(0))
    assert torch.equal(first.nan_to_num(99), again.nan_to_num(99))


def test_gaussian_noise_is_in_standard_deviations_of_the_column(rows, generator):
    noise = make("gaussian", 0.5, rows)(rows, generator) - rows
    # deviations 1, 2, 0.5, 1 times 0.5; a constant column stays
    np.testing.assert_allclose(noise.std(0), [0.5, 1.0, 0.25, 0.5, 0.0], rtol=0.1)


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper", "swap"])
def test_the_level_is_the_share_of_cells(name, rows, generator):
    changed = (make(name, 0.3, rows)(rows, generator) != rows)[:, :4].float().mean(0)
    np.testing.assert_allclose(changed, 0.3, atol=0.03)


def test_masked_cells_are_zero_in_units_of_the_data(rows, generator):
    corrupted = make("masking", 0.3, rows)(rows, generator)
    assert set(corrupted[corrupted != rows].tolist()) == {-3.0}


def test_salt_and_pepper_are_the_extremes_of_the_column(rows, generator):
    corrupted = make("salt_and_pepper", 0.3, rows)(rows, generator)
    for column in range(4):
        new = corrupted[:, column][corrupted[:, column] != rows[:, column]]
        extremes = [float(rows[:, column].min()), float(rows[:, column].max())]
        assert sorted(set(new.tolist())) == pytest.approx(extremes)
        assert (new == extremes[0]).float().mean() == pytest.approx(0.5, abs=0.08)


def test_swapped_cells_come_from_rows_of_their_own(generator):
    # Each cell says which row it is from: columns hold 10 * row + column.
    rows = (10 * torch.arange(N)[:, None] + torch.arange(5)).float()
    donors = torch.div(make("swap", 1.0, rows)(rows, generator), 10, rounding_mode="floor")
    # By chance, two of 4,000 donors are the same in one row of 400 (10 pairs of columns).
    assert (donors[:, 0] == donors[:, 1]).float().mean() < 0.01


def test_groups_are_swapped_together(generator):
    rows = (10 * torch.arange(N)[:, None] + torch.arange(5)).float()
    corrupted = make("swap", 0.5, rows, groups=(0, 1, 1, 1, 2))(rows, generator)
    donors = torch.div(corrupted, 10, rounding_mode="floor")
    assert torch.equal(donors[:, 1], donors[:, 2])
    assert torch.equal(donors[:, 1], donors[:, 3])
    assert (donors[:, 0] == donors[:, 1]).float().mean() < 0.3  # both stayed: a quarter


def test_a_function_gets_the_units_of_the_data(rows, generator):
    seen = []

    def function(X, random):
        seen.append(X)
        return X + random.normal(size=X.shape)

    corruption = UserCorruption(function, np.full(5, 7.0), 3.0)
    corrupted = corruption(rows, generator)
    np.testing.assert_allclose(seen[0], rows.numpy() * 3 + 7, rtol=1e-5, atol=1e-5)
    # noise of deviation 1 in units of the data is a third of the scale
    assert float((corrupted - rows).std()) == pytest.approx(1 / 3, rel=0.05)


def test_a_function_must_keep_the_shape(rows, generator):
    with pytest.raises(ValueError, match=r"shape it was given, \(4000, 5\); it gave \(4000, 4\)"):
        UserCorruption(lambda X, random: X[:, 1:], np.zeros(5), 1.0)(rows, generator)
    with pytest.raises(ValueError, match="not finite"):
        UserCorruption(lambda X, random: X * np.nan, np.zeros(5), 1.0)(rows, generator)


def test_hidden_cells_are_gaps_at_a_rate_of_their_row(generator):
    rows = torch.zeros(4000, 50)
    hidden = CORRUPTIONS["missing"](torch.full((50,), 0.2), torch.arange(50))(rows, generator).isnan()
    assert float(hidden.float().mean()) == pytest.approx(0.2, abs=0.01)
    rates = hidden.float().mean(1)
    # Uniform between none and twice the level, and the draws of 50 cells.
    assert float(rates.std()) == pytest.approx((0.4**2 / 12 + 0.2 * 0.8 / 50) ** 0.5, rel=0.1)


def test_donors_are_drawn_by_the_weight_of_their_rows(generator):
    rows = torch.arange(100.0).repeat(5, 1).T
    weight = torch.ones(100, 1)
    weight[:50] = 3.0
    swapped = make("swap", 1.0, rows)(rows, generator, weight)
    assert float((swapped < 50).float().mean()) == pytest.approx(0.75, abs=0.08)


def test_what_a_function_gives_may_be_of_any_kind_of_numbers(rows, generator):
    corruption = UserCorruption(lambda X, random: np.ones(X.shape, dtype=int).tolist(), np.full(5, 7.0), 3.0)
    torch.testing.assert_close(corruption(rows, generator), torch.full((N, 5), -2.0))


def test_columns_that_are_never_hidden_stay(generator):
    levels = torch.tensor([0.0, 0.5])
    hidden = CORRUPTIONS["missing"](levels, torch.arange(2))(torch.zeros(500, 2), generator).isnan()
    assert not hidden[:, 0].any()
    assert hidden[:, 1].any()

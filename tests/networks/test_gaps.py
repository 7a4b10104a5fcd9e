"""Rows are filled by what probabilistic PCA expects of them, each from its own cells."""

import numpy as np
import pytest
import torch

from skae.networks.gaps import learn
from skae.networks.principal_axes import Gaps, principal_axes


@pytest.fixture
def rows(generator):
    """600 rows of 6 columns near a plane."""
    codes = torch.randn(600, 2, generator=generator)
    axes = torch.randn(2, 6, generator=generator)
    rows = codes @ axes + 0.1 * torch.randn(600, 6, generator=generator)
    return rows - rows.mean(0)


def with_gaps(rows, generator, share=0.3):
    return torch.where(torch.rand(rows.shape, generator=generator) < share, torch.nan, rows)


def filled_error(gaps, rows, missing):
    filled, there = gaps(missing)
    return float((filled - rows)[~there].square().mean() / rows[~there].square().mean())


def test_gaps_are_filled_from_what_is_there(rows, generator):
    missing = with_gaps(rows, generator)
    learnt, taken = Gaps(6, 2, always=True), Gaps(6, 2)
    learn(learnt, missing)
    taken.set_to(principal_axes(rows, 2, generator), rows)
    # Rows with one cell left tell little of the others; 0 is perfect, 1 the mean of the column.
    assert filled_error(learnt, rows, missing) < 0.25
    assert filled_error(learnt, rows, missing) == pytest.approx(filled_error(taken, rows, missing), abs=0.05)


def test_it_is_the_conditional_mean_of_a_normal_distribution(rows, generator):
    gaps = Gaps(6, 2)
    gaps.set_to(principal_axes(rows, 2, generator), rows)
    row = rows[:1].clone()
    row[0, [1, 4]] = torch.nan
    covariance = (gaps.loadings @ gaps.loadings.T + gaps.noise * torch.eye(6)).double().numpy()
    known, unknown = [0, 2, 3, 5], [1, 4]
    expected = covariance[np.ix_(unknown, known)] @ np.linalg.solve(
        covariance[np.ix_(known, known)], rows[0, known].double().numpy()
    )
    np.testing.assert_allclose(gaps(row)[0][0, unknown].numpy(), expected, rtol=1e-3, atol=1e-4)


def test_a_row_is_filled_the_same_alone_and_among_others(rows, generator):
    gaps = Gaps(6, 2)
    missing = with_gaps(rows, generator).double()
    learn(gaps, missing)
    torch.testing.assert_close(gaps(missing)[0][5:6], gaps(missing[5:6])[0], atol=1e-12, rtol=0)


def test_what_is_there_stays(rows, generator):
    gaps = Gaps(6, 2)
    missing = with_gaps(rows, generator)
    learn(gaps, missing)
    filled, there = gaps(missing)
    assert torch.equal(filled[there], rows[there])
    assert gaps(rows)[0] is rows


def test_weights_count_like_repeated_rows(rows, generator):
    missing = with_gaps(rows, generator).double()
    weight = torch.randint(1, 4, (600, 1), generator=generator)
    weighted, repeated = Gaps(6, 2).double(), Gaps(6, 2).double()
    learn(weighted, missing, weight)
    learn(repeated, missing.repeat_interleave(weight[:, 0], dim=0))
    torch.testing.assert_close(weighted.noise, repeated.noise)
    torch.testing.assert_close(weighted(missing)[0], repeated(missing)[0])


def test_a_column_that_was_never_seen_counts_as_missing(rows, generator):
    missing = with_gaps(rows, generator)
    missing[:, 3] = torch.nan
    gaps = Gaps(6, 2)
    learn(gaps, missing)
    assert gaps.known.tolist() == [True, True, True, False, True, True]
    loud = rows.clone()
    loud[:, 3] = 1e6
    assert torch.equal(gaps(loud)[0], gaps(torch.where(loud == 1e6, torch.nan, loud))[0])
    assert gaps(loud)[0][:, 3].abs().max() < 1e-3


def test_one_column_is_filled_with_its_mean():
    gaps = Gaps(1, 3)
    learn(gaps, torch.tensor([[1.0], [torch.nan], [-1.0]]))
    assert gaps(torch.tensor([[torch.nan]]))[0].item() == 0

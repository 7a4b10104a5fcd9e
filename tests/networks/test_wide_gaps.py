"""Wide tables with gaps get the same linear model, without anything as large as all columns squared."""

import numpy as np
import pytest
import torch

from skae import AutoencoderTransformer
from skae.networks import gaps as narrow_gaps
from skae.networks import wide_gaps
from skae.networks.gaps import learn
from skae.networks.principal_axes import Gaps

EVERY = torch.ones(30, dtype=torch.bool)


def table(n_rows, n_columns, generator, share=0.2):
    codes = torch.randn(n_rows, 3, generator=generator)
    rows = codes @ torch.randn(3, n_columns, generator=generator)
    rows = rows + 0.3 * torch.randn(rows.shape, generator=generator)
    rows = rows - rows.mean(0)
    return torch.where(torch.rand(rows.shape, generator=generator) < share, torch.nan, rows).double()


@pytest.mark.parametrize("weighted", [False, True])
def test_rounds_are_those_of_narrow_tables(monkeypatch, generator, weighted):
    rows = table(80, 30, generator)
    weight = torch.rand(80, 1, generator=generator) + 0.5 if weighted else None
    for module in (wide_gaps, narrow_gaps):
        monkeypatch.setattr(module, "_N_ROUNDS", 300)
    monkeypatch.setattr(wide_gaps, "_TOLERANCE", 0.0)
    loadings, noise = wide_gaps.learn(rows, weight, EVERY, 3, 1e-3)
    gaps = Gaps(30, 3).double()
    learn(gaps, rows, weight)
    # Loadings are the same but for a rotation of the codes.
    torch.testing.assert_close(loadings @ loadings.T, gaps.loadings @ gaps.loadings.T, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(noise, gaps.noise, rtol=1e-4, atol=0)


def test_cells_are_filled_as_well_by_as_many_rounds_as_change_something(generator):
    full = table(80, 30, generator, share=0.0)
    rows = torch.where(torch.rand(full.shape, generator=generator) < 0.2, torch.nan, full)
    few, many = Gaps(30, 3).double(), Gaps(30, 3).double()
    learn(many, rows)
    loadings, noise = wide_gaps.learn(rows, None, EVERY, 3, 1e-3)
    few.loadings.copy_(loadings)
    few.noise.copy_(noise)
    errors = [float((gaps(rows)[0] - full)[rows.isnan()].square().mean()) for gaps in (few, many)]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)


def test_wide_rows_are_filled_from_what_is_there(generator):
    rows = table(60, 600, generator, share=0.0)
    missing = torch.where(torch.rand(rows.shape, generator=generator) < 0.3, torch.nan, rows)
    missing[:, 5] = torch.nan
    gaps = Gaps(600, 3).double()
    learn(gaps, missing)
    filled, there = gaps(missing)
    error = (filled - rows)[~there].square().mean() / rows[~there].square().mean()
    assert float(error) < 0.15
    assert not gaps.known[5]
    assert not gaps.loadings[5].any()


def test_fewer_rows_than_components_are_enough(generator):
    gaps = Gaps(600, 8).double()
    missing = table(3, 600, generator)
    learn(gaps, missing)
    assert gaps(missing)[0].isfinite().all()


def test_nothing_as_large_as_all_columns_is_decomposed(monkeypatch):
    sizes = []
    original = torch.linalg.eigh

    def counting(matrix, *arguments):
        sizes.append(len(matrix))
        return original(matrix, *arguments)

    X = np.random.default_rng(0).normal(size=(40, 1200))
    X[3, 7] = np.nan
    monkeypatch.setattr(torch.linalg, "eigh", counting)
    codes = AutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0).fit_transform(X)
    assert np.isfinite(codes).all()
    assert max(sizes) <= 40

"""What is found of some blocks each is joined to what is found of all of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoencoderTransformer
from skae.data import ArrayRows
from skae.data.inside import Inside, Measuring, merged
from skae.estimators._checks import Validation
from skae.tables import Options, read_training

N_SAMPLED = 300


@pytest.fixture
def rows():
    # Far from zero, which a sum of squares would lose digits to.
    return 1e4 + np.random.default_rng(0).standard_normal((5000, 4))


def inside(rows, weight=None):
    owner = AutoencoderTransformer()
    columns = read_training(rows, Options(), Validation(owner, True), 2)[0]
    source = ArrayRows(rows, max_bytes=2**16)
    assert len(source.lengths) > 5
    return Inside(source, columns, Validation(owner, False), weight)


def found(inside, groups):
    parts = []
    for blocks in groups:
        part = Measuring(4, N_SAMPLED)
        for block in blocks:
            part.add(inside, block, 0, lambda rows: None)
        parts.append(part)
    return parts


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("has_gaps", [False, True])
def test_joined_parts_are_the_whole(rows, is_weighted, has_gaps):
    if has_gaps:
        rows[4000, 2] = np.nan
    weight = np.random.default_rng(1).uniform(0, 2, len(rows)) if is_weighted else None
    table = inside(rows, weight)
    blocks = list(range(len(table.source.lengths)))
    (whole,) = found(table, [blocks])
    parts = found(table, [blocks[1::2], blocks[:4:2], blocks[4::2]])
    joined = merged(parts)
    for name in ("total", "centre", "lowest", "highest"):
        assert_allclose(getattr(joined.moments, name), getattr(whole.moments, name), rtol=1e-12)
    assert_allclose(joined.moments.squares, whole.moments.squares, rtol=1e-9)
    assert (joined.moments.products is None) == (whole.moments.products is None) == has_gaps
    if not has_gaps:
        assert_allclose(joined.moments.products, whole.moments.products, rtol=1e-7, atol=1e-6)
    assert joined.counts == whole.counts
    for one, other in zip(joined.sample.drawn()[0], whole.sample.drawn()[0], strict=True):
        assert_array_equal(one, other) if other is not None else None
    assert len(joined.sample.drawn()[1]) == N_SAMPLED


def test_parts_stay_as_they_are(rows):
    table = inside(rows)
    parts = found(table, [[0], [1]])
    before = parts[0].moments.centre.copy()
    first, second = merged(parts), merged(parts)
    assert_array_equal(parts[0].moments.centre, before)
    assert_array_equal(first.moments.centre, second.moments.centre)
    assert sorted(parts[0].counts) == [0]

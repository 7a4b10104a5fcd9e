"""Batches of rows that come block by block: all rows once, well mixed, and the same ones every time."""

import threading
import time

import numpy as np
import pytest
import torch

from skae.training.streamed import Stream, Streamed


class Counting:
    """Blocks of rows that hold their own number; pieces of ten rows."""

    def __init__(self, lengths, is_weighted=False, delay=0.0, fails_at=None, n_open=16):
        self.lengths, self.is_weighted, self.n_open = lengths, is_weighted, n_open
        self.delay, self.fails_at = delay, fails_at
        self.n_read = self.most_read = 0

    def pieces(self, block):
        start = sum(self.lengths[:block])
        self.n_read += 1
        self.most_read = max(self.most_read, self.n_read)
        for first in range(0, self.lengths[block], 10):
            if self.fails_at == (block, first):
                raise ValueError(f"block {block}")
            time.sleep(self.delay)
            numbers = np.arange(start + first, start + min(first + 10, self.lengths[block]), dtype=float)
            yield numbers[:, None].repeat(2, axis=1), numbers + 1 if self.is_weighted else None
        self.n_read -= 1


LENGTHS = [100, 0, 37, 100, 1, 100, 62] + [100] * 20


def streamed(blocks=None, n_mixed=400, batch_size=64):
    blocks = Counting(LENGTHS) if blocks is None else blocks
    stream = Stream(blocks, n_mixed, sum(blocks.lengths), False, None)
    return Streamed(stream, batch_size, torch.empty(0, 2))


def epoch(batches, seed=0):
    return list(batches.epoch(torch.Generator().manual_seed(seed)))


def numbers(batches):
    return torch.cat([batch.target[:, 0] for batch in batches]).long().tolist()


@pytest.mark.parametrize("n_mixed", [1, 63, 400, 10_000])
@pytest.mark.parametrize("batch_size", [1, 64, 999, 10_000])
def test_every_row_comes_once_in_batches_of_one_size(n_mixed, batch_size):
    batches = streamed(n_mixed=n_mixed, batch_size=batch_size)
    found = epoch(batches)
    sizes = [len(batch.target) for batch in found]
    assert sorted(numbers(found)) == list(range(sum(LENGTHS)))
    assert len(found) == batches.n_batches
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_rows_of_many_blocks_are_mixed():
    found = epoch(streamed(n_mixed=800))
    blocks = [len({number // 100 for number in numbers([batch])}) for batch in found[:-3]]
    assert min(blocks) >= 8


@pytest.mark.parametrize(
    ("n_mixed", "n_open", "expected"), [(2000, 16, 1), (800, 16, 2), (100, 16, 16), (100, 3, 3)]
)
def test_as_few_blocks_are_read_side_by_side_as_mixing_needs(n_mixed, n_open, expected):
    blocks = Counting([100] * 40, n_open=n_open)
    found = epoch(streamed(blocks, n_mixed))
    assert blocks.most_read == expected
    assert sorted(numbers(found)) == list(range(4000))


def test_epochs_differ_and_the_seed_decides():
    batches = streamed()
    assert numbers(epoch(batches, 1)) != numbers(epoch(batches, 2))
    assert numbers(epoch(batches, 1)) == numbers(epoch(batches, 1))


def test_the_order_does_not_depend_on_how_long_reading_takes():
    slow = streamed(Counting(LENGTHS, delay=0.001))
    assert numbers(epoch(slow)) == numbers(epoch(streamed()))


def test_weights_stay_with_their_rows():
    found = epoch(streamed(Counting(LENGTHS, is_weighted=True)))
    for batch in found:
        torch.testing.assert_close(batch.weight[:, 0], batch.target[:, 0] + 1)


def test_batches_have_the_dtype_of_the_sample():
    stream = Stream(Counting(LENGTHS), 400, sum(LENGTHS), False, None)
    found = epoch(Streamed(stream, 64, torch.empty(0, 2, dtype=torch.float64)))
    assert found[0].target.dtype == torch.float64


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("skae-reading")]


def wait_for_the_end_of_threads():
    end = time.monotonic() + 10
    while reading_threads() and time.monotonic() < end:
        time.sleep(0.01)
    return reading_threads()


def test_what_reading_raises_is_raised_and_the_thread_ends():
    with pytest.raises(ValueError, match="block 25"):
        epoch(streamed(Counting(LENGTHS, fails_at=(25, 50))))
    assert not wait_for_the_end_of_threads()


def test_the_thread_ends_with_an_epoch_that_is_left_early():
    batches = streamed(Counting(LENGTHS, delay=0.001)).epoch(torch.Generator().manual_seed(0))
    next(batches)
    assert reading_threads()
    batches.close()
    assert not wait_for_the_end_of_threads()


def test_rows_that_are_missing_are_noticed():
    class Shorter(Counting):
        def pieces(self, block):
            yield from list(super().pieces(block))[:-1]

    with pytest.raises(ValueError, match="changed since training began"):
        epoch(streamed(Shorter(LENGTHS)))

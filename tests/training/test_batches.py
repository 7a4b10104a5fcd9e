import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae.training import InMemory


@given(st.integers(1, 60), st.integers(1, 70), st.booleans())
@settings(deadline=None)
def test_every_row_comes_once_and_batches_are_even(n_rows, batch_size, shuffle):
    rows = torch.arange(float(n_rows))[:, None]
    batches = InMemory(rows, batch_size, shuffle)
    parts = [batch.inputs for batch in batches.epoch(torch.Generator().manual_seed(0))]
    assert len(parts) == batches.n_batches
    assert sorted(torch.cat(parts)[:, 0].tolist()) == list(range(n_rows))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_the_order_is_drawn_from_the_generator():
    rows = torch.arange(100.0)[:, None]
    generator = torch.Generator().manual_seed(0)
    first, second = ([b.inputs for b in InMemory(rows, 10).epoch(generator)] for _ in range(2))
    again = [b.inputs for b in InMemory(rows, 10).epoch(torch.Generator().manual_seed(0))]
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], second[0])


def test_unshuffled_rows_keep_their_order():
    rows = torch.arange(10.0)[:, None]
    parts = [batch.inputs for batch in InMemory(rows, 4, shuffle=False).epoch(torch.Generator())]
    assert torch.equal(torch.cat(parts), rows)

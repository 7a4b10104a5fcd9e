import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae.training import InMemory
from skae.training.batches import Noise, Rows, average, can_join, epoch_together, noisy_epoch


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


WEIGHT = torch.tensor([[1.0], [0.0], [3.0]])
TARGET = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@pytest.mark.parametrize("chunk", [1, 2, 8192])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_averages_are_over_rows_by_their_weight_of_what_the_encoder_sees(monkeypatch, chunk, weight):
    monkeypatch.setattr("skae.training.batches.CHUNK", chunk)
    found = average(Rows(TARGET, TARGET + 1, weight), lambda rows: 2 * rows)
    expected = [8.0, 10.0] if weight is None else [(4 + 36) / 4, (6 + 42) / 4]
    assert found.tolist() == expected
    assert found.dtype == torch.float64


def test_means_are_over_the_cells_that_are_there():
    gaps = TARGET.clone()
    gaps[0, 0] = torch.nan
    assert Rows(gaps).mean().tolist() == [4.0, 4.0]
    assert Rows(gaps, weight=WEIGHT).mean().tolist() == [5.0, 5.0]
    assert Rows(torch.full((2, 1), torch.nan)).mean().tolist() == [0.0]


def test_a_new_centre_moves_inputs_along():
    rows = Rows(TARGET, TARGET + 1, WEIGHT).about(torch.tensor([1.0, 2.0]))
    assert rows.target.tolist() == [[0, 0], [2, 2], [4, 4]]
    assert torch.equal(rows.inputs, rows.target + 1)
    assert rows.weight is WEIGHT
    assert Rows(TARGET).about(torch.ones(2)).inputs is None


def test_rows_of_which_single_ones_are_taken_are_drawn_by_weight(generator):
    assert Rows(TARGET).drawn(generator) is TARGET
    many = Rows(TARGET.repeat(500, 1), weight=WEIGHT.repeat(500, 1)).drawn(generator)[:, 0]
    assert float((many == 5).float().mean()) == pytest.approx(0.75, abs=0.05)
    assert not (many == 3).any()


def test_rows_times_roots_of_weights_have_the_mean_square_of_weighted_ones():
    assert Rows(TARGET).scaled() is TARGET
    scaled = Rows(TARGET, weight=WEIGHT).scaled()
    expected = (WEIGHT * TARGET.square()).sum(0) / WEIGHT.sum()
    torch.testing.assert_close(scaled.square().mean(0), expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_take_inputs_and_weights_along(shuffle, generator):
    batches = InMemory(TARGET, 2, shuffle, TARGET + 1, WEIGHT)
    parts = list(batches.epoch(generator))
    assert sum(len(part.target) for part in parts) == 3
    for part in parts:
        assert torch.equal(part.inputs, part.target + 1)
        rows = [(TARGET == row).all(1).nonzero().item() for row in part.target]
        assert torch.equal(part.weight, WEIGHT[rows])


@pytest.mark.parametrize(("inputs", "gaps"), [(None, False), (TARGET * torch.nan, True)])
def test_gaps_are_looked_for_in_inputs_too(inputs, gaps):
    assert Rows(TARGET, inputs).has_gaps == gaps
    assert Rows(TARGET * torch.nan).has_gaps


def test_one_batch_of_all_rows_keeps_their_order(generator):
    before = generator.get_state()
    (batch,) = InMemory(TARGET, 3).epoch(generator)
    assert torch.equal(batch.target, TARGET)
    assert torch.equal(generator.get_state(), before)


def test_gaps_are_found_wherever_they_are(monkeypatch):
    monkeypatch.setattr("skae.training.batches.CHUNK", 1)
    gaps = TARGET.clone()
    gaps[2, 1] = torch.nan
    assert Rows(gaps).has_gaps
    assert not Rows(TARGET).has_gaps


def test_selected_rows_take_inputs_and_weights_along():
    taken = Rows(TARGET, TARGET + 1, WEIGHT).take([2, 0])
    assert taken.target.tolist() == [[5, 6], [1, 2]]
    assert taken.seen.tolist() == [[6, 7], [2, 3]]
    assert taken.weight.tolist() == [[3], [1]]
    plain = Rows(TARGET).take(slice(1))
    assert (plain.target.tolist(), plain.inputs, plain.weight) == ([[1, 2]], None, None)


def test_a_column_without_cells_has_the_mean_zero_whatever_rows_weigh():
    gaps = TARGET.clone()
    gaps[:, 0] = torch.nan
    assert Rows(gaps, weight=WEIGHT).mean().tolist() == [0.0, 5.0]


def test_all_rows_of_one_weight_may_be_drawn(generator):
    rows = Rows(torch.arange(400.0)[:, None], weight=torch.full((400, 1), 2.0)).drawn(generator)
    assert len(rows) == 400
    # A draw with replacement: about 1 - 1/e of the rows, first and last ones as often as others.
    assert len(set(rows[:, 0].tolist())) / 400 == pytest.approx(1 - 1 / 2.718, abs=0.06)
    assert float(rows.mean()) == pytest.approx(199.5, abs=25)


def members(n_rows=14, weighted=False, sees_more=False, **options):
    """Tables of three models, and what each draws its order and its noise from."""
    random = torch.Generator().manual_seed(0)

    def drawn(n_columns):
        return torch.randn(20, n_columns, generator=random)

    batches = [
        InMemory(
            drawn(3),
            4,
            inputs=drawn(3) if sees_more else None,
            weight=drawn(1).square() if weighted else None,
            n_rows=n_rows,
            **options,
        )
        for _ in range(3)
    ]
    orders = [torch.Generator().manual_seed(seed) for seed in (1, 2, 3)]
    noises = [
        Noise(deviation, torch.Generator().manual_seed(seed))
        for deviation, seed in ((0.3, 4), (0.0, 5), (2.0, 6))
    ]
    return batches, orders, noises


OPTIONS = [{}, {"weighted": True}, {"sees_more": True}, {"shuffle": False, "n_rows": 20}]


@pytest.mark.parametrize("options", OPTIONS)
def test_models_together_see_the_rows_that_each_sees_alone(options):
    batches, orders, noises = members(**options)
    assert can_join(batches)
    together = list(epoch_together(batches, orders, noises))
    own, own_orders, own_noises = members(**options)
    for number, (each, order) in enumerate(zip(own, own_orders, strict=True)):
        noise = own_noises[number]
        alone = list(each.epoch(order))
        assert len(together) == len(alone) == each.n_batches
        for joined, batch in zip(together, alone, strict=True):
            assert torch.equal(joined.target[number], batch.target)
            assert (batch.weight is None) == (joined.weight is None)
            if batch.weight is not None:
                assert torch.equal(joined.weight[number], batch.weight)
        seen = torch.cat([batch.inputs for batch in alone])
        drawn = torch.randn(seen.shape, generator=noise.generator)
        found = torch.cat([joined.inputs[number] for joined in together])
        torch.testing.assert_close(found, seen + noise.deviation * drawn)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_model_has_the_noise_alone_that_it_has_among_others(options):
    batches, orders, noises = members(**options)
    together = list(epoch_together(batches, orders, noises))
    own, own_orders, own_noises = members(**options)
    for number, each in enumerate(own):
        for joined, batch in zip(
            together, noisy_epoch(each, own_orders[number], own_noises[number]), strict=True
        ):
            for one, other in zip(joined[:3], batch[:3], strict=True):
                assert (one is None) == (other is None)
                assert one is None or torch.equal(one[number], other)


def test_noise_of_a_large_table_is_drawn_batch_by_batch(monkeypatch):
    monkeypatch.setattr("skae.training.batches._FEW", 0)
    batches, orders, noises = members()
    assert not can_join(batches)
    found = list(noisy_epoch(batches[0], orders[0], noises[0]))
    own, own_orders, own_noises = members()
    for batch, plain in zip(found, own[0].epoch(own_orders[0]), strict=True):
        drawn = torch.randn(plain.inputs.shape, generator=own_noises[0].generator)
        torch.testing.assert_close(batch.inputs, plain.inputs + 0.3 * drawn)
        assert torch.equal(batch.target, plain.target)


def test_models_of_different_numbers_of_rows_are_not_joined():
    batches = [InMemory(torch.zeros(n_rows, 2), 4) for n_rows in (15, 16)]
    assert [can_join([each]) for each in batches] == [True, True]
    assert not can_join(batches)

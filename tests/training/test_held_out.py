"""Rows that judge an epoch, and the epoch that they speak for: every figure is followed by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.networks.bottlenecks import Bottleneck, Gaussian
from skae.objectives import LOSSES, Objective, Reconstruction
from skae.objectives.nested import Nested
from skae.objectives.objective import Errors
from skae.training import HeldOut, History, Validation, assured_gains, explained, pool, total_squares
from skae.training import weights_of as joined_weights
from skae.training.held_out import is_past_best


class Scaling(nn.Module):
    """A network of two columns: codes are rows, and each column comes back times a factor."""

    def __init__(self, *factors):
        super().__init__()
        self.bottleneck = Bottleneck()
        self.factors = torch.tensor(factors)

    def filled(self, rows):
        return rows, None

    def pre_code(self, rows):
        return rows

    def decode(self, code, kept=None):
        return (code if kept is None else code * kept) * self.factors


def squared_error():
    return Reconstruction(LOSSES["squared_error"].cell, "identity")


ROWS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
# Squares of the columns: 4, 0, 1 and 0, 1, 1.


# ---------------------------------------------------------------------- HeldOut


def test_rows_are_judged_by_their_mean_loss_and_the_variance_they_leave():
    held_out = HeldOut(Scaling(0.5, 1.0), Objective(squared_error()), ROWS)
    # A quarter of the first column's squares is missed: 1, 0 and 1/4, each over two cells.
    assert held_out() == Validation(pytest.approx(1.25 / 6), pytest.approx(1 - 1.25 / 7))


def test_the_encoder_sees_the_inputs_and_the_target_stays():
    held_out = HeldOut(Scaling(1.0, 1.0), Objective(squared_error()), ROWS, inputs=torch.zeros(3, 2))
    assert held_out() == Validation(pytest.approx(7 / 6), pytest.approx(0.0))


def test_gaps_are_filled_once_for_all_epochs():
    class Filling(Scaling):
        n_calls = 0

        def filled(self, rows):
            self.n_calls += 1
            return rows.nan_to_num(), ~rows.isnan()

        def pre_code_of(self, rows, there):
            return rows * there

    gaps = torch.where(ROWS == ROWS[0, 0], torch.nan, ROWS)
    network, objective = Filling(0.5, 1.0), Objective(squared_error())
    objective.has_gaps = True
    held_out = HeldOut(network, objective, gaps)
    losses = [held_out().loss for _ in range(3)]
    assert network.n_calls == 1
    missed = (0.5 * gaps[:, :1]).square().nansum() + 0 * gaps[:, 1:].square().nansum()
    assert losses == [losses[0]] * 3
    assert held_out().score == pytest.approx(1 - float(missed / gaps.square().nansum()))


def test_weights_of_held_out_rows_count_like_repetitions():
    weight = torch.tensor([[3.0], [1.0], [2.0]])
    repeated = ROWS.repeat_interleave(weight[:, 0].long(), dim=0)
    network, objective = Scaling(0.5, 0.1), Objective(squared_error())
    weighted = HeldOut(network, objective, ROWS, weight=weight)()
    expected = HeldOut(network, objective, repeated)()
    assert weighted.loss == pytest.approx(expected.loss)
    assert weighted.score == pytest.approx(expected.score)
    assert weighted.loss != pytest.approx(HeldOut(network, objective, ROWS)().loss)


def test_more_rows_than_go_through_at_once_are_all_judged(monkeypatch):
    whole = HeldOut(Scaling(0.5, 0.1), Objective(squared_error()), ROWS, weight=torch.rand(3, 1))
    expected = whole()
    monkeypatch.setattr("skae.training.held_out._CHUNK", 2)
    in_parts = HeldOut(whole.network, whole.objective, ROWS, weight=whole.weight, keep_rows=True)
    assert in_parts() == Validation(pytest.approx(expected.loss), pytest.approx(expected.score))
    assert len(in_parts.errors[0].loss) == 3


def test_errors_of_rows_are_kept_where_they_are_asked_for():
    network = Scaling(0.5, 1.0)
    held_out = HeldOut(network, Objective(squared_error()), ROWS, keep_rows=True)
    held_out()
    network.factors = torch.tensor([0.0, 0.0])
    held_out()
    assert [errors.squared.tolist() for errors in held_out.errors] == [[1.0, 0.0, 0.25], [4.0, 1.0, 2.0]]
    assert [held_out.missed(errors) for errors in held_out.errors] == [1.25, 7.0]
    other = HeldOut(network, Objective(squared_error()), ROWS)
    other()
    assert not other.errors


def test_what_is_kept_of_the_last_epoch_can_be_forgotten():
    network = Scaling(0.5, 1.0)
    held_out = HeldOut(network, Objective(squared_error()), ROWS, keep_rows=True)
    held_out()
    kept = list(held_out.errors)
    network.factors *= 2
    held_out()
    held_out.forget()
    assert held_out.errors == kept


def test_missed_squares_are_weighted():
    held_out = HeldOut(
        Scaling(0.5, 1.0),
        Objective(squared_error()),
        ROWS,
        keep_rows=True,
        weight=torch.tensor([[2.0], [1.0], [0.0]]),
    )
    held_out()
    assert held_out.missed(held_out.errors[0]) == 2.0
    assert held_out.total == pytest.approx(9.0)


def test_noise_of_codes_is_the_same_for_every_epoch():
    class Noisy(Scaling):
        def pre_code(self, rows):
            return torch.cat([rows, torch.zeros_like(rows)], dim=1)

    network = Noisy(0.5, 1.0)
    network.bottleneck = Gaussian(2)
    held_out = HeldOut(network, Objective(squared_error()), ROWS)
    first, second = held_out(), held_out()
    assert first == second
    # The loss is of codes with noise, the variance explained of what a user gets.
    assert first.loss > 1.25 / 6 + 0.1
    assert first.score == pytest.approx(1 - 1.25 / 7)


@pytest.mark.parametrize("weight", [None, torch.tensor([[2.0], [0.0], [1.0]])])
def test_squares_are_summed_over_cells_that_are_there(weight):
    rows = ROWS.clone()
    rows[0, 0] = torch.nan
    assert total_squares(rows, weight) == pytest.approx(3.0 if weight is None else 2.0)


# ---------------------------------------------------------------------- the charge


def ordered(penalizes_regressions, network=None, **settings):
    objective = Nested(squared_error(), n_components=2, penalizes_regressions=penalizes_regressions)
    return HeldOut(network or Scaling(1.0, 0.0), objective, ROWS, **settings)


def test_what_the_first_components_explain_is_measured():
    held_out = ordered(penalizes_regressions=False)
    assert held_out().by_size == (pytest.approx(5 / 7), pytest.approx(5 / 7))
    held_out.network.factors = torch.tensor([0.0, 1.0])
    assert held_out().by_size == (0.0, pytest.approx(2 / 7))


@pytest.mark.parametrize(
    ("factors", "missed_more"),
    [
        # At size 1, a hundredth of the first column's 5 is missed more; at size 2, 1.95 less.
        ((0.9, 1.0), 0.05),
        # Worse at both, and more so at size 2: of the second column's 2, 1.5 squared as much is missed.
        ((0.9, -0.5), 0.05 + 2 * (1.5**2 - 1)),
        # Better nowhere, worse nowhere.
        ((1.0, 0.0), 0.0),
        # Better at size 2 alone: nothing is given back for it.
        ((1.0, 1.0), 0.0),
    ],
)
def test_an_epoch_is_charged_for_the_size_that_is_worst(factors, missed_more):
    held_out, free = ordered(penalizes_regressions=True), ordered(penalizes_regressions=False)
    assert held_out() == free()
    held_out.network.factors = free.network.factors = torch.tensor(factors)
    charged, plain = held_out(), free()
    assert charged.loss - plain.loss == pytest.approx(3 * missed_more / 7, abs=1e-6)
    assert charged.score == plain.score
    assert charged.by_size == plain.by_size


def test_what_sizes_miss_is_weighted():
    weight = torch.tensor([[2.0], [1.0], [3.0]])
    repeated = ROWS.repeat_interleave(weight[:, 0].long(), dim=0)
    weighted = ordered(True, weight=weight)
    expected = HeldOut(weighted.network, weighted.objective, repeated)
    for factors in ((1.0, 0.0), (0.9, 0.5)):
        weighted.network.factors = torch.tensor(factors)
        one, other = weighted(), expected()
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.by_size == pytest.approx(other.by_size)


def test_rows_without_variance_charge_nothing():
    objective = Nested(squared_error(), n_components=2, penalizes_regressions=True)
    held_out = HeldOut(Scaling(1.0, 0.0), objective, torch.zeros(3, 2))
    held_out()
    assert held_out() == Validation(0.0, 1.0, (1.0, 1.0))


# ---------------------------------------------------------------------- the epoch


def losses_of(*means, n_rows=100, noise=0.0, seed=0):
    random = np.random.RandomState(seed)
    return np.array([mean + noise * random.standard_normal(n_rows) for mean in means])


def test_nothing_is_gained_at_the_start():
    assert assured_gains(losses_of(1.0, 0.8, noise=0.1))[0] == 0


def test_a_gain_is_what_all_rows_gain():
    np.testing.assert_allclose(assured_gains(losses_of(1.0, 0.8, 1.5)), [0.0, 0.2, -0.5])


def test_a_gain_counts_less_two_standard_errors():
    # Gains of half of the rows are one more, of the others one less: a standard error of a tenth.
    signs = np.tile([1.0, -1.0], 50)
    np.testing.assert_allclose(assured_gains(np.array([np.ones(100), 0.7 - signs]))[1], 0.1)


def test_a_gain_that_rests_on_one_row_is_not_assured():
    losses = losses_of(1.0, 1.0, n_rows=50)
    losses[0, 0] = 30.0
    assert assured_gains(losses)[1] < 0


def test_weights_of_rows_count_like_repetitions_in_gains():
    losses = np.array([[1.0, 1.0, 1.0], [0.5, 0.7, 1.6]])
    weight = np.array([40, 40, 1])
    np.testing.assert_allclose(assured_gains(losses, weight), assured_gains(losses.repeat(weight, axis=1)))
    assert assured_gains(losses, weight)[1] > 0 > assured_gains(losses, weight[::-1])[1]


@pytest.mark.parametrize(
    ("missed", "total", "expected"), [(1.0, 4.0, 0.75), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (6.0, 3.0, -1.0)]
)
def test_variance_explained(missed, total, expected):
    assert explained(missed, total) == expected


@pytest.mark.parametrize(("missed", "expected"), [(1e-11, 1.0), (1e-9, 0.0)])
def test_rounding_is_no_variance(missed, expected):
    assert explained(missed, 0.0) == expected


# ---------------------------------------------------------------------- folds


def fold(objective, rows, *epochs, weight=None):
    """Return held-out rows that have judged a network with these factors after each epoch."""
    network = Scaling(*epochs[0])
    held_out = HeldOut(network, objective, rows, keep_rows=True, weight=weight)
    for factors in epochs:
        network.factors = torch.tensor(factors)
        held_out()
    return held_out


def history_of(*losses, **settings):
    return History(losses=[{"reconstruction": loss, "penalty": 2 * loss} for loss in losses], **settings)


def test_folds_are_joined_row_by_row_as_far_as_all_of_them_went():
    objective = Objective(squared_error())
    judges = [
        fold(objective, ROWS[:1], (1.0, 0.0), (0.5, 1.0), (0.0, 0.0)),
        fold(objective, ROWS[1:], (1.0, 0.0), (0.5, 1.0)),
    ]
    pooled, losses = pool([history_of(1.0, 2.0), history_of(3.0)], judges)
    # Before: the second column is missed, 0, 1 and 1. After: a quarter of the first one, 1, 0 and 1/4.
    np.testing.assert_allclose(losses, [[0, 0.5, 0.5], [0.5, 0, 0.125]])
    assert pooled.losses == [{"reconstruction": 2.0, "penalty": 4.0}]
    assert pooled.validations == [
        Validation(pytest.approx(1 / 3), pytest.approx(5 / 7)),
        Validation(pytest.approx(0.625 / 3), pytest.approx(1 - 1.25 / 7)),
    ]
    assert (pooled.n_recoveries, pooled.interrupted) == (0, False)


def test_recoveries_of_folds_add_up_and_one_interruption_is_one_of_all():
    objective = Objective(squared_error())
    judges = [fold(objective, ROWS, (1.0, 0.0), (1.0, 1.0)) for _ in range(3)]
    histories = [history_of(1.0, n_recoveries=n, interrupted=n == 2) for n in range(3)]
    pooled, _ = pool(histories, judges)
    assert (pooled.n_recoveries, pooled.interrupted) == (3, True)


def test_weights_of_folds_count_like_repetitions():
    objective, epochs = Objective(squared_error()), ((1.0, 0.0), (0.5, 1.0))
    weight = torch.tensor([[3.0], [1.0], [2.0]])
    weighted = [fold(objective, ROWS[:1], *epochs, weight=weight[:1])]
    weighted.append(fold(objective, ROWS[1:], *epochs, weight=weight[1:]))
    repeated = [fold(objective, ROWS[[0, 0, 0]], *epochs), fold(objective, ROWS[[1, 2, 2]], *epochs)]
    (pooled, _), (expected, _) = (pool([history_of(1.0)] * 2, judges) for judges in (weighted, repeated))
    for one, other in zip(pooled.validations, expected.validations, strict=True):
        assert one == Validation(pytest.approx(other.loss), pytest.approx(other.score))
    assert joined_weights(weighted).tolist() == [3.0, 1.0, 2.0]
    assert joined_weights(repeated) is None


def test_folds_of_ordered_components_are_charged_together():
    objective = Nested(squared_error(), n_components=2, penalizes_regressions=True)
    free = Nested(squared_error(), n_components=2)
    # Worse at size 1 in the first fold, by 0.04 of 4; better there in the second one, by 0.75 of 1.
    starts, ends = ((1.0, 0.0), (0.0, 0.0)), ((0.9, 0.0), (0.5, 0.0))

    def judges(objective):
        rows = (ROWS[:1], ROWS[1:])
        return [fold(objective, *one) for one in zip(rows, starts, ends, strict=True)]

    pooled, losses = pool([history_of(1.0)] * 2, judges(objective))
    plain, free_losses = pool([history_of(1.0)] * 2, judges(free))
    np.testing.assert_allclose(losses, free_losses)
    assert pooled.validations[1].by_size == pytest.approx((1 - 2.29 / 7, 1 - 2.29 / 7))
    # Worse in all by a tenth of 7: each row is charged three tenths.
    starts, ends = ((1.0, 1.0), (1.0, 1.0)), ((1.0, 1.0), (1.0, 1 - 0.35**0.5))
    pooled, losses = pool([history_of(1.0)] * 2, judges(objective))
    plain, free_losses = pool([history_of(1.0)] * 2, judges(free))
    np.testing.assert_allclose(losses - free_losses, [[0.0] * 3, [0.3] * 3], atol=1e-6)
    assert pooled.validations[1].loss == pytest.approx(plain.validations[1].loss + 0.3)
    assert pooled.validations[1].score == pytest.approx(0.9)


# ---------------------------------------------------------------------- the end of training


def past_best(*losses, on_evidence=True, n_epochs=None):
    """Ask two folds of two rows each, all of which had these losses at the start and after each epoch."""
    judges = [fold(Objective(squared_error()), ROWS[:2], (1.0, 0.0)) for _ in range(2)]
    for judge in judges:
        judge.errors = [Errors(torch.full((2,), loss), torch.full((2,), loss)) for loss in losses]
    last = len(losses) - 1
    return is_past_best(judges, range(len(losses)), n_epochs or last + 1, on_evidence)


@pytest.mark.parametrize(
    ("losses", "is_past"),
    [
        ((1.0, 1.0, 1.09), False),  # nothing is better than the start, but it is still near
        ((1.0, 1.0, 1.11), True),
        ((1.0, 0.99, 1.11), False),  # something was surely better: it may yet come back
        ((1.0, 0.99, 1.18), False),
        ((1.0, 0.99, 1.2), True),
        ((1.0, 0.5, 0.69), False),
        ((1.0, 0.5, 0.71), True),  # well below the start, but far above the best
        ((1.0, 0.01, 0.1), False),  # ten times the best, which is small
        ((-1.0, -1.0, 1.0), False),  # of such losses, shares say nothing
    ],
)
def test_the_best_epoch_is_past_where_losses_have_risen_far(losses, is_past):
    assert past_best(*losses) == is_past


def test_a_start_that_is_not_pca_is_left_without_evidence():
    assert past_best(1.0, 1.0, 1.11)
    assert not past_best(1.0, 1.0, 1.11, on_evidence=False)
    assert past_best(1.0, 1.0, 1.21, on_evidence=False)


def test_the_first_quarter_of_the_epochs_says_nothing():
    assert not past_best(1.0, 2.0, 3.0, n_epochs=9)
    assert past_best(1.0, 2.0, 3.0, n_epochs=8)


def test_one_row_that_gains_much_is_no_evidence():
    judges = [fold(Objective(squared_error()), ROWS, (1.0, 0.0)) for _ in range(2)]
    for judge in judges:
        rows = [[1.0, 1.0, 1.0], [0.9, 1.0, 1.0], [1.1, 1.1, 1.11]]
        judge.errors = [Errors(*[torch.tensor(losses)] * 2) for losses in rows]
    assert is_past_best(judges, range(3), 3, on_evidence=True)
    assert not is_past_best(judges, range(3), 3, on_evidence=False)


def test_folds_that_have_not_come_as_far_are_not_judged():
    judges = [fold(Objective(squared_error()), ROWS, (1.0, 0.0), (9.0, 9.0), (9.0, 9.0)) for _ in range(2)]
    assert is_past_best(judges, range(3), 3, on_evidence=True)
    judges[0].forget()
    assert not is_past_best(judges, range(3), 3, on_evidence=True)

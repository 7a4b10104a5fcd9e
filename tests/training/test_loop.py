"""The loop against a toy network of one number, so that every figure can be followed by hand."""

import math

import pytest
import torch
from torch import nn

from skae.objectives import Batch
from skae.training import Alone, DivergenceError, Run, Schedule, Validation, checked, train
from skae.training.steps import ReduceOnPlateau


class Number(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))


class OneBatch:
    n_batches = 1

    def epoch(self, generator):
        yield Batch(torch.zeros(1, 1), torch.zeros(1, 1))


class Toward:
    """Moves the number by `rate` each step; the loss is what `losses` says, then the number."""

    def __init__(self, network, rate=1.0, losses=()):
        self.network, self.rate, self.losses = network, rate, list(losses)
        self.schedule = Schedule()
        self.slowed = []

    def __call__(self, batch, progress):
        with torch.no_grad():
            self.network.value += self.rate
        loss = self.losses.pop(0) if self.losses else self.network.value.item()
        return {"reconstruction": torch.tensor(loss)}

    def slow_down(self, factor):
        self.slowed.append(factor)


def run(network, step, n_epochs=10, **options):
    objective = nn.Module()
    one = Run(network, objective, OneBatch(), n_epochs, torch.Generator(), **options)
    return checked(train([one], Alone(step, network, objective)))[0]


class Distance:
    """Judges the number by how far it is from the best one."""

    def __init__(self, network, best_at):
        self.network, self.best_at, self.kept = network, best_at, []

    def __call__(self):
        self.kept.append(self.network.value.item())
        return Validation(abs(self.kept[-1] - self.best_at), 0.0)

    def forget(self):
        self.kept.pop()


def test_the_best_epoch_is_kept():
    network = Number(0)
    history = run(network, Toward(network), validate=Distance(network, 3))
    assert (history.best_epoch, network.value.item()) == (3, 3.0)
    assert history.n_epochs == 10
    assert [v.loss for v in history.validations] == [3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7]


def test_the_start_is_a_candidate():
    network = Number(0)
    history = run(network, Toward(network), validate=Distance(network, -5))
    assert (history.best_epoch, network.value.item()) == (0, 0.0)


def test_without_validation_the_last_epoch_is_kept():
    network = Number(0)
    history = run(network, Toward(network))
    assert (history.best_epoch, network.value.item()) == (10, 10.0)
    assert history.loss_curve == list(range(1, 11))
    assert not history.validations


def test_patience_counts_epochs_without_improvement():
    network = Number(0)
    history = run(network, Toward(network), validate=Distance(network, 3), patience=2)
    assert (history.n_epochs, history.best_epoch) == (5, 3)


def test_improvements_below_the_tolerance_do_not_count():
    network = Number(0)
    # 100, 99.9, 99.8, ...: a tenth of a per cent each
    step = Toward(network, rate=0.1)
    history = run(network, step, validate=Distance(network, 100), patience=3, tol=0.01)
    assert history.n_epochs == 3


def test_patience_starts_after_the_warm_up():
    network = Number(0)
    step = Toward(network)
    step.schedule.warm_up = 0.5
    history = run(network, step, validate=Distance(network, 0), patience=2)
    assert history.n_epochs == 7


def test_divergence_goes_back_to_the_best_weights_and_slows_down():
    network = Number(0)
    step = Toward(network, losses=[1.0, 1.0, math.nan, 1.0])
    history = run(network, step, n_epochs=4, validate=Distance(network, 100))
    assert history.n_recoveries == 1
    assert step.slowed == [0.1]
    # two good epochs, one undone, two more
    assert network.value.item() == 4.0
    assert history.n_epochs == 4


def test_judges_keep_nothing_of_an_epoch_that_is_undone():
    network = Number(0)
    judge = Distance(network, 100)
    history = run(network, Toward(network, losses=[1.0, 1.0, math.nan, 1.0]), n_epochs=4, validate=judge)
    assert judge.kept == [0, 1, 2, 3, 4]
    assert len(history.validations) == 5


def test_weights_that_are_not_finite_are_never_kept():
    network = Number(0)
    step = Toward(network)
    step.slow_down = lambda factor: setattr(step, "rate", 1.0)
    step.rate = math.inf
    step.losses = [0.5] * 10
    history = run(network, step, n_epochs=2)
    assert history.n_recoveries == 1
    assert network.value.item() == 2.0


def test_divergence_that_does_not_stop_is_an_error():
    network = Number(7)
    with pytest.raises(DivergenceError, match="Lower learning_rate_init.*StandardScaler"):
        run(network, Toward(network, losses=[math.inf] * 20))


def test_an_interruption_keeps_the_best_weights():
    network = Number(0)

    def interrupt(epoch, history):
        if epoch == 4:
            raise KeyboardInterrupt

    history = run(network, Toward(network), validate=Distance(network, 2), on_epoch=interrupt)
    assert history.interrupted
    assert network.value.item() == 2.0


def test_a_true_answer_stops():
    network = Number(0)
    assert run(network, Toward(network), on_epoch=lambda epoch, history: epoch == 3).n_epochs == 3


class Listening(Schedule):
    def __init__(self):
        self.observed = []

    def observe(self, loss):
        self.observed.append(loss)


@pytest.mark.parametrize("held_out", [True, False])
def test_the_schedule_is_told_the_loss_that_judges_each_epoch(held_out):
    network = Number(0)
    step = Toward(network)
    step.schedule = Listening()
    run(network, step, n_epochs=3, validate=Distance(network, 10) if held_out else None)
    assert step.schedule.observed == ([9, 8, 7] if held_out else [1, 2, 3])


def test_an_epoch_that_is_undone_is_not_told_to_the_schedule():
    network = Number(0)
    step = Toward(network, losses=[1.0, math.nan, 2.0])
    step.schedule = Listening()
    run(network, step, n_epochs=2)
    assert step.schedule.observed == [1.0, 2.0]


def test_a_rate_is_reduced_on_a_plateau():
    network = Number(0)
    step = Toward(network)
    step.schedule = ReduceOnPlateau()
    run(network, step, n_epochs=6, validate=lambda: Validation(1.0, 0.0))
    # The first loss is the best so far; the five that follow are no better.
    assert step.schedule.factor(0.5) == pytest.approx(0.2)


def test_the_start_is_what_patience_is_counted_from():
    network = Number(0)
    assert run(network, Toward(network), validate=Distance(network, 0), patience=1).n_epochs == 1
    network = Number(0)
    assert run(network, Toward(network, losses=[3.0, 3.0, 3.0]), patience=1).n_epochs == 2

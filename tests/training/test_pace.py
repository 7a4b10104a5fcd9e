"""Schedules that end with the time, by a clock that goes on with every look at it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

import skae
from skae.estimators.base import Job
from skae.networks import Convolutional
from skae.training import pace as paces
from skae.training.checkpoint_file import CheckpointFile
from skae.training.loop import train
from skae.training.pace import Clock, Knot, Pace

A, B = np.random.RandomState(0).standard_normal((2, 150))
# Columns of which components that bend explain much more.
ROWS = np.column_stack([A, B, A**2, A * B, B**2, A + B**3])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that a test sets, in seconds."""
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(paces, "time", clock)
    return clock


@pytest.fixture
def ticking(monkeypatch):
    """Let each look at the clock take a hundredth of a second, so that a step takes as long."""
    ticks = itertools.count()
    monkeypatch.setattr(paces, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 100))


def run(pace, clock, n_steps, seconds):
    """Make the steps of a schedule until it is over; return the progress before each."""
    found = []
    for step in range(n_steps):
        found.append(pace.progress(step / n_steps))
        clock.now += seconds(step)
        pace.step((step + 1) / n_steps)
        if pace.is_over:
            break
    return found


def test_a_schedule_that_fits_is_left_alone(clock):
    pace = Pace(10.0, [Knot(0.0, 0.0, 1.0)])
    assert run(pace, clock, 1000, lambda step: 0.0099) == [step / 1000 for step in range(1000)]
    assert not pace.is_shortened


@pytest.mark.parametrize("seconds", [0.02, 0.1, 1.0])
def test_a_schedule_that_does_not_fit_ends_with_the_time(seconds, clock):
    pace = Pace(100.0, [Knot(0.0, 0.0, 1.0)])
    found = run(pace, clock, 10_000, lambda step: seconds)
    assert found == sorted(found)
    assert len(found) == pytest.approx(100 / seconds, rel=0.02)
    assert found[-1] == pytest.approx(1.0, abs=0.03)


def test_a_machine_that_becomes_slower_is_noticed(clock):
    pace = Pace(10.0, [Knot(0.0, 0.0, 1.0)])
    found = run(pace, clock, 1000, lambda step: 0.005 if step < 500 else 0.05)
    assert found[:501] == [step / 1000 for step in range(501)]
    assert found[-1] > 0.9
    assert clock.now <= 10.05


def test_the_first_steps_are_not_measured(clock):
    pace = Pace(10.0, [Knot(0.0, 0.0, 1.0)])
    found = run(pace, clock, 1000, lambda step: 0.5 if step < 2 else 0.005)
    assert found == [step / 1000 for step in range(1000)]


def test_later_trainings_follow_the_first(clock):
    time = Clock(100.0)
    first = time.pace(0.5)
    found = run(first, clock, 1000, lambda step: 0.2)
    assert first.is_shortened
    second = time.pace(1.0)
    # Twice as fast, and yet the same schedule.
    again = run(second, clock, 1000, lambda step: 0.1)
    assert again[: len(found)] == found
    assert len(again) <= len(found) + 10


def test_training_stops_in_the_midst_of_a_schedule_that_it_follows(clock):
    time = Clock(100.0)
    run(time.pace(0.5), clock, 1000, lambda step: 0.2)
    run(time.pace(1.0), clock, 1000, lambda step: 1.0)
    assert clock.now <= 100


def test_as_many_weights_are_kept_of_a_schedule_that_is_run_through_faster(clock):
    pace = Pace(10.0, [Knot(0.0, 0.0, 1.0), Knot(0.0, 0.0, 10.0)])
    kept = [epoch for epoch in range(1, 11) if pace.keeps(epoch, [0, 20, 50, 100], 100)]
    assert kept == [2, 5, 10]
    pace.is_over = True
    assert pace.keeps(3, [0, 20], 100)
    assert not pace.keeps(3, [], 100)


WAYS = {
    "split": {"validation_fraction": 0.2},
    "folds": {},
    "folds one after the other": {"network": Convolutional((1, 2, 3), channels=(2,))},
    "nothing held out": {"early_stopping": False},
    "several starts": {"n_init": 2},
    "layerwise": {"pretrain": "layerwise", "validation_fraction": 0.2},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_that_ends_earlier_is_as_without_a_limit(way):
    model = skae.AutoencoderTransformer(2, max_iter=3, random_state=0, **WAYS[way]).fit(ROWS)
    limited = clone(model).set_params(max_time=3600).fit(ROWS)
    np.testing.assert_array_equal(limited.transform(ROWS), model.transform(ROWS))
    assert limited.loss_curve_ == model.loss_curve_
    assert limited.validation_scores_ == model.validation_scores_


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_ends_with_the_time_and_with_what_it_has_learnt(way, ticking):
    # About four hundred looks at the clock, and as many steps.
    model = skae.AutoencoderTransformer(2, max_iter=1000, max_time=4, random_state=0, **WAYS[way]).fit(ROWS)
    assert 3 <= model.n_iter_ < 200
    assert 0 < model.best_iter_ <= model.n_iter_
    if model.pca_score_ is not None:
        assert model.validation_score_ > model.pca_score_


def test_a_limit_ends_an_epoch_before_its_last_step(ticking):
    model = skae.AutoencoderTransformer(2, max_iter=300, max_time=1, batch_size=1, early_stopping=False)
    assert model.fit(ROWS).n_iter_ == 1
    assert np.isfinite(model.loss_curve_).all()


def test_a_fit_that_goes_on_has_the_time_that_is_left(ticking, tmp_path):
    path = tmp_path / "fit.skae"
    model = skae.AutoencoderTransformer(
        2, max_iter=300, max_time=1, random_state=0, checkpoint=path, checkpoint_every=1, **WAYS["split"]
    )

    class Killed(BaseException):
        pass

    real, n_writes = CheckpointFile.write, itertools.count(1)

    def write(self, states):
        real(self, states)
        if next(n_writes) == 12:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointFile, "write", write)
        with pytest.raises(Killed):
            model.fit(ROWS)
    knots = CheckpointFile(path).states[-1]["pace"]
    assert len(knots) > 1
    model.fit(ROWS)
    assert 12 < model.n_iter_ < 100


def test_seconds_are_those_of_one_fit():
    assert Job(skae.AutoencoderTransformer(2), ROWS).can_join
    assert not Job(skae.AutoencoderTransformer(2, max_time=1), ROWS).can_join


@pytest.mark.parametrize("max_time", [0, -1.0, "1 s"])
def test_times_that_are_none_are_refused(max_time):
    with pytest.raises(ValueError, match="max_time"):
        skae.AutoencoderTransformer(2, max_time=max_time).fit(ROWS)


def test_layers_that_are_trained_before_are_given_a_share_of_the_time_each(monkeypatch):
    shares = []
    own = Clock.pace_of_layer
    monkeypatch.setattr(Clock, "pace_of_layer", lambda clock: shares.append(own(clock)) or shares[-1])
    followed = []
    monkeypatch.setattr(
        "skae.training.layerwise.train",
        lambda runs, steps, keeper, pace: followed.append(pace) or train(runs, steps, keeper, pace),
    )
    settings = {"pretrain": "layerwise", "validation_fraction": 0.2, "hidden_layer_sizes": (6, 4, 3)}
    skae.AutoencoderTransformer(2, max_iter=2, max_time=3600, random_state=0, **settings).fit(ROWS)
    # Of three hidden layers and the code, all but the code, which a linear path stands beside.
    assert len(shares) == 3
    assert followed == shares

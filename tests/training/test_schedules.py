import numpy as np
import pytest

from skae.training.steps import SCHEDULES, OneCycle, ReduceOnPlateau


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_lie_between_zero_and_one(name):
    factors = [SCHEDULES[name]().factor(progress) for progress in np.linspace(0, 1, 101)]
    assert min(factors) >= 0
    assert max(factors) <= 1


def test_one_cycle_rises_and_falls():
    schedule = OneCycle()
    factors = [schedule.factor(progress) for progress in np.linspace(0, 1, 101)]
    assert np.argmax(factors) == 25
    assert factors[0] == pytest.approx(0.04)
    assert factors[25] == pytest.approx(1)
    assert factors[-1] == pytest.approx(0, abs=1e-12)
    assert (np.diff(factors[:26]) > 0).all()
    assert (np.diff(factors[25:]) < 0).all()


def test_one_cycle_rises_over_the_share_that_is_wanted():
    schedule = OneCycle(0.1)
    factors = [schedule.factor(progress) for progress in np.linspace(0, 1, 101)]
    assert np.argmax(factors) == 10
    assert factors[-1] == pytest.approx(0, abs=1e-12)


def test_a_plateau_divides_by_five():
    schedule = ReduceOnPlateau()
    for loss in [1.0, 0.9, *[0.9] * 4]:
        schedule.observe(loss)
    assert schedule.factor(0.5) == 1
    schedule.observe(0.9)
    assert schedule.factor(0.5) == pytest.approx(0.2)

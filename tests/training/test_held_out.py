import numpy as np
import pytest

from skae.training import choose_epoch, explained


def losses_of(*means, n_rows=100, noise=0.0, seed=0):
    random = np.random.RandomState(seed)
    return np.array([mean + noise * random.standard_normal(n_rows) for mean in means])


def test_a_clear_gain_is_taken():
    assert choose_epoch(losses_of(1.0, 0.8, 0.5, 0.6, noise=0.1)) == 2


def test_a_gain_within_the_noise_is_not():
    losses = losses_of(1.0, 0.99, 1.1, noise=5.0)
    losses[1] = losses[0] - 0.01 + 5.0 * np.random.RandomState(9).standard_normal(100)
    losses[1] += losses[0].mean() - 0.01 - losses[1].mean()
    assert choose_epoch(losses) == 0


def test_a_gain_that_rests_on_one_row_is_not():
    losses = losses_of(1.0, 1.0, n_rows=50)
    losses[0, 0] = 30.0
    assert choose_epoch(losses) == 0


def test_the_start_stays_if_nothing_is_better():
    assert choose_epoch(losses_of(1.0, 1.5, 1.2)) == 0


@pytest.mark.parametrize(
    ("missed", "total", "expected"), [(1.0, 4.0, 0.75), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (6.0, 3.0, -1.0)]
)
def test_variance_explained(missed, total, expected):
    assert explained(missed, total) == expected

"""Models in a stack are the models trained alone."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import skae
from skae.estimators.base import Job, fit_together
from skae.networks import Dense
from skae.training import fits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(seed, n_rows=70):
    random = np.random.RandomState(seed)
    return random.standard_normal((n_rows, 3)) @ random.standard_normal(
        (3, 6)
    ) + 0.1 * random.standard_normal((n_rows, 6))


class Stacks(list):
    """Numbers of members of the stacks that were trained."""

    def __call__(self, models):
        self.append(len(models))
        return self.steps(models)


@pytest.fixture
def stacks(monkeypatch) -> Iterator[Stacks]:
    found = Stacks()
    found.steps = fits._steps
    monkeypatch.setattr(fits, "_steps", found)
    return found


# Rates, decays, clips and seeds differ; so do rows.
OWN = (
    {"random_state": 0, "weight_decay": 0.1},
    {"random_state": 1, "learning_rate_init": 0.003, "weight_decay": 0.0},
    {"random_state": 2, "gradient_clip": 0.05},
)


def members(estimator, own=OWN):
    return [copy.deepcopy(estimator).set_params(**settings) for settings in own]


def brief(estimator):
    return estimator.set_params(max_iter=3, batch_size=16, early_stopping=False)


def weights(model):
    return {**model.network_.state_dict(), **model.objective_.state_dict()}


def assert_equal(one, other):
    # Tables are so small that all is float64. Where a gradient is zero but for rounding, as at the PCA start,
    # Adam makes steps of it that are 1e8 times as large.
    found, expected = weights(one), weights(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype in (torch.float64, torch.bool, torch.int64)
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-6)


SPARSE = skae.SparseAutoencoderTransformer
SETTINGS = {
    "plain": skae.AutoencoderTransformer(2),
    "sparse without revival": SPARSE(9, n_active=3, revival=None),
    **{
        f"{penalty}, {revival}": SPARSE(9, n_active=2, penalty=penalty, revival=revival)
        for penalty in ("topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl")
        for revival in ("resample", "auxiliary")
    },
    "sparse, deep dictionary": SPARSE(9, n_active=2, hidden_layer_sizes=(5,)),
    "sparse, dense": SPARSE(4, penalty="l1", network=Dense((5,))),
    "tied": SPARSE(4, penalty="l1", network=Dense((5,), tied_weights=True)),
}


@pytest.mark.parametrize("estimator", SETTINGS.values(), ids=SETTINGS.keys())
def test_members_are_what_they_are_alone(estimator, stacks):
    together, alone = (members(brief(copy.deepcopy(estimator))) for _ in range(2))
    tables = [table(seed) for seed in range(3)]
    errors = fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)])
    assert errors == [None] * 3
    assert stacks == [3]
    for one, other, X in zip(together, alone, tables, strict=True):
        assert_equal(one, other.fit(X))

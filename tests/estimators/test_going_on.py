"""What a warm start and further rows take over from before, and what they leave alone."""

import numpy as np
import pytest
import torch

import skae

BRIEF = {"max_iter": 2, "random_state": 0, "early_stopping": False}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rows():
    random = np.random.RandomState(0)
    return random.standard_normal((300, 5)) @ random.standard_normal((5, 8))


@pytest.mark.parametrize(
    ("model", "learnt"),
    [
        (skae.AdversarialAutoencoderTransformer(2, **BRIEF), "critic"),
        (skae.VariationalAutoencoderTransformer(2, **BRIEF), "log_variance"),
        (skae.AutoencoderTransformer(3, ordered=True, **BRIEF), "levels"),
    ],
    ids=["critic", "variance", "levels"],
)
def test_a_warm_start_keeps_what_the_objective_has_learnt(model, learnt, rows):
    model.set_params(warm_start=True).fit(rows)
    before = {name: value.clone() for name, value in model.objective_.state_dict().items()}
    assert [name for name in before if learnt in name]
    # Steps of no length, from other streams of randomness and on other rows.
    model.set_params(learning_rate_init=1e-12, random_state=1).fit(2 * rows[::-1])
    for name, value in model.objective_.state_dict().items():
        torch.testing.assert_close(value, before[name], msg=name)


def test_a_cold_start_forgets_what_the_objective_had_learnt(rows):
    model = skae.AdversarialAutoencoderTransformer(2, **BRIEF).fit(rows)
    before = [value.clone() for value in model.objective_.state_dict().values()]
    model.set_params(learning_rate_init=1e-12).fit(rows)
    assert any(
        not torch.equal(one, other)
        for one, other in zip(model.objective_.state_dict().values(), before, strict=True)
    )


def test_a_warm_start_takes_new_parameters_of_the_objective(rows):
    model = skae.VariationalAutoencoderTransformer(2, beta=1e-3, warm_start=True, **BRIEF).fit(rows)
    before = model.transform(rows).var()
    assert model.set_params(beta=100.0, max_iter=20).fit(rows).transform(rows).var() < 0.1 * before


def atoms(model):
    return model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)


def test_components_that_a_part_of_the_rows_does_not_use_stay_as_they_are(rows):
    """Rows of one call do not need them, rows of the next one may: nothing starts again."""
    model = skae.SparseAutoencoderTransformer(32, n_active=1, **BRIEF).fit(rows)
    unused = ~model.transform(rows[:3]).any(axis=0)
    assert unused.sum() >= 29
    before = atoms(model)
    model.partial_fit(rows[:3])
    np.testing.assert_allclose(atoms(model)[unused], before[unused], atol=1e-5)


def test_components_that_no_row_uses_start_again_in_a_fit(rows):
    """What the test above rules out does happen where it should."""
    settings = {"n_active": 1, "batch_size": 3, "learning_rate_init": 1e-12, **BRIEF}
    fits = [skae.SparseAutoencoderTransformer(32, revival=way, **settings) for way in ("resample", None)]
    (first, second) = (atoms(model.fit(rows[:3].repeat(2, axis=0))) for model in fits)
    assert np.abs(first - second).max() > 0.1

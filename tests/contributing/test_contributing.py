"""The variant that CONTRIBUTING.md shows is one that runs."""

import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import shrinking
from shrinking import ShrinkingAutoencoderTransformer
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import skae

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
BRIEF = {"max_iter": 10, "random_state": 0, "early_stopping": False}


def test_it_is_the_code_that_runs():
    (shown,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)
    assert shown == Path(shrinking.__file__).read_text()


def test_it_does_what_it_says(curve):
    norms = {
        alpha: np.square(ShrinkingAutoencoderTransformer(3, alpha=alpha, **BRIEF).fit_transform(curve))
        .sum(axis=1)
        .mean()
        for alpha in (0.0, 0.01, 1.0)
    }
    assert norms[1.0] < 0.5 * norms[0.01] < 0.5 * norms[0.0]
    plain = skae.AutoencoderTransformer(3, input_noise=0.0, weight_decay=0.1, **BRIEF).fit_transform(curve)
    # Gradients of the plain one are written by hand, which is the same but for rounding.
    np.testing.assert_allclose(
        ShrinkingAutoencoderTransformer(3, alpha=0.0, **BRIEF).fit_transform(curve), plain, atol=1e-5
    )


def test_it_is_a_variant_like_the_others(curve):
    model = ShrinkingAutoencoderTransformer(2, **BRIEF).fit(curve)
    codes = model.transform(curve)
    assert model.inverse_transform(codes).shape == curve.shape
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(curve), codes)
    assert "code_norm" in dict(model.objective_.named_penalties())
    assert repr(clone(model).set_params(alpha=0.5)).startswith("ShrinkingAutoencoderTransformer(alpha=0.5")
    # Described where it adds something, and by the base elsewhere.
    described = inspect.getdoc(ShrinkingAutoencoderTransformer)
    assert "alpha : float, default=0.01" in described
    assert "n_components : int" in described
    with pytest.raises(ValueError, match="'alpha' parameter"):
        clone(model).set_params(alpha=-1.0).fit(curve)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_passes_scikit_learn_s_checks():
    check_estimator(ShrinkingAutoencoderTransformer(max_iter=1, early_stopping=False))

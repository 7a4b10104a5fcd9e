"""Each estimator in a stacked search, as the engine trains it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.networks import Recurrent
from skae.selection import StackedGridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
VARIANTS = [getattr(skae, name) for name in skae.__all__ if name.endswith("Transformer")]


def rows(n=80):
    random = np.random.RandomState(0)
    return random.standard_normal((n, 3)) @ random.standard_normal((3, 6)) + 1


def scores(model, grid, X):
    """Return the scores of both searches, those of folds by candidate, and of training rows."""
    found = [
        cls(model, grid, cv=2, return_train_score=True, error_score="raise", refit=False).fit(X)
        for cls in (GridSearchCV, StackedGridSearchCV)
    ]
    return [
        np.array([search.cv_results_[f"split{k}_{part}_score"] for k in (0, 1) for part in ("test", "train")])
        for search in found
    ]


@pytest.mark.parametrize("held_out", [{}, {"validation_fraction": 0.3}, {"early_stopping": False}])
@pytest.mark.parametrize("cls", VARIANTS)
def test_scores_are_those_of_single_fits(cls, held_out):
    model = cls(2, max_iter=2, hidden_layer_sizes=(8,), random_state=0, **held_out)
    pipe = Pipeline([("scale", StandardScaler()), ("codes", model)])
    grid = {"codes__n_components": [1, 3], "codes__learning_rate_init": [0.003, 0.02]}
    alone, stacked = scores(pipe, grid, rows())
    # Within what training makes of rounding.
    np.testing.assert_allclose(stacked, alone, atol=0.01)
    assert len(np.unique(alone.round(6))) > 4


@pytest.mark.parametrize(
    "grid",
    [
        {"hidden_layer_sizes": [(), (4,), (4, 3)]},
        {"activation": ["relu", "tanh"], "linear_path": [True, False]},
        {"solver": ["adam", "sgd", "lbfgs"]},
        {"loss": ["squared_error", "huber"], "l1_weights": [0.0, 0.01]},
        {"n_components": [1, 2, 5, 9], "gradient_clip": [None, 0.1]},
        {"random_state": [0, 1, 2], "dropout": [0.0, 0.2]},
        {"max_iter": [1, 2], "batch_size": [16, 20], "tied_weights": [True, False]},
        {"ordered": [False, True], "scaling": ["none", "standard"]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_grids_over_anything(grid):
    model = skae.AutoencoderTransformer(
        2, max_iter=2, hidden_layer_sizes=(6,), validation_fraction=0.3, random_state=0
    )
    alone, stacked = scores(model, grid, rows())
    np.testing.assert_allclose(stacked, alone, atol=0.01)


def test_tables_of_several_kinds_and_gaps():
    X = rows()
    X[::7, 2] = np.nan
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(word=np.where(X[:, 0] > 1, "wet", "dry"))
    model = skae.AutoencoderTransformer(max_iter=2, validation_fraction=0.3, random_state=0)
    alone, stacked = scores(model, {"n_components": [1, 2], "weight_decay": [0.0, 0.1]}, frame)
    np.testing.assert_allclose(stacked, alone, atol=0.01)


def test_sequences():
    X = rows().reshape(80, 3, 2)
    network = Recurrent(n_timesteps=3, hidden_size=4)
    model = skae.AutoencoderTransformer(max_iter=1, network=network, validation_fraction=0.3, random_state=0)
    alone, stacked = scores(model, {"n_components": [1, 2]}, X)
    np.testing.assert_allclose(stacked, alone, atol=0.01)

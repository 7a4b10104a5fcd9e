"""Models that predict y from codes, and how they are scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import check_scoring
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae._typing import Model
from skae.compare._checks import are_classes

NAMES = ("linear", "neighbors", "boosting")
_N_NEIGHBORS = 10


class Judge(NamedTuple):
    """A model on the codes, and its scorer."""

    name: str
    model: Model
    score: Any  # a scorer, called with a fitted model, codes and y


class Target(NamedTuple):
    """What y is, and what it is predicted by."""

    is_classes: bool
    judges: list[Judge]
    scoring: str | None  # what scores are called


def target_of(y: np.ndarray | None, downstream: object, scoring: object) -> Target:
    """Return the models on the codes, with their scorers.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or None
        Classes or numbers.
    downstream, scoring : object
        As the user passed them.

    Returns
    -------
    target : Target

    Raises
    ------
    TypeError
        If something is no model, or no scorer.
    ValueError
        If there is no y, models are of different kinds, or a name is unknown.
    """
    if y is None:
        for name, given in (("downstream", downstream), ("scoring", scoring)):
            if given is not None:
                raise ValueError(
                    f"{name} needs y, which it is measured by; got y=None. Pass y, or leave it out."
                )
        return Target(False, [], None)
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(f"scoring must be the name of one scorer or a callable; got {scoring!r}.")
    models = _named_models(NAMES if downstream is None else downstream, y)
    is_classes = _predict_classes(models, are_classes(y))
    scorer, called = _scorer(scoring, list(models.values()), is_classes, len(np.unique(y)) == 2)
    judges = [Judge(name, model, check_scoring(model, scorer)) for name, model in models.items()]
    return Target(is_classes, judges, called)


def _named_models(downstream: object, y: np.ndarray) -> dict[str, Model]:
    """Return models by name, those that are known by a name as estimators."""
    known = _known(y)
    found: dict[str, Model] = {}
    for name, given in _pairs(downstream):
        model = known.get(given) if isinstance(given, str) else given
        if isinstance(model, type) or not isinstance(model, Model) or not hasattr(model, "predict"):
            raise TypeError(
                "downstream must be an estimator with fit and predict, one or several of "
                f"{list(NAMES)}, or a dict of estimators by name; got {given!r}."
            )
        if not isinstance(name, str) or name.endswith("_std") or name in found:
            raise ValueError(
                "Names of models in downstream must be text, all different, and must not end in '_std', as "
                f"columns of standard deviations do; got {name!r}."
            )
        found[name] = model
    if not found:
        raise ValueError("downstream must hold at least one model; got none. None takes three of them.")
    return found


def _pairs(downstream: object) -> list[tuple[object, object]]:
    """Return names and models, as passed."""
    if isinstance(downstream, str):
        return [(downstream, downstream)]
    if isinstance(downstream, Mapping):
        return list(downstream.items())
    if hasattr(downstream, "fit") or not isinstance(downstream, Iterable):
        return [("downstream", downstream)]
    return [(one if isinstance(one, str) else "downstream", one) for one in downstream]


def _known(y: np.ndarray) -> dict[str, Model]:
    """Return a model of each kind.

    Neighbours are found in codes as they are: distances between codes belong to the reducer.
    """
    # Two folds leave half of the rows for training, and more neighbours than rows are an error.
    n_neighbors = min(_N_NEIGHBORS, len(y) // 2)
    if are_classes(y):
        return {
            "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            "neighbors": KNeighborsClassifier(n_neighbors),
            "boosting": HistGradientBoostingClassifier(random_state=0),
        }
    return {
        "linear": make_pipeline(StandardScaler(), Ridge()),
        "neighbors": KNeighborsRegressor(n_neighbors),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }


def _predict_classes(models: dict[str, Model], is_classes: bool) -> bool:
    """Return whether models predict classes; they must agree."""
    kinds = {
        name: is_classifier(model) or (is_classes and not is_regressor(model))
        for name, model in models.items()
    }
    if len(set(kinds.values())) > 1:
        listed = ", ".join(
            f"{name!r} predicts {'classes' if kind else 'numbers'}" for name, kind in kinds.items()
        )
        raise ValueError(
            f"All models in downstream must predict the same, so that one scorer suits them; {listed}. "
            "Compare classifiers and regressors one after the other."
        )
    return next(iter(kinds.values()))


def _scorer(scoring: object, models: list[Model], is_classes: bool, is_binary: bool) -> tuple[object, str]:
    """Return what `check_scoring` takes, and the name of the score."""
    if scoring is not None:
        function = getattr(scoring, "_score_func", scoring)
        return scoring, scoring if isinstance(scoring, str) else getattr(function, "__name__", "score")
    if not is_classes:
        return None, "R2"
    ranks = all(hasattr(model, "decision_function") or hasattr(model, "predict_proba") for model in models)
    # The accuracy of two classes of which one is rare says hardly more than how rare it is.
    return ("roc_auc", "ROC AUC") if is_binary and ranks else (None, "accuracy")

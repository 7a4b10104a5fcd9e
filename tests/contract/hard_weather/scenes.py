"""Scenes of hard weather: an estimator, a table to fit it on, and calls of its methods in some order.

A scene is drawn from the name of the estimator, a seed and a number, and nothing else, so that it can be
played again by itself::

    python tests/contract/hard_weather/scenes.py AutoencoderTransformer 0 17
"""

import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
from answers import LEARNS, ROWS_OUT, is_empty, wrong_answer
from hard_settings import ESTIMATORS, settings, weights
from hard_tables import ROWS, Recipe, anything, n_rows, numbers, pick
from judge import Verdict, judged
from sklearn.base import clone

from skae import AutoencoderTransformer

# An argument that the answer may depend on, so that numpy's global generator is drawn from without it.
SEEDED = ("sample", "sample_posterior", "sample_missing", "sample_imputations")
COUNTS = [0, -1, 1, 2, 3, 3, True, "2", 1.0, 2.5, np.nan, None, 10**12, np.int64(2), [1]]
SEEDS = [None, 0, 0, 1, np.random.RandomState(3), -1, "seed", 1.5]
FLAGS = [True, False, None, "yes", 1, np.nan]


class Scene:
    """One estimator in one weather.

    Parameters
    ----------
    name : str
        Of the estimator.
    seed, number : int
        What all is drawn from.
    """

    def __init__(self, name: str, seed: int, number: int) -> None:
        place = list(ESTIMATORS).index(name)
        self.random = np.random.RandomState([place, seed, number])
        self.name = name
        chosen, self.is_fair = settings(self.random, name)
        self.estimator: Any = ESTIMATORS[name][0](**chosen)
        brief = ESTIMATORS[name][1]
        self.odd = {key: value for key, value in chosen.items() if brief.get(key, self) is not value}
        self.recipe = Recipe(self.random)
        self.is_begun, self.empty = False, np.zeros(0, dtype=bool)

    def __repr__(self) -> str:
        return f"{self.odd} on {self.recipe}"

    def play(self) -> Iterator[Verdict]:
        """Make the calls of the scene one after the other, and say how each ended."""
        random = self.random
        if random.random_sample() < 0.1:
            yield self._call(pick(random, self._methods()), self._later())
        if random.random_sample() < 0.1 and hasattr(self.estimator, "set_output"):
            self.estimator.set_output(transform=pick(random, ["pandas", "polars", "default"]))
        n = int(pick(random, *ROWS))
        X = self.recipe.make(random, n) if random.random_sample() < 0.93 else anything(random, 20, 5)
        first = pick(
            random,
            [
                way
                for way in ("fit", "fit", "fit", "fit_transform", "fit_predict", "partial_fit")
                if hasattr(self.estimator, way)
            ],
        )
        weight = None
        if self._takes_weights() and random.random_sample() < 0.25:
            weight = weights(random, n)
        yield (verdict := self._learn(first, X, weight))
        if verdict.outcome != "answer":
            # What was refused must not spoil what comes after it, with fair parameters and a fair table.
            self.estimator.set_params(**_fair(self.name, self.estimator))
            self.recipe = Recipe(random, pick(random, ["array", "frame", "list"]))
            self.recipe.dtype, self.recipe.seed = "float64", 1
            X = numbers(random, 20, self.recipe.n_columns)
            yield (verdict := self._learn("fit", X, None, never_refused=True))
            self.recipe.container = "array"
        if verdict.outcome == "answer":
            yield from self._use()

    # ------------------------------------------------------------------ inside

    def _use(self) -> Iterator[Verdict]:
        for _ in range(pick(self.random, [5, 7, 9])):
            X = self._later()
            yield self._call(pick(self.random, self._methods()), X)

    def _learn(self, way: str, X: Any, weight: Any, never_refused: bool = False) -> Verdict:
        given = {} if weight is None else {"sample_weight": weight}
        call = f"{way}({_shown(X)}{', sample_weight=' + _shown(weight) if given else ''})"
        verdict = judged(
            call,
            lambda: getattr(self.estimator, way)(X, **given),
            (X, weight),
            self.estimator,
            learns=True,
            draws=_draws(self.estimator),
            never_refused=never_refused,
            wanted=lambda answer: wrong_answer(self.estimator, way, X, answer, self.empty),
        )
        if verdict.outcome == "answer":
            if way != "partial_fit" or not self.is_begun:
                self.empty = is_empty(X)
            self.is_begun = True
        return verdict

    def _takes_weights(self) -> bool:
        return "sample_weight" in inspect.signature(self.estimator.fit).parameters

    def _methods(self) -> list[str]:
        known = [*ROWS_OUT, "inverse_transform", "inverse_transform", "score", "get_feature_names_out"]
        known += ["sample", "partial_fit", "fit", "truncated", "pickle", "clone", "repr"]
        return [
            name for name in known if name in ("pickle", "clone", "repr") or hasattr(self.estimator, name)
        ]

    def _later(self) -> Any:
        """Return rows for a method: like those of training, as a rule."""
        random = self.random
        chance = random.random_sample()
        if chance < 0.08:
            return anything(random, 6, self.recipe.n_columns)
        if chance < 0.12:
            return Recipe(random).make(random, 5)
        return self.recipe.make(
            random,
            int(pick(random, [0, 1, 3, 7, 20], [0.05, 0.3, 0.3, 0.3, 0.05])),
            calm=random.random_sample() < 0.4,
        )

    def _call(self, method: str, X: Any) -> Verdict:
        """Call a method by chance with odd arguments."""
        if method in LEARNS:
            return self._learn(method, X, None)
        function, inputs, said = self._prepared(method, X)
        return judged(
            f"{method}({said})",
            function,
            inputs,
            self.estimator,
            draws=method in SEEDED and inputs[1].get("random_state") is None,
            wanted=lambda answer: wrong_answer(
                self.estimator, method, inputs[0] if inputs else None, answer, self.empty
            ),
        )

    def _prepared(self, method: str, X: Any) -> tuple[Callable[[], Any], tuple[Any, ...], str]:
        if method == "pickle":
            return lambda: pickle.loads(pickle.dumps(clone(self.estimator))), (), ""
        if method == "clone":
            return lambda: clone(self.estimator), (), ""
        if method == "repr":
            return lambda: repr(self.estimator) + self.estimator._repr_html_(), (), ""
        called = getattr(self.estimator, method)
        if method == "inverse_transform":
            Z = self._codes(X)
            return lambda: called(Z), (Z,), _shown(Z)
        options = self._options(method, X)
        said = ", ".join(f"{name}={_shown(value)}" for name, value in options.items())
        if method in ("sample", "truncated", "get_feature_names_out"):
            return lambda: called(**options), (None, options), said
        return lambda: called(X, **options), (X, options), f"{_shown(X)}, {said}"

    def _options(self, method: str, X: Any) -> dict[str, Any]:
        """Return arguments beside the rows: none, fair or odd ones."""
        random = self.random
        few = [count for count in COUNTS if count != 10**12]  # a list of tables, which would take days
        pools: dict[str, dict[str, list[Any]]] = {
            "reconstruction_error": {"per_feature": FLAGS},
            "top_activating": {"component": [0, 0, *COUNTS], "n": COUNTS},
            "sample": {"n_samples": COUNTS, "random_state": SEEDS, "noise": FLAGS},
            "sample_posterior": {"n_samples": COUNTS, "random_state": SEEDS},
            "sample_missing": {"n_samples": few, "random_state": SEEDS},
            "sample_imputations": {"n_samples": few, "random_state": SEEDS},
            "feature_contributions": {"units": ["data", "deviations", "metres", None, 1]},
            "truncated": {"n_components": COUNTS},
            "get_feature_names_out": {"input_features": [None, ["a"], "a", [1, 2], np.array(["x", "y"])]},
        }
        if method == "score_samples" and "Variational" in self.name:
            pools["score_samples"] = {"n_importance": COUNTS}
        if method == "transform" and "Variational" in self.name:
            pools["transform"] = {"return_std": [True, False]}
        chosen = {
            name: deepcopy(pick(random, values))
            for name, values in pools.get(method, {}).items()
            if random.random_sample() < 0.6 or name in ("component",)
        }
        if method == "truncated":
            chosen.setdefault("n_components", 1)
        if method == "score" and random.random_sample() < 0.4 and hasattr(X, "shape") and X.shape:
            chosen["sample_weight"] = weights(random, n_rows(X))
        return chosen

    def _codes(self, X: Any) -> Any:
        """Return codes to decode: such as `transform` gives, laid out anew, extreme, or wrong."""
        random = self.random
        try:
            Z = np.asarray(self.estimator.transform(self.recipe.make(random, 5, calm=True)), dtype=float)
        except Exception:
            Z = numbers(random, 5, 2)
        changes: list[Callable[[Any], Any]] = [
            lambda Z: Z,
            lambda Z: Z[::-1],
            lambda Z: Z[:, ::-1],
            lambda Z: np.broadcast_to(Z[:1], Z.shape),
            lambda Z: np.asfortranarray(Z),
            lambda Z: Z.astype("float32"),
            lambda Z: Z.astype("float16"),
            lambda Z: Z.astype(">f8"),
            lambda Z: Z.astype("longdouble"),
            lambda Z: Z.tolist(),
            lambda Z: Z.astype(object),
            lambda Z: np.nan_to_num(Z).round().clip(-100, 100).astype("int8"),
            lambda Z: pd.DataFrame(Z),
            lambda Z: np.full(Z.shape, 1e37, dtype="float32"),
            lambda Z: np.full(Z.shape, 3e38, dtype="float32"),
            lambda Z: Z * 1e200,
            lambda Z: Z * 1e308,
            lambda Z: np.full_like(Z, np.nan),
            lambda Z: np.full_like(Z, np.inf),
            lambda Z: Z[:, :1],
            lambda Z: np.hstack([Z, Z]),
            lambda Z: Z[0],
            lambda Z: Z[:0],
            lambda Z: Z > 0,
            lambda Z: Z + 1j,
            lambda Z: None,
            lambda Z: "codes",
            lambda Z: [["a"] * Z.shape[1]],
            lambda Z: X,
        ]
        with np.errstate(all="ignore"):
            return pick(random, changes)(Z)


def _draws(estimator: Any) -> bool:
    """Whether training draws from numpy's global generator, as `random_state=None` says."""
    inner = getattr(estimator, "estimator", None)
    return estimator.random_state is None or getattr(inner, "random_state", 0) is None


def _fair(name: str, estimator: Any) -> dict[str, Any]:
    cls, brief = ESTIMATORS[name]
    return {**cls().get_params(deep=False), **brief}


def _shown(value: Any) -> str:
    """Say in a few words what was passed."""
    shape = getattr(value, "shape", None)
    if shape is not None and shape != ():
        return f"{type(value).__name__} {tuple(shape)} {getattr(value, 'dtype', '')}"
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def calls(name: str, seed: int, most: int) -> Iterator[tuple[int, Scene, Verdict]]:
    """Play scenes until there were so many calls."""
    made = number = 0
    while made < most:
        scene = Scene(name, seed, number)
        for verdict in scene.play():
            made += 1
            yield number, scene, verdict
        number += 1


def warm_up() -> None:
    """Let torch import what it needs for its first step, which brings filters of warnings of its own."""
    AutoencoderTransformer(1, max_iter=1, random_state=0).fit(np.eye(20, 3))


if __name__ == "__main__":
    warm_up()
    name, seed, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    scene = Scene(name, seed, number)
    print(scene)
    for verdict in scene.play():
        print(f"{verdict.outcome:8} {verdict.call}: {verdict.why}")

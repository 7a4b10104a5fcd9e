"""Generated rows of weatherAUS, and how well a classifier tells them from real ones.

ROC AUC of gradient boosting that was trained to tell real from generated rows, on rows that neither it nor
the generators have seen: 0.5 is perfect. Most columns are rounded (whole per cent, tenths of a degree), by
which any classifier would tell; so values are spread over the interval that they stand for, brought to
normal quantiles column by column, and generated rows go the same way back. Beside skae: a normal
distribution with the covariance of the quantiles in the PCA of as many components, and all of them.

Last, rain tomorrow is one more column, of yes and no, and a classifier is trained on generated rows and
tested on real ones, against one that was trained on real rows.
"""

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
import report
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import QuantileTransformer

from skae import AdversarialAutoencoderTransformer, VariationalAutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.objectives.penalties.adversary import energy_distance

N_COMPONENTS = 8


class Rounded:
    """Rows of rounded columns as normal quantiles, and back to values that occur."""

    def fit(self, X: np.ndarray) -> "Rounded":
        self.values = [np.unique(column) for column in X.T]
        # A value stands for all that lies nearer to it than to its neighbours.
        self.edges = [
            np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, values[-1:]])
            for values in self.values
        ]
        self.quantiles = QuantileTransformer(
            n_quantiles=5000, output_distribution="normal", subsample=None, random_state=0
        ).fit(self._spread(X))
        return self

    def _spread(self, X: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(0)
        columns = []
        for column, values, edges in zip(X.T, self.values, self.edges, strict=True):
            # A value that was not seen in `fit` counts as the next one.
            place = np.searchsorted(values, column).clip(max=len(values) - 1)
            columns.append(random.uniform(edges[place], edges[place + 1]))
        return np.column_stack(columns)

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.quantiles.transform(self._spread(X))

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        X = self.quantiles.inverse_transform(Z)
        return np.column_stack(
            [
                values[np.searchsorted(edges[1:-1], column)]
                for column, values, edges in zip(X.T, self.values, self.edges, strict=True)
            ]
        )


def normal(Z: np.ndarray, n_components: int) -> Any:
    """Give a sampler of the normal distribution that probabilistic PCA fits."""
    covariance = PCA(n_components, random_state=0).fit(Z).get_covariance()
    mean = Z.mean(axis=0)
    return lambda n: np.random.default_rng(0).multivariate_normal(mean, covariance, n)


def match(model: Any, Z: np.ndarray) -> dict[str, float]:
    """Compare codes with draws of the prior: energy distance, and the share that a classifier tells right."""
    codes = model.transform(Z)
    drawn = np.random.default_rng(2).standard_normal(codes.shape)
    distance = energy_distance(torch.from_numpy(codes[:3000]), torch.from_numpy(drawn[:3000]))
    right = cross_val_score(
        HistGradientBoostingClassifier(random_state=0),
        np.concatenate([codes, drawn]),
        np.repeat([0, 1], len(codes)),
        cv=3,
    )
    return {"energy distance": float(distance), "codes told from the prior": float(right.mean())}


def told_apart(real: np.ndarray, generated: np.ndarray) -> float:
    """Give the ROC AUC of a classifier on rows it has not seen."""
    half = len(real) // 2
    X, y = np.concatenate([real, generated]), np.repeat([1, 0], [len(real), len(generated)])
    first = np.concatenate([np.arange(half), len(real) + np.arange(half)])
    rest = np.setdiff1d(np.arange(len(X)), first)
    classifier = HistGradientBoostingClassifier(random_state=0).fit(X[first], y[first])
    return float(roc_auc_score(y[rest], classifier.predict_proba(X[rest])[:, 1]))


def samplers(Z: np.ndarray, n_epochs: int) -> dict[str, Any]:
    """Give what fits a generator, by the name it has in the table."""
    shared = {"max_iter": n_epochs, "random_state": 0}
    variational = VariationalAutoencoderTransformer(N_COMPONENTS, variance="per_feature", **shared)
    adversarial = AdversarialAutoencoderTransformer(N_COMPONENTS, **shared)
    return {
        f"normal, {N_COMPONENTS} components": lambda: normal(Z, N_COMPONENTS),
        f"normal, {Z.shape[1] - 1} components": lambda: normal(Z, Z.shape[1] - 1),
        "variational": lambda: variational.fit(Z).sample,
        "adversarial": lambda: adversarial.fit(Z).sample,
        "the same without a critic": lambda: clone(adversarial).set_params(alpha=0.0).fit(Z).sample,
    }


def rain_from_generated(
    train: np.ndarray, y_train: np.ndarray, test: np.ndarray, y_test: np.ndarray, n_epochs: int
) -> dict[str, Any]:
    """Train a classifier of rain tomorrow on generated rows, and on real ones; test both on real ones."""
    scale = Rounded().fit(train)
    table = pd.DataFrame(scale.transform(train)).rename(columns=str)
    table["rain tomorrow"] = np.where(y_train == 1, "yes", "no")
    start = time.perf_counter()
    model = VariationalAutoencoderTransformer(
        N_COMPONENTS, variance="per_feature", scaling="none", max_iter=n_epochs, random_state=0
    ).fit(table)
    seconds = time.perf_counter() - start
    drawn = model.sample(len(train), random_state=0)
    rain = (drawn.pop("rain tomorrow") == "yes").to_numpy().astype(int)
    rows = scale.inverse_transform(drawn.to_numpy())
    real, generated = (
        float(
            roc_auc_score(
                y_test, HistGradientBoostingClassifier(random_state=0).fit(*data).predict_proba(test)[:, 1]
            )
        )
        for data in ((train, y_train), (rows, rain))
    )
    told = told_apart(np.column_stack([test, y_test]), np.column_stack([rows, rain])[: len(test)])
    return {
        "rows from": "variational, with rain tomorrow",
        "ROC AUC": told,
        "fit seconds": seconds,
        "rain, trained on real rows": real,
        "rain, trained on generated rows": generated,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="train for longer")
    full = parser.parse_args().full
    X, y = fetch_weather_aus(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    first, rest = order[: int(0.8 * len(X))], order[int(0.8 * len(X)) :]
    train, test = X[first], X[rest]
    scale = Rounded().fit(train)
    rows = []
    for name, make in samplers(scale.transform(train), 200 if full else 60).items():
        start = time.perf_counter()
        sampler = make()
        seconds = time.perf_counter() - start
        generated = scale.inverse_transform(sampler(len(test)))
        rows.append({"rows from": name, "ROC AUC": told_apart(test, generated), "fit seconds": seconds})
        if hasattr(sampler, "__self__"):
            rows[-1] |= match(sampler.__self__, scale.transform(test))
        print(*rows[-1].values(), flush=True)
    rows.append({"rows from": "the training rows", "ROC AUC": told_apart(test, train[: len(test)])})
    rows.append(rain_from_generated(train, y[first], test, y[rest], 200 if full else 60))
    report.print_table(rows, "weatherAUS: telling real rows from generated ones")
    report.save("generation_full" if full else "generation", rows)


if __name__ == "__main__":
    main()

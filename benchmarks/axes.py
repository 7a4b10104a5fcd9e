"""Codes of two seeds: how alike they are as trained, on their axes, and after the best rotation.

Correlations of components of test rows, of the first three after the best assignment; canonical correlations
are the most that any linear map could reach. With the variance explained, the score of a logistic regression
on the codes (ROC AUC of two classes, else accuracy), and how linear codes are. Writes JSON. `--full` compares
five seeds, and more weights.
"""

import argparse
import itertools
from typing import Any

import numpy as np
import problems
import report
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import variance_explained
from skae.training import courses

N_SHOWN = 3


def matched(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the absolute correlations of components that belong together, the first three."""
    size = one.shape[1]
    found = np.abs(np.corrcoef(one.T, other.T)[:size, size:])
    rows, columns = linear_sum_assignment(-found)
    return found[rows, columns][:N_SHOWN]


def canonical(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the canonical correlations, the first three."""
    bases = (np.linalg.qr(codes - codes.mean(axis=0))[0] for codes in (one, other))
    first, second = bases
    return np.linalg.svd(first.T @ second)[1][:N_SHOWN]


def downstream(problem: problems.Problem, train: np.ndarray, test: np.ndarray) -> float:
    """Return the score of a logistic regression on codes."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, problem.y_train)
    if len(np.unique(problem.y_train)) == 2:
        return float(roc_auc_score(problem.y_test, model.predict_proba(test)[:, 1]))
    return float(model.score(test, problem.y_test))


def compare(problem: problems.Problem, size: int, seeds: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit with several seeds; return means over seeds and pairs of them."""
    models = [
        AutoencoderTransformer(size, random_state=seed, **settings).fit(problem.train)
        for seed in range(seeds)
    ]
    codes = [model.transform(problem.test) for model in models]
    pairs = list(itertools.combinations(codes, 2))
    alike, most = (np.mean([measure(*pair) for pair in pairs], axis=0) for measure in (matched, canonical))
    scores = [
        downstream(problem, model.transform(problem.train), test)
        for model, test in zip(models, codes, strict=True)
    ]
    return {
        "explained": float(np.mean([model.score(problem.test) for model in models])),
        "downstream": float(np.mean(scores)),
        "linear": float(np.mean([model.linearity_.mean() for model in models]))
        if hasattr(models[0], "linearity_")
        else None,
        **{f"matched {place + 1}": float(value) for place, value in enumerate(alike)},
        **{f"canonical {place + 1}": float(value) for place, value in enumerate(most)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five seeds and more weights")
    full = parser.parse_args().full
    moved = courses.with_axes
    rows = []
    ways: list[tuple[str, dict[str, Any]]] = [("as trained", {}), ("on axes", {})]
    weights = (0.03, 0.1, 0.2, 0.3, 1.0) if full else (0.2, 1.0)
    ways += [(f"linearity={weight}", {"linearity": weight}) for weight in weights]
    ways += [(f"straightness={weight}", {"straightness": weight}) for weight in weights]
    ways.append(("encoder='linear'", {"encoder": "linear"}))
    tables = [(lambda: problems.bundled()[0], 8), (problems.weather_aus, 3)]
    for load, size in tables:
        for problem in problems.at_hand(load):
            pca = PCA(size).fit(problem.train)
            found = downstream(problem, pca.transform(problem.train), pca.transform(problem.test))
            about = {"table": problem.name, "components": size}
            explained = variance_explained(pca, problem.test)
            rows.append({**about, "way": "PCA", "explained": explained, "downstream": found})
            for way, settings in ways:
                courses.with_axes = (lambda fitted: fitted) if way == "as trained" else moved
                rows.append({**about, "way": way, **compare(problem, size, 5 if full else 2, settings)})
                print(rows[-1], flush=True)
    report.print_table(rows, "codes of two seeds")
    report.save("axes_full" if full else "axes", rows)


if __name__ == "__main__":
    main()

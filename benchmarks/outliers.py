"""Outliers in the ADBench tables at hand: ROC AUC, one-class and contaminated, over five seeds.

One-class: trained on half of the normal rows, tested on the other rows. Contaminated: trained and tested on
all rows. Columns are standardised by the training rows; tables beyond 10,000 rows are cut to as many, drawn
anew for each seed. All methods at their defaults, but for `n_refits=0` of skae where training rows are known
to be clean, and PCA, whose error is that of a quarter of the columns as components.
PyOD's networks see tables of more than 2,000 training rows with the first two seeds only, for their time.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import report
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae.datasets import get_data_home
from skae.tasks import AutoencoderOutlierDetector

MOST_ROWS = 10_000
RECONSTRUCTION = ("skae", "PCA error", "PyOD AutoEncoder", "PyOD VAE")
Scores = Callable[[np.ndarray, np.ndarray, int, bool], np.ndarray]


def tables(seed: int, one_class: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Give name, training rows, test rows and labels of each table."""
    for path in sorted((get_data_home() / "adbench").glob("*.npz")):
        data = np.load(path)
        X, y = data["X"].astype(float), data["y"].astype(int)
        random = np.random.default_rng(seed)
        chosen = random.permutation(len(X))[:MOST_ROWS]
        X, y = X[chosen], y[chosen]
        training = test = np.arange(len(X))
        if one_class:
            normal = random.permutation(np.flatnonzero(y == 0))
            training = normal[: len(normal) // 2]
            test = np.setdiff1d(test, training)
        scaler = StandardScaler().fit(X[training])
        yield path.stem.split("_")[-1], scaler.transform(X[training]), scaler.transform(X[test]), y[test]


def skae(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
    detector = AutoencoderOutlierDetector(n_refits=0 if one_class else 1, random_state=seed)
    return -detector.fit(train).score_samples(test)


def pca(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
    model = PCA(max(1, train.shape[1] // 4), random_state=seed).fit(train)
    return np.square(test - model.inverse_transform(model.transform(test))).sum(axis=1)


def forest(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def neighbours(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
    # Five of them; where a row is among the training rows, the nearest is itself.
    found = NearestNeighbors(n_neighbors=5 if one_class else 6).fit(train)
    return found.kneighbors(test)[0][:, -1]


def local_factor(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
    if one_class:
        return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)
    return -LocalOutlierFactor().fit(train).negative_outlier_factor_


def pyod(name: str) -> Scores:
    """Give PyOD's detector of this name."""

    def scores(train: np.ndarray, test: np.ndarray, seed: int, one_class: bool) -> np.ndarray:
        if name == "VAE":
            from pyod.models.vae import VAE as Detector
        else:
            from pyod.models.auto_encoder import AutoEncoder as Detector
        return Detector(random_state=seed, verbose=0).fit(train).decision_function(test)

    return scores


METHODS: dict[str, Scores] = {
    "skae": skae,
    "PCA error": pca,
    "PyOD AutoEncoder": pyod("AutoEncoder"),
    "PyOD VAE": pyod("VAE"),
    "IsolationForest": forest,
    "KNN": neighbours,
    "LocalOutlierFactor": local_factor,
}


def measure(one_class: bool, n_seeds: int) -> list[dict[str, Any]]:
    """Run all methods on all tables; a row a method."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for seed in range(n_seeds):
        for table, train, test, y in tables(seed, one_class):
            for name, scores in METHODS.items():
                # PyOD's networks take a minute on the larger tables, and vary little.
                if name.startswith("PyOD") and seed >= max(1, n_seeds - 3) and len(train) > 2000:
                    continue
                start = time.perf_counter()
                score = np.nan_to_num(scores(train, test, seed, one_class), posinf=1e30)
                seconds[name] += time.perf_counter() - start
                found[name].setdefault(table, []).append(float(roc_auc_score(y, score)))
        print("one class" if one_class else "contaminated", "seed", seed, flush=True)
    rows = []
    for name, by_table in found.items():
        means = {table: float(np.mean(values)) for table, values in by_table.items()}
        rows.append(
            {"method": name, "mean": float(np.mean(list(means.values()))), **means, "seconds": seconds[name]}
        )
    return sorted(rows, key=lambda row: -row["mean"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    n_seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    results = {}
    for title, one_class in (("one class", True), ("contaminated", False)):
        results[title] = measure(one_class, n_seeds)
        report.print_table(results[title], f"ROC AUC, {title}")
    rows = [{"setting": title, **row} for title, listed in results.items() for row in listed]
    report.save("outliers", rows, seeds=n_seeds)
    picture(results)


def picture(results: dict[str, list[dict[str, Any]]]) -> None:
    """Draw the means, methods that reconstruct in another colour."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (title, rows) in zip(figure.subplots(1, 2, sharex=True), results.items(), strict=True):
        colours = ["#0072b2" if row["method"] in RECONSTRUCTION else "#b0b0b0" for row in rows]
        axes.barh([row["method"] for row in rows], [row["mean"] for row in rows], color=colours)
        axes.invert_yaxis()
        axes.set_xlim(0.5, 1)
        axes.set_title(title)
        axes.set_xlabel("mean ROC AUC")
    figure.savefig(report.RESULTS / "outliers.png", dpi=150)


if __name__ == "__main__":
    main()

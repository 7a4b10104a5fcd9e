"""Sparse codes: variance explained for about as many active codes a row, and the time to fit.

`SparseAutoencoderTransformer` with each penalty, by its encoder and by matching pursuit on its dictionary,
against `MiniBatchDictionaryLearning` with matching pursuit, `SparsePCA` and PCA, on digits, weatherAUS and
10,000 rows of MNIST; dead components with and without the auxiliary loss, four times overcomplete.
`--full` adds a classifier on 1,000 codes of all rows of MNIST.
"""

import argparse
import time
import warnings
from typing import Any

import numpy as np
import problems
import report
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, SparsePCA, sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import SparseAutoencoderTransformer
from skae.metrics import variance_explained_score

# Components and active codes.
SIZES = {"digits": (128, 8), "weatherAUS": (64, 4), "MNIST": (400, 10)}
# For the penalties without a count, what leaves about as many codes active.
ALPHAS = {
    "digits": {"l1": 0.3, "jumprelu": 0.2, "gated": 0.6},
    "weatherAUS": {"l1": 0.9, "jumprelu": 0.35, "gated": 0.8},
    "MNIST": {"l1": 0.25, "jumprelu": 0.22, "gated": 0.6},
}
TEST_ROWS = 2000


def ours(name: str, train: np.ndarray, test: np.ndarray) -> list[dict[str, Any]]:
    """Measure each penalty, with both ways to find codes."""
    rows = []
    n_components, n_active = SIZES[name]
    for penalty in ("topk", "batch_topk", "jumprelu", "gated", "l1"):
        model = SparseAutoencoderTransformer(
            n_components,
            penalty=penalty,
            n_active=n_active,
            alpha=ALPHAS[name].get(penalty, 0.01),
            random_state=0,
        )
        start = time.perf_counter()
        model.fit(train)
        seconds = time.perf_counter() - start
        for inference, debias in (("encoder", False), ("encoder", True), ("omp", False)):
            if debias and penalty != "l1":
                continue
            model.set_params(inference=inference, debias=debias)
            rows.append(
                {
                    "data": name,
                    "model": f"skae {penalty}",
                    "codes by": f"{inference}, debiased" if debias else inference,
                    "active": float((model.transform(test) != 0).sum(axis=1).mean()),
                    "variance explained": model.score(test),
                    "fit seconds": seconds,
                    "dead": len(model.dead_components_),
                }
            )
        print(f"{name}, {penalty}: done", flush=True)
    return rows


def others(name: str, train: np.ndarray, test: np.ndarray) -> list[dict[str, Any]]:
    """Measure scikit-learn's reducers."""
    n_components, n_active = SIZES[name]
    mean = train.mean(axis=0)
    rows = []

    def add(model: str, how: str, back: np.ndarray, active: float, seconds: float) -> None:
        rows.append(
            {
                "data": name,
                "model": model,
                "codes by": how,
                "active": active,
                "variance explained": variance_explained_score(test, back + mean, mean=mean),
                "fit seconds": seconds,
            }
        )
        print(f"{name}, {model}: done", flush=True)

    start = time.perf_counter()
    dictionary = MiniBatchDictionaryLearning(n_components, batch_size=256, random_state=0).fit(train - mean)
    seconds = time.perf_counter() - start
    atoms = dictionary.components_
    codes = sparse_encode(test - mean, atoms, algorithm="omp", n_nonzero_coefs=n_active)
    add("MiniBatchDictionaryLearning", "omp", codes @ atoms, float((codes != 0).sum(axis=1).mean()), seconds)
    start = time.perf_counter()
    pca = PCA(n_active, random_state=0).fit(train - mean)
    back = pca.inverse_transform(pca.transform(test - mean))
    add("PCA", "projection", back, n_active, time.perf_counter() - start)
    if name == "digits":
        start = time.perf_counter()
        sparse = SparsePCA(n_active, random_state=0).fit(train - mean)
        seconds = time.perf_counter() - start
        add("SparsePCA", "ridge", sparse.inverse_transform(sparse.transform(test - mean)), n_active, seconds)
    return rows


def dead_components(train: np.ndarray) -> list[dict[str, Any]]:
    """Count components that no row uses, with and without the recipe against it."""
    n_components = 4 * train.shape[1]
    rows = []
    for revival in ("resample", "auxiliary", None):
        model = SparseAutoencoderTransformer(
            n_components, n_active=10, revival=revival, max_iter=15, random_state=0
        ).fit(train)
        share = len(model.dead_components_) / n_components
        rows.append({"revival": revival or "none", "components": n_components, "share dead": share})
    return rows


def classify(problem: problems.Problem) -> list[dict[str, Any]]:
    """Classify digits by 1,000 codes, 25 of them active."""
    rows = []
    sparse = SparseAutoencoderTransformer(1000, n_active=25, max_iter=20, random_state=0).fit(problem.train)
    for n_read in (None, 25, 75, 150):
        codes = FunctionTransformer() if n_read is None else sparse.set_params(n_active=n_read)
        train = codes.transform(problem.train).astype(np.float32)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100, C=0.01))
        accuracy = classifier.fit(train, problem.y_train).score(codes.transform(problem.test), problem.y_test)
        name = "raw pixels" if n_read is None else f"skae topk, 25 active, {n_read} read"
        rows.append({"features": name, "test error %": 100 * (1 - accuracy)})
        print(f"{name}: done", flush=True)
    return rows


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw variance explained against active codes: a colour for each model, a marker for each way."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["data"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    markers = {"encoder": "o", "encoder, debiased": "D", "omp": "^"}
    figure = Figure(figsize=(4 * len(names) + 3, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for row in rows:
            if row["data"] == name:
                axes.plot(
                    row["active"],
                    row["variance explained"],
                    markers.get(row["codes by"], "s"),
                    color=f"C{models.index(row['model'])}",
                    alpha=0.8,
                )
        axes.set(title=name, xlabel="Active codes of a row", ylabel="Variance explained, test rows")
    for model in models:
        axes.plot([], [], "s", color=f"C{models.index(model)}", label=model)
    for label, marker in {**markers, "projection, ridge": "s"}.items():
        axes.plot([], [], marker, color="grey", label=f"codes by {label}", fillstyle="none")
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(report.RESULTS / "sparse_codes.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a classifier on 1,000 codes as well")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    rows = ours("digits", train, test) + others("digits", train, test)
    for problem in problems.at_hand(problems.weather_aus):
        rows += ours(problem.name, problem.train, problem.test) + others(
            problem.name, problem.train, problem.test
        )
    dead: list[dict[str, Any]] = []
    classified: list[dict[str, Any]] = []
    for problem in problems.at_hand(problems.mnist):
        train, test = problem.train[:10_000], problem.test[:TEST_ROWS]
        rows += ours("MNIST", train, test) + others("MNIST", train, test)
        dead = dead_components(train)
        if arguments.full:
            classified = classify(problem)
    report.print_table(rows, "sparse codes of held-out rows")
    report.print_table(dead, "dead components, MNIST, 10 active")
    if classified:
        report.print_table(classified, "logistic regression on codes, MNIST")
    name = "sparse_codes_full" if arguments.full else "sparse_codes"
    report.save(name, rows, dead=dead, classified=classified)
    draw(rows)


if __name__ == "__main__":
    main()

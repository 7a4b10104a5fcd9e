"""PCA against an autoencoder: variance explained, quality of the codes, time.

weatherAUS (when at hand or downloadable), digits, breast cancer, wine, and MNIST (when at hand).
Prints a table, and writes it as JSON with two pictures into `results/`. `--full` uses all rows of MNIST.
"""

import argparse
import time
import warnings
from typing import Any

import competitors
import numpy as np
import problems
import report
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import variance_explained_score

COMPONENTS = {"weatherAUS": 3, "digits": 8, "breast cancer": 2, "wine": 2, "MNIST": 30}
# The memory of KernelPCA grows with the square of the rows.
KERNEL_ROWS = 3000
MNIST_ROWS = 10_000
# What a minute more buys on weatherAUS.
WIDER = {"hidden_layer_sizes": (256, 256), "max_iter": 200, "weight_decay": 0.02}


def reducers(data: str, n_components: int, n_rows: int) -> dict[str, Any]:
    """Give what is compared, by the name it has in the table."""
    listed = {
        "mean": competitors.Mean(),
        "PCA": PCA(n_components, random_state=0),
        "KernelPCA (rbf)": KernelPCA(n_components, kernel="rbf", fit_inverse_transform=True, random_state=0),
        "tutorial network": competitors.Tutorial(n_components),
        "MLPRegressor": competitors.Perceptron(n_components),
        "skae": AutoencoderTransformer(n_components, random_state=0),
    }
    if n_rows > KERNEL_ROWS:
        del listed["KernelPCA (rbf)"]
    if data == "weatherAUS":
        listed["skae, wider and longer"] = AutoencoderTransformer(n_components, **WIDER, random_state=0)
    return listed


def measure(problem: problems.Problem, name: str, reducer: Any) -> dict[str, Any]:
    """Fit a reducer and measure it on the test rows."""
    start = time.perf_counter()
    codes_train = reducer.fit(problem.train).transform(problem.train)
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    codes = reducer.transform(problem.test)
    transform_seconds = time.perf_counter() - start
    back = reducer.inverse_transform(codes)
    return {
        "data": problem.name,
        "reducer": name,
        "components": codes.shape[1],
        "variance explained": variance_explained_score(problem.test, back, mean=problem.train.mean(axis=0)),
        "error per cell": float(np.mean((problem.test - back) ** 2)),
        "downstream": downstream(problem, codes_train, codes),
        "fit seconds": fit_seconds,
        "transform seconds": transform_seconds,
    }


def downstream(problem: problems.Problem, codes_train: np.ndarray, codes: np.ndarray) -> float:
    """Classify by the codes: ROC AUC of rain tomorrow, accuracy elsewhere."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(codes_train, problem.y_train)
    if problem.name == "weatherAUS":
        return float(roc_auc_score(problem.y_test, model.predict_proba(codes)[:, 1]))
    return float(accuracy_score(problem.y_test, model.predict(codes)))


def draw_sizes(problem: problems.Problem) -> None:
    """Draw variance explained against the number of components, PCA beside skae."""
    from matplotlib.figure import Figure

    sizes = [k for k in (1, 2, 3, 5, 8) if k < problem.train.shape[1]]
    axes = Figure(figsize=(6, 4), layout="constrained").add_subplot()
    for label, make, style in (
        ("PCA", PCA, "o--"),
        ("skae, default settings", lambda k: AutoencoderTransformer(k, random_state=0), "s-"),
    ):
        scores = []
        for k in sizes:
            model = make(k).fit(problem.train)
            back = model.inverse_transform(model.transform(problem.test))
            scores.append(variance_explained_score(problem.test, back, mean=problem.train.mean(axis=0)))
        axes.plot(sizes, scores, style, label=label)
    axes.set(xlabel="Number of components", ylabel="Variance explained on held-out rows", ylim=(0, 1))
    axes.set_title(problem.name)
    axes.legend(loc="lower right")
    axes.figure.savefig(report.RESULTS / "components.png", dpi=120)


def draw_codes(problem: problems.Problem) -> None:
    """Draw three components of the codes, coloured by the class."""
    from matplotlib.figure import Figure

    model = AutoencoderTransformer(3, random_state=0).fit(problem.train)
    codes, classes = model.transform(problem.test)[:5000], problem.y_test[:5000]
    axes = Figure(figsize=(6, 5), layout="constrained").add_subplot(projection="3d")
    names = ("No", "Yes") if problem.name == "weatherAUS" else map(str, np.unique(problem.y_test))
    for value, name, colour in zip(
        np.unique(classes), names, ("#0072B2", "#D55E00", *["#999999"] * 8), strict=False
    ):
        axes.scatter(*codes[classes == value].T, s=3, alpha=0.5, label=name, color=colour, axlim_clip=True)
    # A few rows far away would squeeze all others into a corner.
    limits = np.percentile(codes, [0.5, 99.5], axis=0).T
    axes.set(xlabel="component 0", ylabel="component 1", zlabel="component 2")
    axes.set(**dict(zip(("xlim", "ylim", "zlim"), map(tuple, limits), strict=True)))
    axes.set_title(f"{problem.name}: codes of held-out rows")
    axes.legend(title="RainTomorrow" if problem.name == "weatherAUS" else "class", markerscale=4)
    axes.figure.savefig(report.RESULTS / "codes.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all 60,000 rows of MNIST")
    arguments = parser.parse_args()
    # MLPRegressor says that it could go on; the table says what it reached.
    warnings.simplefilter("ignore", ConvergenceWarning)
    found = [*problems.at_hand(problems.weather_aus), *problems.bundled()]
    for problem in problems.at_hand(problems.mnist):
        n_rows = len(problem.train) if arguments.full else MNIST_ROWS
        found.append(problem._replace(train=problem.train[:n_rows], y_train=problem.y_train[:n_rows]))
    rows = []
    for problem in found:
        for name, reducer in reducers(problem.name, COMPONENTS[problem.name], len(problem.train)).items():
            rows.append(measure(problem, name, reducer))
            print(f"{problem.name}, {name}: done", flush=True)
    report.print_table(rows, "held-out rows; downstream: ROC AUC for weatherAUS, accuracy elsewhere")
    report.save("pca_vs_autoencoder_full" if arguments.full else "pca_vs_autoencoder", rows)
    draw_sizes(found[0])
    draw_codes(found[0])
    print(f"\nTable and pictures are in {report.RESULTS.name}/.")


if __name__ == "__main__":
    main()

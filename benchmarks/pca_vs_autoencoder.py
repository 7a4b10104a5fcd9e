"""PCA against an autoencoder: variance explained, neighbourhoods, quality of the codes, time.

weatherAUS (when at hand or downloadable), digits, breast cancer, wine, and MNIST (when at hand).
Prints a table, and writes it as JSON with pictures into `results/`. `--full` uses all rows of MNIST.
"""

import argparse
import warnings
from typing import Any

import competitors
import numpy as np
import problems
import report
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer
from skae.compare import ComparisonDisplay, compare_reducers
from skae.metrics import variance_explained

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


def compare(problem: problems.Problem) -> Any:
    """Measure all reducers on the fixed split of a problem."""
    n_train, n_test = len(problem.train), len(problem.test)
    return compare_reducers(
        reducers(problem.name, COMPONENTS[problem.name], n_train),
        np.concatenate([problem.train, problem.test]),
        np.concatenate([problem.y_train, problem.y_test]),
        cv=[(np.arange(n_train), np.arange(n_train, n_train + n_test))],
        downstream="linear",
        scoring="roc_auc" if problem.name == "weatherAUS" else "accuracy",
        random_state=0,
    )


def rows_of(problem: problems.Problem, table: Any) -> list[dict[str, Any]]:
    """Give what is printed and kept."""
    # Errors are shares of this, by the definition of variance explained.
    variance = float(np.mean((problem.test - problem.train.mean(axis=0)) ** 2, dtype=np.float64))
    return [
        {
            "data": problem.name,
            "reducer": name,
            "components": int(row["n_components"]),
            "variance explained": float(row["variance_explained"]),
            "error per cell": float((1 - row["variance_explained"]) * variance),
            "trustworthiness": float(row["trustworthiness"]),
            "continuity": float(row["continuity"]),
            "downstream": float(row["downstream"]),
            "fit seconds": float(row["fit_seconds"]),
            "transform seconds": float(row["transform_seconds"]),
            "bytes": int(row["size"]),
        }
        for name, row in table.iterrows()
    ]


def draw_comparison(problem: problems.Problem, table: Any) -> None:
    """Draw the table of one problem."""
    display = ComparisonDisplay.from_comparison(table)
    display.figure_.suptitle(f"{problem.name}, {COMPONENTS[problem.name]} components")
    display.figure_.savefig(report.RESULTS / "comparison.png", dpi=120)


def draw_sizes(problem: problems.Problem) -> None:
    """Draw variance explained against the number of components: PCA, a fit for each, one ordered fit."""
    from matplotlib.figure import Figure

    sizes = [k for k in (1, 2, 3, 5, 8) if k < problem.train.shape[1]]
    axes = Figure(figsize=(6, 4), layout="constrained").add_subplot()
    ordered = AutoencoderTransformer(sizes[-1], ordered=True, random_state=0).fit(problem.train)
    for label, make, style in (
        ("skae, a fit for each number", lambda k: AutoencoderTransformer(k, random_state=0), "s-"),
        ("PCA", PCA, "o--"),
    ):
        scores = [variance_explained(make(k).fit(problem.train), problem.test) for k in sizes]
        axes.plot(sizes, scores, style, label=label, color="black" if label == "PCA" else "#0072B2")
    cumulative = ordered.cumulative_explained_variance(problem.test)
    label = f"skae, one fit of {sizes[-1]}, ordered"
    axes.plot(np.arange(1, len(cumulative) + 1), cumulative, "^-", label=label, color="#D55E00", zorder=1)
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
        table = compare(problem)
        rows += rows_of(problem, table)
        print(f"{problem.name}: done", flush=True)
        if problem is found[0]:
            draw_comparison(problem, table)
    report.print_table(rows, "held-out rows; downstream: ROC AUC for weatherAUS, accuracy elsewhere")
    report.save("pca_vs_autoencoder_full" if arguments.full else "pca_vs_autoencoder", rows)
    draw_sizes(found[0])
    draw_codes(found[0])
    print(f"\nTable and pictures are in {report.RESULTS.name}/.")


if __name__ == "__main__":
    main()

"""A grid over latent size and penalty: scikit-learn's search in two processes, and the stacked one in one.

Rows of weatherAUS (or digits, where it is not at hand), rain tomorrow by logistic regression on the codes,
six sizes, four penalties, five folds. The searches run one after the other; of
`--repeats`, the fastest counts.

`--penalty kind` compares kinds of sparsity instead of weights of one. `--full` trains each candidate for its
default number of epochs instead of ten.
"""

import argparse
import time
from typing import Any

import numpy as np
import problems
import report
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, SparseAutoencoderTransformer
from skae.selection import StackedGridSearchCV

SIZES = [2, 3, 4, 6, 8, 12]
PENALTIES: dict[str, tuple[type, dict[str, list[Any]]]] = {
    "weight": (AutoencoderTransformer, {"codes__weight_decay": [0.01, 0.1, 0.3, 1.0]}),
    "kind": (SparseAutoencoderTransformer, {"codes__penalty": ["l1", "l2", "kl", "topk"]}),
}
SEARCHES: dict[str, tuple[type[GridSearchCV], int]] = {
    "GridSearchCV(n_jobs=2)": (GridSearchCV, 2),
    "StackedGridSearchCV()": (StackedGridSearchCV, 1),
    "StackedGridSearchCV(n_jobs=2)": (StackedGridSearchCV, 2),
}


def grid(penalty: str, is_full: bool) -> tuple[Pipeline, dict[str, list[Any]]]:
    """Return a pipeline, and what is tried."""
    estimator, penalties = PENALTIES[penalty]
    codes = estimator(max_iter="auto" if is_full else 10, random_state=0)
    pipe = Pipeline(
        [("scale", StandardScaler()), ("codes", codes), ("rain", LogisticRegression(max_iter=500))]
    )
    return pipe, {"codes__n_components": SIZES, **penalties}


def search(
    problem: problems.Problem, n_rows: int, name: str, tried: tuple[Pipeline, dict[str, list[Any]]]
) -> dict[str, Any]:
    """Run the grid and time it."""
    cls, n_jobs = SEARCHES[name]
    scoring = "roc_auc" if problem.name == "weatherAUS" else "accuracy"
    found = cls(*tried, scoring=scoring, cv=5, n_jobs=n_jobs, refit=False)
    start = time.perf_counter()
    found.fit(problem.train[:n_rows], problem.y_train[:n_rows])
    seconds = time.perf_counter() - start
    return {
        "data": problem.name,
        "rows": min(n_rows, len(problem.train)),
        "search": name,
        "fits": 5 * len(found.cv_results_["params"]),
        "seconds": seconds,
        "best score": found.best_score_,
        "best": str({key.partition("__")[2]: value for key, value in found.best_params_.items()}),
        "scores": found.cv_results_["mean_test_score"].tolist(),
    }


def beside(problem: problems.Problem, n_rows: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run all searches on the same rows, and compare them with the first."""
    tried = grid(arguments.penalty, arguments.full)
    runs = [[search(problem, n_rows, name, tried) for name in SEARCHES] for _ in range(arguments.repeats)]
    rows = [min(of_one, key=lambda row: row["seconds"]) for of_one in zip(*runs, strict=True)]
    for row in rows:
        row["times faster"] = rows[0]["seconds"] / row["seconds"]
        row["same winner"] = row["best"] == rows[0]["best"]
        row["largest difference"] = float(np.abs(np.subtract(row["scores"], rows[0]["scores"])).max())
    for row in rows:
        del row["scores"]
    return rows


def draw(rows: list[dict[str, Any]], name: str) -> None:
    """Draw the times of each number of rows."""
    from matplotlib.figure import Figure

    sizes = list(dict.fromkeys(row["rows"] for row in rows))
    figure = Figure(figsize=(6.5, 0.6 + 1.3 * len(sizes)), layout="constrained")
    panels = figure.subplots(len(sizes), squeeze=False)[:, 0]
    for axes, size in zip(panels, sizes, strict=True):
        here = [row for row in rows if row["rows"] == size]
        bars = axes.barh([row["search"] for row in here], [row["seconds"] for row in here])
        axes.bar_label(bars, [f" {row['seconds']:.1f} s" for row in here])
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.set(title=f"{size:,} rows of {here[0]['data']}, {here[0]['fits']} fits")
    panels[-1].set(xlabel="seconds")
    figure.savefig(report.RESULTS / f"{name}.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 20_000], help="numbers of rows")
    parser.add_argument("--penalty", choices=PENALTIES, default="weight", help="what the grid compares")
    parser.add_argument("--repeats", type=int, default=1, help="how often each search is run")
    parser.add_argument("--full", action="store_true", help="the default number of epochs")
    arguments = parser.parse_args()
    problem = next(problems.at_hand(problems.weather_aus), None) or problems.bundled()[0]
    # Processes are started, and libraries loaded, before anything is timed.
    pipe, _ = grid(arguments.penalty, False)
    for name in SEARCHES:
        search(problem, 1_500, name, (pipe, {"codes__n_components": [2, 3]}))
    rows = [row for n_rows in arguments.rows for row in beside(problem, n_rows, arguments)]
    name = "_".join(
        ["grid_search", *(["kinds"] if arguments.penalty == "kind" else []), *(["full"] * arguments.full)]
    )
    report.print_table(rows, "grid search")
    report.save(name, rows)
    draw(rows, name)


if __name__ == "__main__":
    main()

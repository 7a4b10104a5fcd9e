"""A grid over latent size, penalty and its weight, in one process and in two.

20,000 rows of weatherAUS (or digits, where it is not at hand), rain tomorrow by logistic regression on the
codes, two folds. `--full` trains each candidate for its default number of epochs instead of ten.
"""

import argparse
import time
from typing import Any

import problems
import report
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import SparseAutoencoderTransformer

N_ROWS = 20_000
GRID = {
    "codes__n_components": [8, 16, 64],
    "codes__penalty": ["l1", "kl", "topk"],
    "codes__alpha": [1e-3, 1e-2, 1e-1],
}


def search(problem: problems.Problem, n_jobs: int, max_iter: Any) -> dict[str, Any]:
    """Run the grid and time it."""
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("codes", SparseAutoencoderTransformer(max_iter=max_iter, random_state=0)),
            ("rain", LogisticRegression(max_iter=500)),
        ]
    )
    scoring = "roc_auc" if problem.name == "weatherAUS" else "accuracy"
    found = GridSearchCV(pipe, GRID, scoring=scoring, cv=2, n_jobs=n_jobs, refit=False)
    start = time.perf_counter()
    found.fit(problem.train[:N_ROWS], problem.y_train[:N_ROWS])
    seconds = time.perf_counter() - start
    best = {name.partition("__")[2]: value for name, value in found.best_params_.items()}
    return {
        "data": problem.name,
        "n_jobs": n_jobs,
        "fits": 2 * len(found.cv_results_["params"]),
        "seconds": seconds,
        "best score": found.best_score_,
        "best": str(best),
    }


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the two times."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(5, 2.2), layout="constrained").add_subplot()
    axes.barh([f"n_jobs={row['n_jobs']}" for row in rows], [row["seconds"] for row in rows])
    axes.set(xlabel=f"Seconds for {rows[0]['fits']} fits", title=f"Grid search, {rows[0]['data']}")
    axes.figure.savefig(report.RESULTS / "grid_search.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the default number of epochs")
    arguments = parser.parse_args()
    problem = next(problems.at_hand(problems.weather_aus), None) or problems.bundled()[0]
    rows = [search(problem, n_jobs, "auto" if arguments.full else 10) for n_jobs in (1, 2)]
    for row in rows:
        row["of one process"] = row["seconds"] / rows[0]["seconds"]
    report.print_table(rows, "grid search")
    report.save("grid_search_full" if arguments.full else "grid_search", rows)
    draw(rows)


if __name__ == "__main__":
    main()

"""Default settings against PCA on many tables: wins, losses and what is left unexplained.

Each table is cut 75/25 and standardised; 2 components and a quarter of the columns. The table prints
the variance explained on the test rows. Writes JSON and a picture. `--full` repeats it for five cuts.
"""

import argparse
import ast
import math
import time
from typing import Any

import numpy as np
import problems
import report
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import variance_explained

# A difference of explained variance that counts as a loss.
TOLERANCE = 0.001


def sizes(n_features: int) -> list[int]:
    """Give the code sizes that a table is tried with."""
    return sorted({k for k in (2, round(n_features / 4)) if 1 <= k < n_features})


def compare(name: str, X: np.ndarray, n_components: int, seed: int, **settings: Any) -> dict[str, Any]:
    """Fit PCA and the autoencoder on the same rows."""
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    pca = variance_explained(PCA(n_components).fit(train), test)
    start = time.perf_counter()
    model = AutoencoderTransformer(n_components, random_state=seed, **settings).fit(train)
    seconds = time.perf_counter() - start
    ours = model.score(test)
    return {
        "table": name,
        "rows": len(train),
        "columns": X.shape[1],
        "components": n_components,
        "cut": seed,
        "pca": pca,
        "skae": ours,
        "ratio": (1 - ours) / (1 - pca),
        "epoch": f"{model.best_iter_}/{model.n_iter_}",
        "seconds": seconds,
    }


def draw(rows: list[dict[str, Any]], name: str) -> None:
    """Draw what is left unexplained, PCA against skae."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(5.5, 5.5), layout="constrained").add_subplot()
    for label, colour, chosen in (
        ("2 components", "#0072B2", [row for row in rows if row["components"] == 2]),
        ("a quarter of the columns", "#D55E00", [row for row in rows if row["components"] != 2]),
    ):
        points = [(1 - row["pca"], 1 - row["skae"]) for row in chosen]
        axes.scatter(*zip(*points, strict=True), s=22, color=colour, label=label)
    axes.plot([1e-3, 1.2], [1e-3, 1.2], color="0.6", linewidth=0.8)
    axes.annotate("as PCA", (0.004, 0.0043), rotation=45, color="0.4", fontsize=8)
    axes.set(xscale="log", yscale="log", xlim=(1e-3, 1.2), ylim=(1e-4, 1.2))
    axes.set(xlabel="PCA", ylabel="skae, default settings")
    axes.set_title("Variance of test rows left unexplained")
    axes.legend(loc="lower right")
    axes.figure.savefig(report.RESULTS / f"{name}.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five cuts instead of one")
    parser.add_argument("--max-rows", type=int, default=None, help="leave larger tables out")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting to try")
    arguments = parser.parse_args()
    settings = {name: _value(text) for name, text in (item.split("=", 1) for item in arguments.set)}
    rows = []
    for name, X in problems.many_tables():
        if arguments.max_rows and len(X) > arguments.max_rows:
            continue
        for n_components in sizes(X.shape[1]):
            for seed in range(5 if arguments.full else 1):
                rows.append(compare(name, X, n_components, seed, **settings))
    report.print_table(rows, "variance explained on test rows")
    losses = [row for row in rows if row["skae"] < row["pca"] - TOLERANCE]
    wins = [row for row in rows if row["skae"] > row["pca"] + TOLERANCE]
    ratio = math.exp(float(np.mean([math.log(row["ratio"]) for row in rows])))
    summary = {
        "comparisons": len(rows),
        "wins beyond 0.001": len(wins),
        "losses beyond 0.001": len(losses),
        "unexplained, of PCA's (geometric mean)": ratio,
        "median seconds": float(np.median([row["seconds"] for row in rows])),
        "longest seconds": max(row["seconds"] for row in rows),
    }
    report.print_table([summary], "summary")
    for row in losses:
        print(
            f"loss: {row['table']}, {row['components']} components, cut {row['cut']}: "
            f"{row['skae']:.4f} against {row['pca']:.4f}"
        )
    if not settings and not arguments.max_rows:
        name = "many_tables_full" if arguments.full else "many_tables"
        report.save(name, rows, summary=summary)
        draw(rows, name)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()

"""Codes for what comes after: how well a target is predicted from few numbers, and what these explain.

weatherAUS with three components, and the tables with a target (scikit-learn's, ADBench's as two classes)
with two and five: PCA, partial least squares, linear discriminants, autoencoders without a target and with
one, and all columns as they are. Each is measured on rows that it was not fitted on: variance explained,
scores of a linear model, of neighbours and of boosting (ROC AUC for two classes, accuracy for more, R2 for
numbers), trustworthiness, continuity, seconds.

One cut, of 2,000 rows of each table but weatherAUS, where no weight is found by "auto"; `--full` takes all
rows and five folds. `--tables` measures some of the tables again, and keeps what is known of the others.
Prints tables, writes JSON and a picture.
"""

import argparse
import json
import warnings
from typing import Any

import numpy as np
import problems
import report
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import AutoencoderTransformer
from skae.compare import compare_reducers

SIZES = (2, 5)
MEASURES = {
    "variance_explained": "explained",
    "downstream": "linear",
    "downstream_neighbors": "neighbours",
    "downstream_boosting": "boosting",
    "trustworthiness": "trustworthiness",
    "continuity": "continuity",
    "fit_seconds": "seconds",
}
PREDICTIONS = ("linear", "neighbours", "boosting")
# Rows of each table but one, which is seen as a whole; "auto", six networks, takes minutes on more of them.
MOST_ROWS = 2_000
WHOLE = "weather_aus"
# What an autoencoder is asked for beside its defaults, by the name it has in the tables.
SETTINGS: dict[str, dict[str, Any]] = {
    "skae": {},
    "skae, target": {"target_weight": 0.3},
    "skae, target auto": {"target_weight": "auto"},
    "skae, linearity": {"linearity": 0.3},
    "skae, straightness": {"straightness": 0.2},
    "skae, linear encoder": {"encoder": "linear"},
}


def reducers(table: problems.Labelled, k: int, full: bool) -> dict[str, Any]:
    """Give what is compared. Discriminants are fewer than classes, and there are none of numbers."""
    found: dict[str, Any] = {
        "all columns": FunctionTransformer(lambda X: X, lambda X: X),
        "PCA": PCA(k, random_state=0),
        "PLS": PLSRegression(k),
    }
    if table.n_classes:
        found["LDA"] = LinearDiscriminantAnalysis(n_components=min(k, table.n_classes - 1))
    for name, settings in SETTINGS.items():
        if "auto" in settings.values() and len(table.X) > MOST_ROWS and not full:
            continue
        found[name] = AutoencoderTransformer(k, **settings, random_state=0)
    return found


def thinned(table: problems.Labelled) -> problems.Labelled:
    """Give a part of the rows of a large table, as many of each class as there are."""
    if len(table.X) <= MOST_ROWS or table.name == WHOLE:
        return table
    labels = table.y if table.n_classes else None
    X, _, y, _ = train_test_split(table.X, table.y, train_size=MOST_ROWS, random_state=0, stratify=labels)
    return problems.Labelled(table.name, X, y)


def known(name: str, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give what an earlier run found of the tables that were not measured now, before what was."""
    path = report.RESULTS / f"{name}.json"
    earlier = json.loads(path.read_text())["rows"] if path.is_file() else []
    tables = {row["table"] for row in measured}
    rows = [row for row in earlier if row["table"] not in tables] + measured
    return sorted(rows, key=lambda row: row["table"] != WHOLE)


def cut(table: problems.Labelled) -> list[np.ndarray]:
    """Give the positions of training and test rows, as other benchmarks cut these tables."""
    rows = np.arange(len(table.X))
    if table.name == WHOLE:
        return train_test_split(rows, test_size=0.2, random_state=0)
    labels = table.y if table.n_classes else None
    return train_test_split(rows, test_size=0.25, random_state=0, stratify=labels)


def compare(table: problems.Labelled, k: int, full: bool) -> list[dict[str, Any]]:
    """Measure all reducers on one cut, or on five folds."""
    cv: Any = 5 if full else [cut(table)]
    held_out = len(table.X) // 5 if full else len(cv[0][1])
    found = compare_reducers(
        reducers(table, k, full),
        table.X,
        table.y,
        cv=cv,
        preprocessing=StandardScaler(),
        # Fewer than usual where hardly any row is held out.
        n_neighbors=min(10, (held_out - 1) // 2),
        random_state=0,
    )
    rows = []
    for name, row in found.iterrows():
        measured = {title: float(row[column]) for column, title in MEASURES.items()}
        rows.append(
            {"table": table.name, "target": found.attrs["scoring"], "reducer": name}
            | {"components": int(row["n_components"]), "size": k}
            | measured
            | {f"sd {title}": float(row[f"{column}_std"]) for column, title in MEASURES.items() if full}
        )
    print(f"{table.name}, {k} components: done", flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give what each reducer gains over PCA, in the mean over all tables and sizes."""
    by = {(row["table"], row["size"], row["reducer"]): row for row in rows}
    found = []
    for name in dict.fromkeys(row["reducer"] for row in rows):
        mine = [row for row in rows if row["reducer"] == name]
        pca = [by[row["table"], row["size"], "PCA"] for row in mine]
        gains = {
            title: np.array([row[title] - other[title] for row, other in zip(mine, pca, strict=True)])
            for title in ("explained", *PREDICTIONS, "trustworthiness", "continuity")
        }
        found.append(
            {"reducer": name, "comparisons": len(mine)}
            | {title: float(gain.mean()) for title, gain in gains.items()}
            | {"worst linear": float(gains["linear"].min())}
            | {"linear below PCA by > 0.005": int((gains["linear"] < -0.005).sum())}
            | {"explained below PCA by > 0.001": int((gains["explained"] < -0.001).sum())}
            | {"median seconds": float(np.median([row["seconds"] for row in mine]))}
        )
    return found


def draw(rows: list[dict[str, Any]], name: str) -> None:
    """Draw what weatherAUS keeps and predicts, and the gains over PCA on all tables."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    weather, many = figure.subplots(1, 2)
    first = [row for row in rows if row["table"] == rows[0]["table"] and row["size"] == rows[0]["size"]]
    lines = [row for row in first if row["reducer"] in ("all columns", "LDA")]
    points = sorted((row for row in first if row not in lines), key=lambda row: row["linear"])
    for row in lines:
        # One keeps everything, and the other has no inverse: only its score can be drawn.
        weather.axhline(row["linear"], color="0.6", linestyle=":", linewidth=1)
        at, align = (0.02, "top") if row["reducer"] == "LDA" else (0.12, "bottom")
        weather.annotate(row["reducer"], (at, row["linear"]), va=align, fontsize=9)
    for number, row in enumerate(points):
        colour = "#D55E00" if row["reducer"].startswith("skae") else "#0072B2"
        weather.plot(row["explained"], row["linear"], "o", color=colour)
        # Neighbours in height have their names on different sides.
        place = {"xytext": (-7, 0 if number % 2 else 2), "textcoords": "offset points", "fontsize": 9}
        align = {"ha": "right", "va": "bottom" if number % 2 else "top"}
        weather.annotate(row["reducer"], (row["explained"], row["linear"]), **place, **align)
    weather.set(xlabel="variance explained", ylabel=f"linear model, {first[0]['target']}", xlim=(0, 1))
    weather.set(title=f"{first[0]['table']}, {first[0]['size']} components")
    weather.margins(y=0.1)
    found = [row for row in summary(rows) if row["reducer"] != "PCA"]
    for title, colour, lift in zip(
        PREDICTIONS, ("#0072B2", "#009E73", "#D55E00"), (-0.2, 0, 0.2), strict=True
    ):
        at = np.arange(len(found)) + lift
        many.barh(at, [row[title] for row in found], 0.18, color=colour, label=title)
    many.axvline(0, color="0.6", linewidth=0.8)
    many.set_yticks(range(len(found)), [row["reducer"] for row in found])
    many.invert_yaxis()
    many.set(xlabel="score less that of PCA, mean", title=f"{found[0]['comparisons']} comparisons")
    figure.legend(*many.get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize="small")
    figure.savefig(report.RESULTS / f"{name}.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five folds instead of one cut")
    parser.add_argument("--tables", nargs="*", help="only these")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = sorted(problems.labelled_tables(), key=lambda table: table.name != WHOLE)
    rows = []
    for table in tables:
        if arguments.tables and table.name not in arguments.tables:
            continue
        table = table if arguments.full else thinned(table)
        for k in (3,) if table.name == WHOLE else SIZES:
            if k < table.X.shape[1]:
                rows += compare(table, k, arguments.full)
    name = "downstream_full" if arguments.full else "downstream"
    if arguments.tables:
        rows = known(name, rows)
    report.print_table(rows, "rows that were not fitted on")
    found = summary(rows)
    report.print_table(found, "less PCA, mean over tables")
    report.save(name, rows, summary=found)
    draw(rows, name)


if __name__ == "__main__":
    main()

"""Codes where the target is known of some rows alone: a logistic regression on them, fitted on these rows.

digits (8 components) and weatherAUS (3 components), a half and a tenth of the targets of the training rows
known, three draws of which. PCA and the autoencoders see all training rows; ``target_weight=0.3`` sees the
known targets as well, and -1 for the others. Scores are of test rows: accuracy for digits, ROC AUC for
weatherAUS.

Prints a table, writes JSON and a picture.
"""

import argparse
import warnings
from typing import Any

import numpy as np
import problems
import report
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

COMPONENTS = {"digits": 8, "weather_aus": 3}
SHARES = (0.5, 0.1)


def coders(k: int, seed: int) -> dict[str, Any]:
    """Give what rows are encoded by."""
    return {
        "PCA": PCA(k, random_state=seed),
        "skae": AutoencoderTransformer(k, random_state=seed),
        "skae, target": AutoencoderTransformer(k, target_weight=0.3, random_state=seed),
    }


def measure(table: problems.Labelled, share: float, seed: int) -> list[dict[str, Any]]:
    """Score all coders on one cut and one draw of known targets."""
    y = np.unique(table.y, return_inverse=True)[1]
    cut = train_test_split(table.X, y, test_size=0.25, random_state=0, stratify=y)
    train, test, y_train, y_test = cut
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    known, _ = train_test_split(np.arange(len(train)), train_size=share, random_state=seed, stratify=y_train)
    told = np.full(len(train), -1)
    told[known] = y_train[known]
    scoring = "roc_auc" if table.n_classes == 2 else "accuracy"
    rows = []
    for name, coder in coders(COMPONENTS[table.name], seed).items():
        coder.fit(train, told)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(coder.transform(train[known]), y_train[known])
        score = get_scorer(scoring)(model, coder.transform(test), y_test)
        rows.append(
            {"table": table.name, "known": share, "seed": seed, "coder": name}
            | {"measure": scoring, "score": float(score)}
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give means and the least gain over PCA of the same draw."""
    by = {(row["table"], row["known"], row["seed"], row["coder"]): row["score"] for row in rows}
    found = []
    for table, known, coder in dict.fromkeys((row["table"], row["known"], row["coder"]) for row in rows):
        seeds = sorted({row["seed"] for row in rows})
        scores = np.array([by[table, known, seed, coder] for seed in seeds])
        gains = scores - [by[table, known, seed, "PCA"] for seed in seeds]
        found.append(
            {"table": table, "known": known, "coder": coder, "score": float(scores.mean())}
            | {"sd": float(scores.std()), "least gain": float(gains.min())}
        )
    return found


def draw(found: list[dict[str, Any]]) -> None:
    """Draw the scores."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    tables = list(dict.fromkeys(row["table"] for row in found))
    for axes, table in zip(figure.subplots(1, len(tables)), tables, strict=True):
        for number, coder in enumerate(dict.fromkeys(row["coder"] for row in found)):
            mine = [row for row in found if (row["table"], row["coder"]) == (table, coder)]
            at = np.arange(len(mine)) + 0.27 * (number - 1)
            axes.bar(at, [row["score"] for row in mine], 0.25, yerr=[row["sd"] for row in mine], label=coder)
        axes.set_xticks(range(len(SHARES)), [f"{share:.0%} known" for share in SHARES])
        axes.set(title=table, ylim=(0.5, 1))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    figure.savefig(report.RESULTS / "few_targets.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten draws instead of three")
    seeds = range(10 if parser.parse_args().full else 3)
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for table in problems.labelled_tables():
        for share in SHARES if table.name in COMPONENTS else ():
            for seed in seeds:
                rows += measure(table, share, seed)
    found = summary(rows)
    report.print_table(found, "targets of some rows alone")
    report.save("few_targets", rows, summary=found)
    draw(found)


if __name__ == "__main__":
    main()

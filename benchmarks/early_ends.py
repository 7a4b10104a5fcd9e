"""What ending folds early saves and costs: each fit as it is and with all of its epochs, in turn.

Tables of `problems.many_tables`, cut to few rows and standardised; 2 components, each variant at its
defaults. The other rows, up to 2,000, tell how much of the variance is explained.
"""

import argparse
import time
import warnings
from typing import Any
from unittest import mock

import numpy as np
import problems
import report
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import skae
from skae.metrics import variance_explained
from skae.training import held_out

VARIANTS = ("", "Denoising", "Sparse", "Contractive", "Variational", "Adversarial", "Binary")
N_COMPONENTS = 2


def cut(X: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised rows to train on, and others that are not far beyond them."""
    train, test = train_test_split(X, train_size=n_rows, test_size=min(2000, len(X) - n_rows), random_state=0)
    varies = train.std(axis=0) > 0
    scaler = StandardScaler().fit(train[:, varies])
    return scaler.transform(train[:, varies]), np.clip(scaler.transform(test[:, varies]), -10, 10)


def fit(variant: str, train: np.ndarray, test: np.ndarray, ends_early: bool) -> tuple[float, float, int]:
    """Return the seconds of a fit, what is explained of other rows, and the number of epochs."""
    share = held_out._PAST_BEST_FROM if ends_early else np.inf
    with mock.patch.object(held_out, "_PAST_BEST_FROM", share), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model = getattr(skae, f"{variant}AutoencoderTransformer")(N_COMPONENTS, random_state=0).fit(train)
        return time.perf_counter() - start, variance_explained(model, test), model.n_iter_


def beside(variant: str, n_rows: int) -> dict[str, Any]:
    """Compare the fits of one variant on all tables."""
    pairs = []
    for _, X in problems.many_tables():
        # Twice as many rows at least, so that enough of them are left to judge.
        if len(X) >= 2 * n_rows and X.shape[1] > N_COMPONENTS + 1:
            train, test = cut(X, n_rows)
            pairs.append([fit(variant, train, test, ends_early) for ends_early in (True, False)])
    ended, whole = (np.array(each, dtype=float) for each in zip(*pairs, strict=True))
    changes = ended[:, 1] - whole[:, 1]
    return {
        "variant": variant or "plain",
        "rows": n_rows,
        "tables": len(pairs),
        "ended early": int((ended[:, 2] < whole[:, 2]).sum()),
        "seconds": float(ended[:, 0].sum()),
        "seconds of all epochs": float(whole[:, 0].sum()),
        "of the time": float(ended[:, 0].sum() / whole[:, 0].sum()),
        "changed": int((changes != 0).sum()),
        "mean change": float(changes.mean()),
        "worst change": float(changes.min()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="25, 100 and 400 rows, too")
    arguments = parser.parse_args()
    sizes = (25, 40, 100, 400) if arguments.full else (40,)
    # Imports of the first fit of each.
    few = np.random.default_rng(0).standard_normal((40, 5))
    for variant in VARIANTS:
        for ends_early in (True, False):
            fit(variant, few, few, ends_early)
    rows = [beside(variant, n_rows) for variant in VARIANTS for n_rows in sizes]
    report.print_table(rows, "fits that may end early, and with all epochs")
    name = "early_ends_full" if arguments.full else "early_ends"
    report.save(name, rows)
    draw(rows, name)


def draw(rows: list[dict[str, Any]], name: str) -> None:
    """Draw the share of the time by variant."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6.5, 3.6), layout="constrained").add_subplot()
    sizes = sorted({row["rows"] for row in rows})
    for number, n_rows in enumerate(sizes):
        own = [row for row in rows if row["rows"] == n_rows]
        places = np.arange(len(own)) + 0.8 * (number - (len(sizes) - 1) / 2) / len(sizes)
        axes.bar(places, [row["of the time"] for row in own], 0.8 / len(sizes), label=f"{n_rows} rows")
    axes.axhline(1, color="0.6", linewidth=0.8)
    axes.set_xticks(range(len(VARIANTS)), [name.lower() or "plain" for name in VARIANTS], fontsize=8)
    axes.set(ylabel="time, as a share of that of all epochs")
    axes.legend(fontsize=8)
    axes.figure.savefig(report.RESULTS / f"{name}.png", dpi=120)


if __name__ == "__main__":
    main()

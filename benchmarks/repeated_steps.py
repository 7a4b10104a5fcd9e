"""What repeating the operations of a pass saves: each variant, as it stands and repeated, in turn.

Fits with default settings, on 40 rows of 5 columns (six models side by side) and on digits (one model,
8 components). Of fits, the median of `--repeats` counts, of steps that of 150 pairs in one fit of 40 rows.
"""

import argparse
import time
import warnings
from typing import Any
from unittest import mock

import numpy as np
import report
import torch
from sklearn.datasets import load_digits

import skae
from skae.training import replayed
from skae.training.by_autograd import ByAutograd

VARIANTS = ("Variational", "Contractive", "Adversarial", "Sparse", "Binary")
FEW = np.random.default_rng(0).standard_normal((40, 5))
N_STEPS = 150
# What max_iter="auto" stands for on few rows, but all of them: fits may end early else.
EPOCHS_OF_FEW = 300


def model(variant: str, n_components: int) -> Any:
    return getattr(skae, f"{variant}AutoencoderTransformer")(n_components, random_state=0)


def seconds(variant: str, n_components: int, X: np.ndarray, is_repeated: bool) -> tuple[float, float]:
    """Time a fit; return its score, too, which repeating leaves alone."""
    with mock.patch.object(replayed, "_MOST_NUMBERS", replayed._MOST_NUMBERS if is_repeated else -1):
        start = time.perf_counter()
        fitted = (
            model(variant, n_components).set_params(max_iter=EPOCHS_OF_FEW if X is FEW else "auto").fit(X)
        )
        return time.perf_counter() - start, fitted.score(X)


def milliseconds(variant: str) -> tuple[float, float]:
    """Time terms and gradients of six models as they stand and repeated, in turn, in one fit."""
    times: list[list[float]] = [[], []]
    own = ByAutograd.__call__

    def timed(self: ByAutograd, batches: Any) -> Any:
        batch, replay = self._joined(batches), self.differentiated
        if len(times[0]) < N_STEPS and any(shape.is_trusted for shape in replay.found.values()):
            for kept, function in zip(times, (replay.function, replay), strict=True):
                start = time.perf_counter()
                function(batch)
                kept.append(time.perf_counter() - start)
        return own(self, batches)

    with mock.patch.object(ByAutograd, "__call__", timed):
        model(variant, 2).set_params(max_iter=EPOCHS_OF_FEW).fit(FEW)
    as_it_stands, repeated = (1e3 * float(np.median(each)) for each in times)
    return as_it_stands, repeated


def beside(variant: str, n_repeats: int) -> dict[str, Any]:
    """Return the medians of a variant."""
    as_it_stands, repeated = milliseconds(variant)
    row = {"variant": variant.lower(), "ms a step": as_it_stands, "repeated": repeated}
    for name, X, n_components in (("40 rows", FEW, 2), ("digits", load_digits(return_X_y=True)[0], 8)):
        runs = [[seconds(variant, n_components, X, way) for way in (False, True)] for _ in range(n_repeats)]
        before, after = (float(np.median([run[way][0] for run in runs])) for way in (0, 1))
        row |= {f"{name}: s": before, f"{name}: repeated": after, f"{name}: share": after / before}
        row[f"{name}: same score"] = all(run[0][1] == run[1][1] for run in runs)
    return row


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the share of the time that fits take."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for shift, name in ((-0.2, "40 rows"), (0.2, "digits")):
        bars = axes.barh(places + shift, [row[f"{name}: share"] for row in rows], height=0.38, label=name)
        axes.bar_label(bars, fmt=" %.2f")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(yticks=places, yticklabels=[row["variant"] for row in rows], xlim=(0, 1.3))
    axes.set(xlabel="time of a fit, as a share of that without repeating")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    figure.savefig(report.RESULTS / "repeated_steps.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="how often each fit is timed")
    parser.add_argument("--full", action="store_true", help="nine repeats")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # Imports of the first fit.
    for variant in VARIANTS:
        model(variant, 2).set_params(max_iter=2).fit(FEW)
    rows = [beside(variant, 9 if arguments.full else arguments.repeats) for variant in VARIANTS]
    report.print_table(rows, "operations repeated")
    report.save("repeated_steps", rows)
    draw(rows)


if __name__ == "__main__":
    main()

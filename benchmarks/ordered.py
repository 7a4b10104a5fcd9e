"""One ordered fit against a fit for each size, and sizes chosen by the share of the variance.

weatherAUS (when at hand), digits as pixels, and digits standardised: an ordered fit with 16 components, cut
after 1, 2, 3, 5 and 8 of them, separate fits of these sizes, and PCA; variance explained of test rows, times.
Then `n_components=0.9` on these, breast cancer and wine (`--full`: 0.8 and 0.95 too, and 10,000 of MNIST).
Prints two tables, writes them as JSON, and draws the curves into `results/`.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import problems
import report
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.metrics import variance_explained

SIZES = (1, 2, 3, 5, 8)
LARGEST = 16


def digits() -> problems.Problem:
    """Give digits as pixels, which have one unit, 75 % for training."""
    return problems.Problem("digits", *train_test_split(load_digits().data, random_state=0))


def fitted(problem: problems.Problem, n_components: Any, **settings: Any) -> tuple[Any, float]:
    """Fit, and give the seconds that it took."""
    start = time.perf_counter()
    model = AutoencoderTransformer(n_components, random_state=0, **settings).fit(problem.train)
    return model, time.perf_counter() - start


def compare_sizes(problem: problems.Problem) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Give a row a size, and what the first components of the ordered fit explain of the test rows."""
    ordered, ordered_seconds = fitted(problem, LARGEST, ordered=True)
    curve = ordered.cumulative_explained_variance(problem.test)
    rows = []
    for size in SIZES:
        separate, seconds = fitted(problem, size)
        explained = separate.score(problem.test)
        pca = variance_explained(PCA(size, random_state=0).fit(problem.train), problem.test)
        rows.append(
            {
                "data": problem.name,
                "components": size,
                "ordered": float(curve[size - 1]),
                "separate": explained,
                "PCA": pca,
                "ordered - separate": float(curve[size - 1]) - explained,
                "ordered fit seconds": ordered_seconds,
                "separate fit seconds": seconds,
                "times": ordered_seconds / seconds,
            }
        )
    gains = np.diff(curve, prepend=0.0)
    pca = [variance_explained(PCA(size).fit(problem.train), problem.test) for size in range(1, LARGEST + 1)]
    print(
        f"{problem.name}: ratios on test rows {np.round(gains, 4).tolist()}, "
        f"largest rise {np.diff(gains).max():.4f}; "
        f"sum less score {curve[-1] - ordered.score(problem.test):.1e}, "
        f"least lead over PCA {np.min(curve - pca):.4f}",
        flush=True,
    )
    return rows, curve


def choose_share(problem: problems.Problem, share: float) -> dict[str, Any]:
    """Give the size that a share of the variance takes, for PCA and for an autoencoder."""
    model, seconds = fitted(problem, share)
    pca = PCA(share, svd_solver="full").fit(problem.train)
    return {
        "data": problem.name,
        "share": share,
        "components of PCA": int(pca.n_components_),
        "components": int(model.n_components_),
        "explained, held-out rows": model.validation_score_,
        "explained, test rows": model.score(problem.test),
        "PCA, test rows": variance_explained(pca, problem.test),
        "seconds": seconds,
    }


def draw(curves: dict[str, tuple[list[dict[str, Any]], np.ndarray]]) -> None:
    """Draw variance explained against the number of components."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(curves), 3.6), layout="constrained")
    for axes, (name, (rows, curve)) in zip(
        figure.subplots(1, len(curves), sharey=True, squeeze=False)[0], curves.items(), strict=True
    ):
        axes.plot(range(1, len(curve) + 1), curve, "o-", color="#0072B2", label="one ordered fit, cut", ms=4)
        for key, style, colour in (("separate", "s", "#D55E00"), ("PCA", "--", "black")):
            axes.plot(SIZES, [row[key] for row in rows], style, color=colour, label=key)
        axes.set(title=name, xlabel="number of components", ylim=(0, 1))
    figure.axes[0].set_ylabel("variance explained, test rows")
    figure.axes[0].legend(loc="lower right")
    figure.savefig(report.RESULTS / "ordered.png", dpi=120)


def data(full: bool) -> Iterator[problems.Problem]:
    """Give the tables of the second part, beside those of the first."""
    yield from (problem for problem in problems.bundled() if problem.name != "digits")
    if full:
        for problem in problems.at_hand(problems.mnist):
            yield problem._replace(train=problem.train[:10_000])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more shares, and MNIST")
    arguments = parser.parse_args()
    # PCA is beside every figure; what warnings would say can be read there.
    warnings.simplefilter("ignore", ConvergenceWarning)
    scaled = next(problem for problem in problems.bundled() if problem.name == "digits")
    found = [*problems.at_hand(problems.weather_aus), digits(), scaled._replace(name="digits, standardised")]
    curves = {problem.name: compare_sizes(problem) for problem in found}
    rows = [row for part, _ in curves.values() for row in part]
    report.print_table(rows, f"one ordered fit of {LARGEST} components, cut; variance explained of test rows")
    shares = (0.8, 0.9, 0.95) if arguments.full else (0.9,)
    chosen = [choose_share(problem, share) for problem in [*found, *data(arguments.full)] for share in shares]
    report.print_table(chosen, "sizes by the share of the variance of held-out rows")
    report.save("ordered_full" if arguments.full else "ordered", rows, shares=chosen)
    draw(curves)


if __name__ == "__main__":
    main()

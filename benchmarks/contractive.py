"""How strongly codes move: plain, denoising and contractive, 1,000 logistic units, 10,000 images of MNIST.

The form of Rifai et al. (2011): one layer each way with tied weights, codes squashed into (0, 1). For each
setting, the squared error of test images (summed over pixels) and the mean Frobenius norm of the encoder's
Jacobian at them. Errors differ from setting to setting, so norms are compared where errors are equal: along
the contractive settings, by interpolation between the two nearest in the logarithm of the error.
"""

import argparse
import time
from typing import Any

import numpy as np
import problems
import report

from skae import ContractiveAutoencoderTransformer, DenoisingAutoencoderTransformer

N_ROWS, N_TEST, N_UNITS = 10_000, 2000, 1000
SHARED: dict[str, Any] = {
    "hidden_layer_sizes": (),
    "linear_path": False,
    "tied_weights": True,
    "code_activation": "logistic",
    "learning_rate_init": 0.003,
    "batch_size": 128,
    "max_iter": 40,
    "random_state": 0,
}
# Less training, as a way to the errors of the others.
PLAIN: list[dict[str, Any]] = [{"max_iter": epochs} for epochs in (1, 2, 4, 8, 40)]
DENOISING: list[dict[str, Any]] = [
    {"corruption": "masking", "corruption_level": 0.25},
    {"corruption": "masking", "corruption_level": 0.5},
    {"corruption": "gaussian", "corruption_level": 0.5},
    {"corruption": "gaussian", "corruption_level": 1.0},
]
# Weights may grow, so that units saturate: that is how they come to move little.
CONTRACTIVE: list[dict[str, Any]] = [
    {"alpha": alpha, "weight_decay": 0.0, "learning_rate_init": 0.02}
    for alpha in (1.0, 5.0, 20.0, 50.0, 100.0)
]


def settings() -> list[tuple[str, Any, dict[str, Any]]]:
    """List name, class and settings of all that is fitted."""
    return [
        *(("plain", ContractiveAutoencoderTransformer, {"alpha": 0.0, **more}) for more in PLAIN),
        *(("denoising", DenoisingAutoencoderTransformer, more) for more in DENOISING),
        *(("contractive", ContractiveAutoencoderTransformer, more) for more in CONTRACTIVE),
    ]


def norm(model: Any, X: np.ndarray) -> float:
    """Give the mean Frobenius norm of the Jacobian: a logistic layer's is known from its codes."""
    codes = model.transform(X).astype(np.float64)
    weights = model.network_.encoder[-1].weight.double().numpy() / model.scale_
    slopes = codes * (1 - codes)
    return float(np.sqrt(np.square(slopes) @ np.square(weights).sum(axis=1)).mean())


def compare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the ratio of norms to those of the contractive settings, where errors are equal."""
    ours = sorted(
        (row["squared error of an image"], row["norm"]) for row in rows if row["variant"] == "contractive"
    )
    errors, norms = np.log([error for error, _ in ours]), np.log([size for _, size in ours])
    found = []
    for row in rows:
        error = np.log(row["squared error of an image"])
        if row["variant"] != "contractive" and errors[0] <= error <= errors[-1]:
            there = float(np.exp(np.interp(error, errors, norms)))
            found.append(
                {
                    "variant": row["variant"],
                    "settings": row["settings"],
                    "squared error of an image": row["squared error of an image"],
                    "norm": row["norm"],
                    "contractive norm there": there,
                    "ratio": row["norm"] / there,
                }
            )
    return found


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw norms against errors."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axis = figure.subplots()
    for variant, marker in (("plain", "s"), ("denoising", "^"), ("contractive", "o")):
        points = sorted(
            (row["squared error of an image"], row["norm"]) for row in rows if row["variant"] == variant
        )
        axis.plot(
            *zip(*points, strict=True), marker=marker, label=variant, ls="-" if variant != "denoising" else ""
        )
    axis.set(xscale="log", yscale="log", xlabel="Squared error of a test image")
    axis.set_ylabel("Norm of the encoder's Jacobian, mean")
    for side, ticks in ((axis.xaxis, (1, 2, 5, 10, 20)), (axis.yaxis, (5, 10, 20, 30))):
        side.set_major_locator(FixedLocator(ticks))
        side.set_major_formatter(ScalarFormatter())
        side.set_minor_locator(NullLocator())
    axis.legend(loc="lower left")
    figure.savefig(report.RESULTS / "contractive.png", dpi=120)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for problem in problems.at_hand(problems.mnist):
        rows: list[dict[str, Any]] = []
        test = problem.test[:N_TEST]
        for variant, cls, more in settings():
            start = time.perf_counter()
            model = cls(N_UNITS, **(SHARED | more)).fit(problem.train[:N_ROWS])
            seconds = time.perf_counter() - start
            back = model.reconstruct(test)
            rows.append(
                {
                    "variant": variant,
                    "settings": ", ".join(f"{name}={value}" for name, value in more.items()),
                    "squared error of an image": float(np.square(test - back).sum(axis=1).mean()),
                    "norm": norm(model, test),
                    "fit seconds": seconds,
                }
            )
            print(*rows[-1].values(), flush=True)
        compared = compare(rows)
        report.print_table(rows, "Errors and norms")
        report.print_table(compared, "At equal error")
        report.save("contractive", rows, equal_error=compared)
        draw(rows)


if __name__ == "__main__":
    main()

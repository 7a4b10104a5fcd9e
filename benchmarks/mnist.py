"""MNIST in 30 numbers: the task of Hinton and Salakhutdinov (2006), in about a minute.

Squared error summed over the pixels of an image, mean over the 10,000 test images. Published: 13.87 for PCA,
8.01 for logistic PCA, 3.00 for a deep autoencoder. `--full` adds a wider network.
"""

import argparse
import time
from typing import Any

import numpy as np
import problems
import report
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

N_COMPONENTS = 30
HIDDEN = (512, 256)


def reducers(full: bool) -> dict[str, Any]:
    """Give what is compared, by the name it has in the table."""
    settings = {
        "hidden_layer_sizes": HIDDEN,
        "activation": "silu",
        "learning_rate_init": 0.01,
        "batch_size": 512,
        "max_iter": 13,
    }
    listed = {
        "PCA": PCA(N_COMPONENTS, random_state=0),
        "squared error": AutoencoderTransformer(N_COMPONENTS, random_state=0, **settings),
        "squared error, logistic output": AutoencoderTransformer(
            N_COMPONENTS, output_activation="logistic", random_state=0, **settings
        ),
        "cross-entropy": AutoencoderTransformer(
            N_COMPONENTS, loss="binary_crossentropy", random_state=0, **settings
        ),
    }
    if full:
        wide = settings | {"hidden_layer_sizes": (1000, 500, 250), "max_iter": 30}
        listed["cross-entropy, 1000-500-250"] = AutoencoderTransformer(
            N_COMPONENTS, loss="binary_crossentropy", random_state=0, **wide
        )
    return listed


def draw(problem: problems.Problem, pictures: dict[str, np.ndarray]) -> None:
    """Draw ten test images and what comes back of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.95 * (1 + len(pictures))), layout="constrained")
    axes = figure.subplots(1 + len(pictures), 10)
    for line, (name, images) in zip(axes, {"image": problem.test, **pictures}.items(), strict=True):
        for axis, image in zip(line, images, strict=False):
            axis.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name.replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=8)
    figure.savefig(report.RESULTS / "mnist.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a wider network as well")
    arguments = parser.parse_args()
    for problem in problems.at_hand(problems.mnist):
        rows, pictures = [], {}
        for name, reducer in reducers(arguments.full).items():
            start = time.perf_counter()
            reducer.fit(problem.train)
            seconds = time.perf_counter() - start
            back = reducer.inverse_transform(reducer.transform(problem.test))
            error = float(np.square(problem.test - back).sum(axis=1).mean())
            rows.append({"reducer": name, "squared error of an image": error, "fit seconds": seconds})
            pictures[name] = back[:10]
            print(f"{name}: {error:.2f} in {seconds:.0f} s", flush=True)
        report.print_table(rows, f"MNIST, {N_COMPONENTS} components, {'-'.join(map(str, HIDDEN))}")
        report.save("mnist_full" if arguments.full else "mnist", rows)
        draw(problem, pictures)


if __name__ == "__main__":
    main()

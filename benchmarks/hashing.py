"""Semantic hashing: how many of the nearest images by Hamming distance show the same digit.

MNIST, 64 bits: precision at 100 neighbours among the training images, for 1,000 test images, with ties
broken at random; beside the signs of principal components, and those after a random rotation of them.
`--full` searches among all images instead of 20,000.
"""

import argparse
import time
from typing import Any

import numpy as np
import problems
import report
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import BinaryAutoencoderTransformer

N_BITS, N_NEIGHBOURS, N_QUERIES = 64, 100, 1000


def precision(
    base: np.ndarray, queries: np.ndarray, y_base: np.ndarray, y_queries: np.ndarray
) -> tuple[float, float]:
    """Give the share of neighbours of the same class, and the milliseconds of a search."""
    base, queries = (np.packbits(bits > 0, axis=1) for bits in (base, queries))
    random = np.random.default_rng(0)
    right, start = [], time.perf_counter()
    for query, label in zip(queries, y_queries, strict=True):
        distance = np.bitwise_count(query ^ base).sum(axis=1, dtype=np.int32)
        nearest = np.argpartition(distance + random.random(len(base)), N_NEIGHBOURS)[:N_NEIGHBOURS]
        right.append((y_base[nearest] == label).mean())
    return float(np.mean(right)), 1e3 * (time.perf_counter() - start) / len(queries)


def rotate(Z: np.ndarray) -> np.ndarray:
    """Rotate at random, so that all bits tell of as much variance."""
    return Z @ ortho_group.rvs(N_BITS, random_state=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all images")
    full = parser.parse_args().full
    for problem in problems.at_hand(problems.mnist):
        n_rows = len(problem.train) if full else 20_000
        X, y = problem.train[:n_rows], problem.y_train[:n_rows]
        queries, y_queries = problem.test[:N_QUERIES], problem.y_test[:N_QUERIES]
        pca = PCA(N_BITS, random_state=0)
        rotated = make_pipeline(PCA(N_BITS, random_state=0), FunctionTransformer(rotate))
        codes: dict[str, Any] = {
            "signs of PCA": pca.fit(X).transform,
            "signs of PCA, rotated": rotated.fit(X).transform,
        }
        seconds = {}
        for name, settings in (("skae", {}), ("skae, hidden layers", {"hidden_layer_sizes": (128, 64)})):
            start = time.perf_counter()
            model = BinaryAutoencoderTransformer(N_BITS, max_iter=20, random_state=0, **settings).fit(X)
            seconds[name], codes[name] = time.perf_counter() - start, model.transform
        rows = []
        for name, code in codes.items():
            found, milliseconds = precision(code(X), code(queries), y, y_queries)
            rows.append(
                {
                    "codes": name,
                    "precision at 100": found,
                    "ms a search": milliseconds,
                    "fit seconds": seconds.get(name),
                }
            )
        report.print_table(rows, f"{N_BITS} bits, {n_rows} images")
        report.save("hashing_full" if full else "hashing", rows)


if __name__ == "__main__":
    main()

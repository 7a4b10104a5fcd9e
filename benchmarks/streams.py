"""Streams: rows a second, what is explained of new rows, and what happens where a stream drifts.

Parts of 1,000 rows come once (weatherAUS: `--passes` times, in another order each time). Compared are
`partial_fit`, scikit-learn's `IncrementalPCA`, and PCA of all rows at once, by the variance of new rows that
is explained.
"drift": at the half of the stream the relations between the columns change, and all columns move by a
deviation; explained are the rows of each part before they are learnt.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import report
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import StandardScaler

import skae
from skae.datasets import fetch_weather_aus
from skae.metrics import variance_explained

SIZE = 1000


def curved(n_rows: int, seed: int, weights: int = 0) -> np.ndarray:
    """Return sines of four hidden numbers, 17 columns with noise."""
    random = np.random.default_rng(seed)
    slopes = np.random.default_rng(weights).standard_normal((4, 17))
    return np.sin(random.uniform(-2, 2, (n_rows, 4)) @ slopes) + 0.1 * random.standard_normal((n_rows, 17))


def weather() -> tuple[np.ndarray, np.ndarray]:
    """Return standardised complete rows of weatherAUS, those to learn and new ones."""
    X = np.asarray(fetch_weather_aus(return_X_y=True)[0], dtype=np.float64)
    X = StandardScaler().fit_transform(X[~np.isnan(X).any(axis=1)])
    X = X[np.random.default_rng(0).permutation(len(X))]
    return X[:46_000], X[46_000:]


def explained(back: np.ndarray, rows: np.ndarray) -> float:
    """Return the share of the variance of rows that comes back."""
    return float(1 - ((rows - back) ** 2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum())


def one_stream(
    name: str, parts: Callable[[], Iterator[np.ndarray]], new: np.ndarray, k: int
) -> list[dict[str, Any]]:
    """Learn a stream by all, one after the other."""
    rows = []
    for label, model in (
        ("partial_fit", skae.AutoencoderTransformer(k, random_state=0)),
        ("IncrementalPCA", IncrementalPCA(k)),
    ):
        seconds = []
        for part in parts():
            start = time.perf_counter()
            model.partial_fit(part)
            seconds.append(time.perf_counter() - start)
        rows.append(
            {
                "stream": name,
                "model": label,
                "rows": SIZE * len(seconds),
                "explained": variance_explained(model, new),
                "ms a call, median": 1e3 * float(np.median(seconds[1:])),
                "rows/s": SIZE / float(np.median(seconds[1:])),
            }
        )
        print(rows[-1], flush=True)
    pca = PCA(k).fit(np.concatenate(list(parts())))
    rows.append({"stream": name, "model": "PCA of all rows", "explained": variance_explained(pca, new)})
    print(rows[-1], flush=True)
    return rows


def drift(n_parts: int) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Learn a stream that changes at its half; return what of each part was explained before."""
    curves: dict[str, list[float]] = {}
    models = {
        "partial_fit": skae.AutoencoderTransformer(4, random_state=0),
        "IncrementalPCA": IncrementalPCA(4),
    }
    warned = []
    for number in range(n_parts):
        changed = number >= n_parts // 2
        part = curved(SIZE, 10 + number, weights=int(changed)) + 0.7 * changed
        for label, model in models.items():
            if number:
                back = model.inverse_transform(model.transform(part))
                curves.setdefault(label, []).append(explained(back, part))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.partial_fit(part)
            warned += [number for each in caught if issubclass(each.category, skae.DriftWarning)]
    half = n_parts // 2 - 1
    rows = [
        {
            "stream": "drift",
            "model": label,
            "rows": SIZE * n_parts,
            "explained before": float(np.mean(curve[half - 10 : half])),
            "just after": curve[half],
            "100 parts later": float(np.mean(curve[half + 90 : half + 100])),
            "at the end": float(np.mean(curve[-10:])),
            "warned at part": str(warned) if label == "partial_fit" else None,
            "changed at part": n_parts // 2,
        }
        for label, curve in curves.items()
    ]
    return rows, curves


def draw(curves: dict[str, list[float]]) -> None:
    """Draw what each part of the stream that drifts was explained by."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    for label, curve in curves.items():
        axis.plot(range(1, len(curve) + 1), curve, label=label, lw=1)
    axis.set(xlabel="Part of 1,000 rows", ylabel="Variance explained\nbefore it is learnt", ylim=(-0.5, 1))
    axis.legend()
    figure.savefig(report.RESULTS / "streams.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the curved stream")
    parser.add_argument("--passes", type=int, default=4, help="over weatherAUS")
    parser.add_argument("--parts", type=int, default=400, help="of the stream that drifts")
    arguments = parser.parse_args()

    def curved_parts() -> Iterator[np.ndarray]:
        return (curved(SIZE, seed) for seed in range(1, 1 + arguments.rows // SIZE))

    rows = one_stream("curved", curved_parts, curved(20_000, 10**6), 4)
    known, new = weather()

    def weather_parts() -> Iterator[np.ndarray]:
        for number in range(arguments.passes):
            order = np.random.default_rng(number).permutation(len(known))
            yield from (known[order[start : start + SIZE]] for start in range(0, len(known), SIZE))

    rows += one_stream("weatherAUS", weather_parts, new, 3)
    drifted, curves = drift(arguments.parts)
    report.print_table(rows, f"Streams in parts of {SIZE} rows")
    report.print_table(drifted, "A stream that changes at its half")
    report.save("streams", rows + drifted)
    draw(curves)


if __name__ == "__main__":
    main()

"""Denoising: signal to noise on digits and MNIST, and what its features do for a classifier of weatherAUS.

Peak signal-to-noise ratio, in decibels, of held-out images after Gaussian noise (deviation 0.25 and 0.5 of
the range) or with 30 % of the pixels at zero; PCA and KernelPCA at the number of components that is best for
them, everything clipped to [0, 1]. weatherAUS: ROC AUC of rain tomorrow, five shuffled folds. `--full` trains
on all rows of MNIST instead of 20,000.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import problems
import report
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoderTransformer
from skae.datasets import fetch_weather_aus

MNIST_ROWS, TEST_ROWS, KERNEL_ROWS = 20_000, 2000, 2000
Noise = Callable[[np.ndarray, np.random.Generator], np.ndarray]
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"n_components": 32, "output_activation": "logistic"},
    "MNIST": {
        "n_components": 128,
        "hidden_layer_sizes": (1024, 512),
        "output_activation": "logistic",
        "learning_rate_init": 0.003,
        "batch_size": 256,
        "max_iter": 30,
    },
}


def gaussian(deviation: float) -> Noise:
    """Add normal noise of one deviation to all pixels."""
    return lambda X, random: X + deviation * random.standard_normal(X.shape)


def masking(X: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Set 30 % of the pixels to zero."""
    return np.where(random.random(X.shape) < 0.3, 0, X)


NOISES: dict[str, Noise] = {
    "gaussian 0.25": gaussian(0.25),
    "gaussian 0.5": gaussian(0.5),
    "masking 30 %": masking,
}


def decibels(X_back: np.ndarray, X: np.ndarray) -> float:
    """Give the peak signal-to-noise ratio for values in [0, 1]."""
    return float(-10 * np.log10(np.mean((np.clip(X_back, 0, 1) - X) ** 2)))


def best_of(reducers: list[Any], train: np.ndarray, noisy: np.ndarray, test: np.ndarray) -> tuple[float, int]:
    """Give the best ratio among reducers, judged on the test rows themselves, and its components."""
    found = []
    for reducer in reducers:
        reducer.fit(train)
        back = reducer.inverse_transform(reducer.transform(noisy))
        found.append((decibels(back, test), reducer.n_components))
    return max(found)


def denoise(name: str, train: np.ndarray, test: np.ndarray) -> list[dict[str, Any]]:
    """Compare on one data set, a row a kind of noise."""
    rows, pictures = [], {"image": test[:8]}
    kernel_train = train[:KERNEL_ROWS]
    sizes = [k for k in (4, 8, 16, 24, 32, 48, 64, 100, 150) if k < train.shape[1]]
    for noise_name, noise in NOISES.items():
        noisy = noise(test, np.random.default_rng(0)).astype(test.dtype)
        pca, pca_size = best_of([PCA(k, random_state=0) for k in sizes], train, noisy, test)
        kernels = [
            # Settings of scikit-learn's own example of denoising.
            KernelPCA(k, kernel="rbf", gamma=gamma, fit_inverse_transform=True, alpha=5e-3, random_state=0)
            for k in (32, 100, 400)
            for gamma in (1e-3, 1e-2)
        ]
        kernel, kernel_size = best_of(kernels, kernel_train, noisy, test)
        start = time.perf_counter()
        model = DenoisingAutoencoderTransformer(corruption=noise, random_state=0, **SETTINGS[name]).fit(train)
        seconds = time.perf_counter() - start
        back = model.denoise(noisy)
        ours = decibels(back, test)
        rows.append(
            {
                "data": name,
                "noise": noise_name,
                "noisy dB": decibels(noisy, test),
                "PCA dB": pca,
                "components": pca_size,
                "KernelPCA dB": kernel,
                "components ": kernel_size,
                "skae dB": ours,
                "gain": ours - max(pca, kernel),
                "fit seconds": seconds,
            }
        )
        pictures |= {noise_name: noisy[:8], f"{noise_name}, denoised": back[:8]}
        print(f"{name}, {noise_name}: {rows[-1]['gain']:+.2f} dB", flush=True)
    draw(name, pictures)
    return rows


def draw(name: str, pictures: dict[str, np.ndarray]) -> None:
    """Draw images, with noise and after it was taken away."""
    from matplotlib.figure import Figure

    side = round(pictures["image"].shape[1] ** 0.5)
    figure = Figure(figsize=(8, 0.95 * len(pictures)), layout="constrained")
    for line, (title, images) in zip(figure.subplots(len(pictures), 8), pictures.items(), strict=True):
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(title.replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=8)
    figure.savefig(report.RESULTS / f"denoising_{name.lower()}.png", dpi=120)


def weather_features() -> list[dict[str, Any]]:
    """Classify rain tomorrow from raw columns, PCA codes and denoising features."""
    X, y = fetch_weather_aus(return_X_y=True)
    logistic = LogisticRegression(max_iter=500)
    denoiser = DenoisingAutoencoderTransformer(32, features="all", random_state=0)
    pipes = {
        "raw columns": make_pipeline(StandardScaler(), logistic),
        "PCA(8) codes": make_pipeline(StandardScaler(), PCA(8), logistic),
        "denoising features": make_pipeline(
            # Hundreds of features that hang together: a little more of a ridge.
            StandardScaler(),
            denoiser,
            StandardScaler(),
            LogisticRegression(max_iter=500, C=0.1),
        ),
        "gradient boosting on raw columns": HistGradientBoostingClassifier(random_state=0),
    }
    folds = KFold(5, shuffle=True, random_state=0)
    rows = []
    for name, pipe in pipes.items():
        scores = cross_val_score(pipe, X, y, cv=folds, scoring="roc_auc")
        rows.append({"features": name, "ROC AUC": scores.mean(), "deviation of folds": scores.std()})
        print(f"weatherAUS, {name}: {scores.mean():.4f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all rows of MNIST")
    arguments = parser.parse_args()
    report.RESULTS.mkdir(exist_ok=True)
    train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    rows = denoise("digits", train, test)
    for problem in problems.at_hand(problems.mnist):
        n_rows = len(problem.train) if arguments.full else MNIST_ROWS
        rows += denoise("MNIST", problem.train[:n_rows], problem.test[:TEST_ROWS])
    report.print_table(rows, "denoising of held-out images")
    try:
        features = weather_features()
    except OSError as error:
        print(f"left out: {error}")
        features = []
    report.print_table(features, "rain tomorrow, five shuffled folds")
    report.save("denoising_full" if arguments.full else "denoising", rows, features=features)


if __name__ == "__main__":
    main()

"""The data of the benchmarks, by name. What is not at hand is left out, with a line that says so."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae.datasets import fetch_weather_aus, get_data_home


class Problem(NamedTuple):
    """A table cut into training and test rows."""

    name: str
    train: np.ndarray
    test: np.ndarray
    y_train: np.ndarray | None = None
    y_test: np.ndarray | None = None


def split(name: str, X: np.ndarray, y: np.ndarray | None, test_size: float, seed: int = 0) -> Problem:
    """Cut a table and standardise its columns by the training rows."""
    labels = [] if y is None else [y]
    parts = train_test_split(X, *labels, test_size=test_size, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(parts[0])
    return Problem(name, scaler.transform(parts[0]), scaler.transform(parts[1]), *parts[2:])


def weather_aus(seed: int = 0) -> Problem:
    """Give 58,090 complete rows of 17 columns, 80 % for training; the target is rain tomorrow."""
    X, y = fetch_weather_aus(return_X_y=True)
    parts = train_test_split(X, y, test_size=0.2, random_state=seed)
    scaler = StandardScaler().fit(parts[0])
    return Problem("weatherAUS", scaler.transform(parts[0]), scaler.transform(parts[1]), *parts[2:])


def mnist() -> Problem:
    """Give the official split, pixels in [0, 1], not standardised."""
    folder = get_data_home() / "mnist"

    def read(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)

    X_train = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255
    X_test = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255
    labels = (read("train-labels-idx1-ubyte.gz", 8), read("t10k-labels-idx1-ubyte.gz", 8))
    return Problem("MNIST", X_train, X_test, *labels)


def bundled(seed: int = 0) -> list[Problem]:
    """Give those of scikit-learn's bundled tables that have classes, 75 % for training."""
    loaders = {
        "digits": datasets.load_digits,
        "breast cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
    }
    return [
        split(name, *loader(return_X_y=True), test_size=0.25, seed=seed) for name, loader in loaders.items()
    ]


def at_hand(load: Callable[[], Problem]) -> Iterator[Problem]:
    """Yield a problem, or nothing and a printed line where its data cannot be had."""
    try:
        yield load()
    except OSError as error:
        print(f"left out: {error}")


class Labelled(NamedTuple):
    """A raw table with a target: integers are classes, floats are numbers."""

    name: str
    X: np.ndarray
    y: np.ndarray

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 of numbers."""
        return 0 if self.y.dtype.kind == "f" else len(np.unique(self.y))


def labelled_tables() -> Iterator[Labelled]:
    """Yield the tables of `many_tables` that have one target; outliers and the others are two classes."""
    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        bunch = getattr(datasets, f"load_{name}")()
        yield Labelled(name, bunch.data.astype(float), bunch.target)
    for path in _adbench():
        held = np.load(path)
        yield Labelled(_name(path), held["X"].astype(float), held["y"].astype(int))
    try:
        X, y = fetch_weather_aus(return_X_y=True)
    except OSError as error:
        print(f"left out: {error}")
    else:
        yield Labelled("weather_aus", X, np.asarray(y).astype(int))


def many_tables() -> Iterator[tuple[str, np.ndarray]]:
    """Yield raw tables by name: scikit-learn's own, and those at hand in the data folder."""
    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"):
        yield name, getattr(datasets, f"load_{name}")().data.astype(float)
    for path in _adbench():
        yield _name(path), np.load(path)["X"].astype(float)
    etth = get_data_home() / "ETTh1.csv.gz"
    if etth.is_file():
        yield "etth1", np.loadtxt(etth, delimiter=",", skiprows=1, usecols=range(1, 8))
    try:
        yield "weather_aus", fetch_weather_aus(return_X_y=True)[0]
    except OSError as error:
        print(f"left out: {error}")


def _adbench() -> list[Path]:
    """Give the files of ADBench that are at hand, by their numbers."""
    paths = (get_data_home() / "adbench").glob("*.npz")
    return sorted(paths, key=lambda path: int(path.name.partition("_")[0]))


def _name(path: Path) -> str:
    return path.stem.partition("_")[2].lower()

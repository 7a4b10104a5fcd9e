"""How far models of ONNX are from their estimators, and what a row costs in numpy alone.

Microseconds of `transform` of one row of 17 columns come first, by the estimator and by `skae.numpy` in turn.
Then every variant on every architecture, on standardised rows: the largest absolute difference of codes,
decoded codes, rows back and errors in onnxruntime, over one row, many rows and rows with gaps. Last, twelve
Pipelines.

`--full` measures models of float64 as well.
"""

import argparse
import copy
import itertools
import pickle
import subprocess
import sys
import tempfile
import time
import timeit
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import report
import skl2onnx
import torch
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

import skae
import skae.numpy
import skae.onnx
from skae.networks import Convolutional, Custom, Dictionary, Recurrent, Recursive
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

VARIANTS = {
    "AutoencoderTransformer": skae.AutoencoderTransformer(2),
    "ordered": skae.AutoencoderTransformer(3, ordered=True),
    "linear encoder": skae.AutoencoderTransformer(2, encoder="linear"),
    "linearity": skae.AutoencoderTransformer(2, linearity=0.5),
    "target": skae.AutoencoderTransformer(2, target_weight=0.5),
    "DenoisingAutoencoderTransformer": skae.DenoisingAutoencoderTransformer(2),
    "ContractiveAutoencoderTransformer": skae.ContractiveAutoencoderTransformer(2),
    "SparseAutoencoderTransformer": skae.SparseAutoencoderTransformer(8),
    "VariationalAutoencoderTransformer": skae.VariationalAutoencoderTransformer(2),
    "AdversarialAutoencoderTransformer": skae.AdversarialAutoencoderTransformer(2),
    "BinaryAutoencoderTransformer": skae.BinaryAutoencoderTransformer(8),
}
NETWORKS = {
    "default": None,
    "Convolutional": Convolutional((3, 4), channels=(4,)),
    "Recurrent": Recurrent(6, hidden_size=5),
    "Recursive": Recursive(4),
    "Dictionary": Dictionary((5,)),
    "modules": None,
}
# Encoders of these read rows in ways of their own.
REFUSED = {("linear encoder", network) for network in ("Recurrent", "Dictionary", "modules")}
SETTINGS = {"max_iter": 3, "early_stopping": False, "random_state": 0}


def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return standardised rows, the same with gaps, and as sequences that end early."""
    random = np.random.RandomState(0)
    X = np.sin(random.uniform(0, 6, (200, 1)) + np.linspace(0, 6, 12)) + 0.1 * random.standard_normal(
        (200, 12)
    )
    X = StandardScaler().fit_transform(X)
    ends = np.arange(12) >= random.randint(1, 7, 200)[:, None] * 2
    return X, np.where(random.uniform(size=X.shape) < 0.1, np.nan, X), np.where(ends, np.nan, X)


def with_network(variant: str, network: str) -> Any:
    """Return an estimator on an architecture."""
    model = copy.deepcopy(VARIANTS[variant]).set_params(**SETTINGS)
    chosen: Any = NETWORKS[network]
    if network == "modules":
        n_outputs = model.n_components * (2 if variant.startswith("Variational") else 1)
        chosen = Custom(torch.nn.Linear(12, n_outputs), torch.nn.Linear(model.n_components, 12))
    return model.set_params(network=chosen)


def run(model: Any, rows: np.ndarray) -> list[np.ndarray]:
    """Return what a model of ONNX puts out."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: rows})


def differences(model: Any, parts: list[np.ndarray], dtype: type) -> dict[str, Any]:
    """Return the largest absolute difference of all that is exported, and the seconds of an export."""
    worst, start = {}, time.perf_counter()
    every = ("encode", "decode", "reconstruct", "error")
    graphs = {what: skae.onnx.to_onnx(model, what, dtype=dtype) for what in every}
    seconds = (time.perf_counter() - start) / len(every)
    for part in parts:
        rows = part.astype(dtype)
        codes = model.transform(rows)
        wanted = {
            "encode": codes,
            "decode": model.inverse_transform(codes),
            "reconstruct": model.reconstruct(rows),
            "error": model.reconstruction_error(rows),
        }
        for what, graph in graphs.items():
            found = run(graph, codes if what == "decode" else rows)[0]
            worst[what] = max(worst.get(what, 0.0), float(np.abs(found - wanted[what]).max()))
    return {**worst, "seconds": seconds}


def of_estimators(dtypes: list[type]) -> list[dict[str, Any]]:
    """Measure every variant on every architecture."""
    X, gaps, ends = tables()
    rows = []
    for variant, network in itertools.product(VARIANTS, NETWORKS):
        if (variant, network) in REFUSED:
            continue
        others = [ends] if network == "Recurrent" else [gaps, X]
        model = with_network(variant, network).fit(others[-1], X[:, 0] > 0)
        parts = [part[:n_rows] for part in others for n_rows in (1, 200)]
        for dtype in dtypes:
            found = differences(model, parts, dtype)
            rows.append({"variant": variant, "network": network, "dtype": dtype.__name__, **found})
    return rows


def pipelines() -> dict[str, tuple[Pipeline, bool]]:
    """Return Pipelines by name, and whether their rows have gaps."""
    plain, bits = skae.AutoencoderTransformer(3, **SETTINGS), skae.BinaryAutoencoderTransformer(8, **SETTINGS)
    codes = FeatureUnion([("pca", PCA(2)), ("plain", plain), ("bits", bits)])
    parts = ColumnTransformer(
        [("scaled", make_pipeline(StandardScaler(), plain), [0, 1, 2, 3, 4]), ("raw", plain, [5, 6, 7])]
    )
    imputer = AutoencoderImputer(plain, random_state=0, add_indicator=True)
    detector = AutoencoderOutlierDetector(n_estimators=3, random_state=0)
    sparse, drawn = VARIANTS["SparseAutoencoderTransformer"], VARIANTS["VariationalAutoencoderTransformer"]
    images = skae.AutoencoderTransformer(2, network=Convolutional((3, 4)), **SETTINGS)
    return {
        "StandardScaler, plain, LogisticRegression": (
            make_pipeline(StandardScaler(), plain, LogisticRegression()),
            False,
        ),
        "the same, with gaps": (make_pipeline(StandardScaler(), plain, LogisticRegression()), True),
        "MinMaxScaler, variational, LogisticRegression": (
            make_pipeline(MinMaxScaler(), drawn, LogisticRegression()),
            False,
        ),
        "RobustScaler, sparse, Ridge": (make_pipeline(RobustScaler(), sparse, Ridge()), False),
        "StandardScaler, plain, StandardScaler, plain": (
            make_pipeline(
                StandardScaler(), plain, StandardScaler(), copy.deepcopy(plain).set_params(n_components=2)
            ),
            False,
        ),
        "StandardScaler, convolutional, LogisticRegression": (
            make_pipeline(StandardScaler(), images, LogisticRegression()),
            False,
        ),
        "StandardScaler, imputer, LogisticRegression": (
            make_pipeline(StandardScaler(), imputer, LogisticRegression()),
            True,
        ),
        "StandardScaler, outlier detector": (make_pipeline(StandardScaler(), detector), True),
        "FeatureUnion, LogisticRegression": (
            make_pipeline(StandardScaler(), codes, LogisticRegression()),
            False,
        ),
        "StandardScaler, linear encoder, LogisticRegression": (
            make_pipeline(
                StandardScaler(),
                skae.AutoencoderTransformer(3, encoder="linear", **SETTINGS),
                LogisticRegression(),
            ),
            True,
        ),
        "StandardScaler, codes of a target, LogisticRegression": (
            make_pipeline(
                StandardScaler(),
                skae.AutoencoderTransformer(3, target_weight=0.5, **SETTINGS),
                LogisticRegression(),
            ),
            True,
        ),
        "ColumnTransformer, LogisticRegression": (
            make_pipeline(parts, StandardScaler(), LogisticRegression()),
            False,
        ),
    }


def of_pipelines(dtypes: list[type]) -> list[dict[str, Any]]:
    """Measure twelve Pipelines: probabilities, predictions, scores of outliers, or codes."""
    skae.onnx.register()
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, :12]
    gaps = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    rows = []
    for (name, (pipe, has_gaps)), dtype in itertools.product(pipelines().items(), dtypes):
        pipe.fit(gaps if has_gaps else X, y)
        table = (gaps if has_gaps else X).astype(dtype)
        number = FloatTensorType if dtype is np.float32 else DoubleTensorType
        options = {"zipmap": False} if hasattr(pipe[-1], "predict_proba") else None
        types = [("X", number([None, X.shape[1]]))]
        model = skl2onnx.to_onnx(pipe, initial_types=types, options=options)
        worst = 0.0
        for part in (table[:1], table):
            found = run(model, part)
            for method in ("predict_proba", "decision_function", "predict", "transform"):
                if hasattr(pipe, method):
                    wanted = getattr(pipe, method)(part)
                    break
            worst = max(worst, float(np.abs(found[-1].reshape(wanted.shape) - wanted).max()))
        rows.append({"pipeline": name, "dtype": dtype.__name__, "difference": worst})
    return rows


def of_rows() -> list[dict[str, Any]]:
    """Measure microseconds of one row of 17 columns with the default network, by CPU time, in turn."""
    X = np.random.RandomState(0).standard_normal((1000, 17))
    model = skae.AutoencoderTransformer(3, **SETTINGS).fit(X)
    encoder = pickle.loads(pickle.dumps(skae.numpy.encoder(model)))
    rows = []
    for dtype in (np.float32, np.float64):
        row = X[:1].astype(dtype)
        methods = {"estimator": model.transform, "skae.numpy": encoder.transform}
        best = dict.fromkeys(methods, np.inf)
        for _ in range(20):
            for name, method in methods.items():
                method(row)
                seconds = timeit.timeit(partial(method, row), number=1000, timer=time.process_time)
                best[name] = min(best[name], seconds * 1e3)
        difference = float(np.abs(encoder.transform(row) - model.transform(row)).max())
        rows.append({"dtype": dtype.__name__, **best, "difference": difference})
    return rows


_LOADING = """
import sys, time, numpy
start, clock = time.process_time(), time.perf_counter()
import skae.numpy
encoder = skae.numpy.encoder(sys.argv[1])
print(1e3 * (time.process_time() - start), 1e3 * (time.perf_counter() - clock), "torch" in sys.modules)
"""


def of_loading() -> list[dict[str, Any]]:
    """Measure milliseconds from `import numpy` to an encoder that is read from a file, the best of ten."""
    X = np.random.RandomState(0).standard_normal((1000, 17))
    model = skae.AutoencoderTransformer(3, **SETTINGS).fit(X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skae"
        skae.save(model, path)
        command = [sys.executable, "-c", _LOADING, str(path)]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(10)]
        parts = [run.stdout.split() for run in runs]
        return [
            {
                "CPU ms": min(float(part[0]) for part in parts),
                "ms": min(float(part[1]) for part in parts),
                "torch imported": any(part[2] == "True" for part in parts),
                "file bytes": path.stat().st_size,
                "pickle bytes": len(pickle.dumps(model)),
            }
        ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    dtypes: list[type] = [np.float32, np.float64] if parser.parse_args().full else [np.float32]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    microseconds = of_rows()
    report.print_table(microseconds, "transform of one row of 17 columns, microseconds")
    loading = of_loading()
    report.print_table(loading, "skae.numpy.encoder of a file, in a new process")
    estimators = of_estimators(dtypes)
    report.print_table(estimators, "largest absolute difference in onnxruntime")
    pipes = of_pipelines(dtypes)
    report.print_table(pipes, "Pipelines by skl2onnx")
    worst = max(row[what] for row in estimators for what in ("encode", "decode", "reconstruct", "error"))
    print(f"at most {worst:.1e}, in Pipelines {max(row['difference'] for row in pipes):.1e}")
    report.save("onnx_parity", estimators, pipelines=pipes, microseconds=microseconds, loading=loading)


if __name__ == "__main__":
    main()

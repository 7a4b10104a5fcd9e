"""Tables as bad weather brings them: every dtype, order, gap, extreme and container, drawn from a seed.

A `Recipe` is drawn once a scene, and makes tables of one structure: those that are fitted on and those that
come later, calm or not. `anything` is whatever a caller might pass by mistake.
"""

import importlib
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch

ROWS = ([0, 1, 2, 3, 20, 60], [0.03, 0.06, 0.07, 0.07, 0.5, 0.27])
COLUMNS = ([1, 2, 5, 300], [0.15, 0.3, 0.5, 0.05])
EXTREMES = [1e-310, 1e37, 1e100, 1e155, 1e200, 1e308, -1e308, np.inf, -np.inf, -0.0, 0.0, 3.4e38, 1e16]
FLOATS = ["float16", "float32", "float64", "longdouble"]
WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
OTHERS = ["bool", "object", "str", "bytes", "complex128", "datetime64[ns]", "timedelta64[s]"]
WORDS = ["red", "green", "", "$x$", "été", "None", "1", "nan", "a" * 300]
SPARSE = ["csr", "csc", "coo", "dok", "lil", "bsr", "dia"]


def pick(random: np.random.RandomState, given: Any, chances: Any = None) -> Any:
    """Draw one of some objects, of any kind."""
    return list(given)[random.choice(len(given), p=chances)]


def numbers(random: np.random.RandomState, n: int, d: int) -> np.ndarray:
    """Return rows of few dimensions with a little noise."""
    inner = max(1, min(3, d))
    loadings = np.random.RandomState(d).standard_normal((inner, d))
    return random.standard_normal((n, inner)) @ loadings + 0.1 * random.standard_normal((n, d))


def disturb(random: np.random.RandomState, X: np.ndarray) -> np.ndarray:
    """Put gaps, extremes, constants or an offset into a table of floats."""
    if not X.size:
        return X
    X = X.copy()
    how = pick(random, ["gaps", "gaps", "extreme", "extreme", "scale", "constant", "offset"])
    row, column = random.randint(len(X)), random.randint(X.shape[1])
    place = pick(random, [(row, column), (row,), (slice(None), column), (slice(None),), "some"])
    if isinstance(place, str):
        place = random.random_sample(X.shape) < 0.3
    with np.errstate(all="ignore"):
        if how == "gaps":
            X[place] = np.nan
        elif how == "extreme":
            X[place] = pick(random, EXTREMES)
        elif how == "scale":
            X[place] *= pick(random, EXTREMES)
        elif how == "constant":
            X[place] = pick(random, [0.0, 1.0, -3.5])
        else:
            X[place] += pick(random, [1e6, 1e12, 1e18])
    return X


def as_dtype(random: np.random.RandomState, X: np.ndarray, dtype: str) -> np.ndarray:
    """Turn floats into an array of some dtype."""
    with np.errstate(all="ignore"):
        if dtype in FLOATS or dtype == "complex128":
            return X.astype(dtype)
        calm = np.nan_to_num(X, nan=0.0, posinf=1e6, neginf=-1e6)
        if dtype in WHOLE:
            limits = np.iinfo(dtype)
            scaled = np.clip(calm * (60 if "8" in dtype else 1000), -1e15, 1e15).round()
            return np.clip(scaled, max(limits.min, -(10**15)), min(limits.max, 10**15)).astype(dtype)
        if dtype == "bool":
            return calm > 0
        if dtype == "object":
            table = X.astype(object)
            table[np.isnan(X)] = pick(random, [None, np.nan, pd.NA])
            return table
        if dtype in ("str", "bytes"):
            words = np.array(WORDS[:4])[np.clip(np.abs(calm), 0, 3).astype(int)]
            return words if dtype == "str" else np.char.encode(words)
        table = np.clip(calm * 1e6, -1e15, 1e15).astype("int64").astype(dtype)
        if table.size and random.random_sample() < 0.3:
            table.flat[0] = np.array("NaT", dtype=dtype)
        return table


def ordered(random: np.random.RandomState, X: np.ndarray) -> np.ndarray:
    """Lay an array out in memory in another way."""
    how = pick(
        random, ["C", "C", "F", "rows back", "columns back", "zero", "read-only", "swapped", "file", "gapped"]
    )
    if how == "F":
        return np.asfortranarray(X)
    if how == "rows back":
        return X[::-1]
    if how == "columns back":
        return X[:, ::-1]
    if how == "zero" and len(X):
        return np.broadcast_to(X[:1], X.shape)
    if how == "read-only":
        X = X.copy()
        X.flags.writeable = False
    elif how == "swapped":
        return X.astype(X.dtype.newbyteorder())
    elif how == "file" and X.size and X.dtype != object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            np.ascontiguousarray(X).tofile(path)
            return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)
    elif how == "gapped":
        wide = np.zeros((2 * len(X), 2 * X.shape[1]), dtype=X.dtype)
        wide[::2, ::2] = X
        return wide[::2, ::2]
    return X


class Recipe:
    """One structure of a table, and how to make tables of it.

    Parameters
    ----------
    random : RandomState
        Draws the structure.
    container : str, optional
        One of `CONTAINERS`; drawn if not given.
    """

    def __init__(self, random: np.random.RandomState, container: str | None = None) -> None:
        self.container = container or pick(random, list(CONTAINERS), list(CONTAINERS.values()))
        self.n_columns = int(pick(random, *COLUMNS))
        self.dtype = pick(random, FLOATS * 4 + WHOLE + OTHERS)
        self.seed = int(random.randint(2**31 - 1))

    def __repr__(self) -> str:
        dtype = self.dtype if self.container in ("array", "list", "tensor", "sparse") else ""
        return f"{self.container} {dtype} of {self.n_columns}".replace("  ", " ")

    def make(self, random: np.random.RandomState, n: int, calm: bool = False) -> Any:
        """Return a table of so many rows."""
        X = numbers(random, n, self.n_columns)
        if not calm and random.random_sample() < 0.6:
            X = disturb(random, X)
        with np.errstate(all="ignore"):
            return getattr(self, f"_{self.container.replace(' ', '_')}")(random, X)

    def _array(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        return ordered(random, as_dtype(random, X, self.dtype))

    def _list(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        table = as_dtype(random, X, self.dtype).tolist()
        return [tuple(row) for row in table] if self.seed % 2 else table

    def _tensor(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        dtype = (
            self.dtype
            if self.dtype in ("float16", "float32", "int8", "uint8", "int64", "bool")
            else "float64"
        )
        table = torch.tensor(as_dtype(random, X, dtype))
        if self.seed % 4 == 0 and dtype.startswith("float"):
            table = table.to(torch.bfloat16) if self.seed % 8 else table.requires_grad_()
        return table.T.contiguous().T if self.seed % 3 == 0 else table

    def _sparse(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        dtype = self.dtype if self.dtype in (*WHOLE, "float32", "bool") else "float64"
        table = as_dtype(random, X, dtype)
        table = table * (np.abs(np.nan_to_num(X)) > 0.7).astype(table.dtype if dtype != "bool" else bool)
        form = SPARSE[self.seed % len(SPARSE)]
        made = getattr(scipy.sparse, f"{form}_{'array' if self.seed % 2 else 'matrix'}")(table)
        if form in ("csr", "csc") and self.seed % 5 < 2:
            made.indices, made.indptr = made.indices.astype(np.int64), made.indptr.astype(np.int64)
            if made.nnz:
                made.data[0] = 0  # an explicit zero
        return made

    def _frame(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        kinds = np.random.RandomState(self.seed)
        pool = pick(kinds, [["float"], ["float", "small", "nullable"], list(SERIES)])
        columns = [SERIES[pick(kinds, pool)](random, X[:, j]) for j in range(X.shape[1])]
        frame = pd.concat([pd.Series(column).reset_index(drop=True) for column in columns], axis=1)
        frame.columns = names(kinds, X.shape[1])
        if self.seed % 3 == 0:
            frame.index = pick(
                kinds,
                [
                    pd.Index([0] * len(X)),
                    pd.date_range("2020", periods=len(X)),
                    pd.MultiIndex.from_arrays([range(len(X)), ["a"] * len(X)]),
                    pd.Index([f"r{row}" for row in range(len(X))][::-1]),
                ],
            )
        return frame

    def _sparse_frame(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        table = scipy.sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0))
        return pd.DataFrame.sparse.from_spmatrix(table, columns=[f"c{j}" for j in range(X.shape[1])])

    def _plain(self, X: np.ndarray) -> dict[str, Any]:
        """Return columns of simple kinds by name."""
        columns: dict[str, Any] = {}
        for j, values in enumerate(X.T):
            text = [None if np.isnan(value) else WORDS[int(value > 0)] for value in values]
            columns[f"c{j}"] = (
                text if (self.seed + j) % 3 == 0 else values.astype("float32" if j % 2 else float)
            )
        return columns

    def _polars(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        import polars

        return polars.DataFrame(self._plain(X))

    def _arrow(self, random: np.random.RandomState, X: np.ndarray) -> Any:
        pyarrow = _arrow_or_none()
        return pd.DataFrame(self._plain(X)) if pyarrow is None else pyarrow.table(self._plain(X))


CONTAINERS = {
    "array": 0.5,
    "frame": 0.22,
    "sparse": 0.1,
    "list": 0.06,
    "tensor": 0.04,
    "sparse frame": 0.02,
    "polars": 0.04,
    "arrow": 0.02,
}


def _arrow_or_none() -> Any:
    """Return pyarrow where it is installed; without it, the same draws make tables of pandas."""
    return importlib.import_module("pyarrow") if importlib.util.find_spec("pyarrow") else None


def names(random: np.random.RandomState, d: int) -> Any:
    """Return names of columns: of text, twice the same, of several levels, mixed, numbers."""
    how = random.randint(8)
    if how == 0:
        return ["a"] * d
    if how == 1:
        return pd.MultiIndex.from_tuples([("top", f"c{j}") for j in range(d)])
    if how == 2:
        return [j if j % 2 else f"c{j}" for j in range(d)]
    if how == 3:
        return list(range(d, 0, -1))
    if how == 4:
        return [None, "", "$a$", "\N{SNOWMAN}", 1.5, "b", *[f"c{j}" for j in range(d)]][:d]
    return [f"c{j}" for j in range(d)]


def _text(random: np.random.RandomState, values: np.ndarray) -> list[Any]:
    gap = pick(random, [None, np.nan])
    few = np.clip(np.nan_to_num(np.abs(values)) * 1.5, 0, len(WORDS) - 1).astype(int)
    return [gap if np.isnan(value) else WORDS[place] for value, place in zip(values, few, strict=True)]


def _counts(values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(np.abs(values)) * 9, 0, 100).astype(int)


def _nullable(values: np.ndarray, dtype: str) -> pd.Series:
    made = pd.Series(_counts(values)).astype(dtype)
    made[np.isnan(values)] = pd.NA
    return made


def _category(random: np.random.RandomState, values: np.ndarray) -> pd.Series:
    levels = ["low", "middle", "high", "never seen"]
    return pd.Series(
        pd.Categorical.from_codes(
            np.where(np.isnan(values), -1, _counts(values) % 3), levels, ordered=bool(random.randint(2))
        )
    )


def _dates(random: np.random.RandomState, values: np.ndarray) -> pd.Series:
    made = pd.Series(pd.to_datetime(_counts(values), unit="D"))
    made[np.isnan(values)] = pd.NaT
    return made


def _or(arrow: str, other: str) -> str:
    return other if _arrow_or_none() is None else arrow


SERIES = {
    "float": lambda random, values: pd.Series(values),
    "float32": lambda random, values: pd.Series(values.astype("float32")),
    "small": lambda random, values: pd.Series(_counts(values).astype("uint8")),
    "int": lambda random, values: pd.Series(_counts(values).astype("int64") - 50),
    "nullable": lambda random, values: _nullable(values, "UInt8"),
    "Int64": lambda random, values: _nullable(values, "Int64"),
    "Float32": lambda random, values: pd.Series(values).astype("Float32"),
    "boolean": lambda random, values: pd.Series(values > 0).astype("boolean"),
    "bool": lambda random, values: pd.Series(values > 0),
    "text": lambda random, values: pd.Series(_text(random, values), dtype=object),
    "string": lambda random, values: pd.Series(_text(random, values), dtype="string"),
    "category": _category,
    "date": _dates,
    "arrow int": lambda random, values: _nullable(values, _or("int8[pyarrow]", "Int8")),
    "arrow double": lambda random, values: pd.Series(values).astype(_or("double[pyarrow]", "Float64")),
    "arrow text": lambda random, values: pd.Series(
        _text(random, values), dtype=_or("string[pyarrow]", "str")
    ),
    "arrow dictionary": lambda random, values: pd.Series(_text(random, values), dtype="category"),
    "objects": lambda random, values: pd.Series([1, "a", None, 2.5] * len(values), dtype=object)[
        : len(values)
    ],
}


def anything(random: np.random.RandomState, n: int, d: int) -> Any:
    """Return what somebody might pass by mistake."""
    return pick(
        random,
        [
            None,
            3,
            "table",
            b"table",
            [],
            [[]],
            [[1, 2], [3]],
            [None] * 3,
            {"a": [1, 2]},
            {1, 2},
            object(),
            np.zeros(5),
            np.zeros((2, 3, 4)),
            np.float64(2),
            np.zeros((3, 0)),
            np.zeros((0, d)),
            np.ma.masked_array(np.ones((4, d)), mask=np.eye(4, d)),
            np.matrix(np.ones((4, d))),
            np.array([[{}]] * 4),
            np.zeros(4, dtype=[("a", float), ("b", int)]),
            pd.Series(np.ones(4)),
            pd.DataFrame(),
            scipy.sparse.csr_array((4, d)),
            torch.ones(4),
            torch.ones(4, d, dtype=torch.complex64),
            numbers(random, n, d + 1),
            range(5),
            iter([[1.0, 2.0]]),
            [["a", "b"]] * 4,
            [[{}], [2]],
            [[2**80] * d] * 4,
        ],
    )


def n_rows(X: Any) -> int:
    """Return how many rows a table has."""
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape is not None else len(X)

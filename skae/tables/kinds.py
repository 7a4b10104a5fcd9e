"""Columns of one kind: what they are, what the network sees of them, and the way back."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skae._typing import Column
from skae.tables.cells import as_numbers, is_missing, is_real, values_of
from skae.tables.dtypes import is_whole, within

_MOST_CATEGORIES = 255
_WHOLE = {int, *(np.dtype(code).type for code in np.typecodes["AllInteger"])}


class Numbers:
    """A column of numbers that stays one; also counts, as logarithms.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        As the user has them.
    dtype : object
        The dtype to give back.
    is_count : bool
        Whether they are counts.
    """

    width = 1
    levels: Sequence[object] = ()  # of categories, of which numbers have none

    def __init__(self, values: np.ndarray, dtype: Any, is_count: bool, name: object) -> None:
        self.kind = "count" if is_count else "numeric"
        self.dtype = dtype
        self.name = name
        if hasattr(dtype, "categories"):
            self.read(np.asarray(dtype.categories, dtype=object))
        known = self.read(values)
        there = ~np.isnan(known)
        known = known[there]
        # Objects may be whole numbers, too.
        self.is_whole = is_whole(dtype) or (values.dtype == object and types_in(values[there]) <= _WHOLE)
        if is_count and len(known) and (known.min() < 0 or (known != np.round(known)).any()):
            raise ValueError(
                f"column_types says that column {name!r} holds counts, but it holds {known.min():g} among "
                "others. Counts are whole numbers of at least 0; use 'numeric'."
            )

    def read(self, values: np.ndarray) -> np.ndarray:
        """Return numbers, NaN where missing."""
        try:
            return as_numbers(values)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self.name!r} holds numbers in training, and here something else: {error}. Convert "
                "it, or say column_types={...: 'categorical'} in training."
            ) from error

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the column inside, (n_samples, 1)."""
        numbers = self.read(values_of(values))
        return (np.log1p(np.maximum(numbers, 0)) if self.kind == "count" else numbers)[:, None]

    def unknown(self, values: Column) -> np.ndarray:
        """Return which values training could not have told: no number is such."""
        return np.zeros(len(values), dtype=bool)

    def decode(self, inside: np.ndarray) -> np.ndarray:
        """Return values of the user's column, whole ones if it held whole numbers."""
        numbers = inside[:, 0].astype(np.float64)
        if self.kind == "count":
            numbers = np.expm1(np.minimum(numbers, 700.0))
        if not self.is_whole:
            return numbers
        return (
            within(numbers, np.dtype(np.int64)).astype(object) if self.dtype == object else np.round(numbers)
        )


class Categories:
    """A column of categories: one column each inside, or a single one for two values.

    Parameters
    ----------
    found : set
        All values that are not missing.
    dtype : object
        The dtype to give back; its own categories, if any, say in which order they are.
    is_binary : bool
        Whether there are two, which become 0 and 1.
    handle_unknown : {"missing", "error"}
        What becomes of categories that training has not seen.
    name : object
        Of the column, for messages.
    """

    is_whole = False  # of numbers

    def __init__(self, found: set, dtype: Any, is_binary: bool, handle_unknown: str, name: object) -> None:
        self.name, self.dtype, self.handle_unknown = name, dtype, handle_unknown
        has_own = hasattr(dtype, "categories")
        self.levels = [one for one in dtype.categories if one in found] if has_own else ordered(found)
        if len(self.levels) > _MOST_CATEGORIES:
            raise ValueError(
                f"Column {name!r} holds {len(self.levels)} different values, e.g. {self.levels[0]!r}; more "
                f"than {_MOST_CATEGORIES} are no categories. Drop it, make numbers of it, or group values."
            )
        if is_binary and len(self.levels) > 2:
            raise ValueError(
                f"column_types says that column {name!r} is binary, but it holds {len(self.levels)} values: "
                f"{self.levels[:5]}. Use 'categorical'."
            )
        self.kind = "binary" if is_binary else "categorical"
        self._index()

    def _index(self) -> None:
        """Find the number of each category, and what follows from them."""
        self.has_own = hasattr(self.dtype, "categories")
        self.known = {level: code for code, level in enumerate(self.levels)}
        self.width = 1 if self.kind == "binary" else max(1, len(self.levels))

    def __getstate__(self) -> dict[str, object]:
        # What follows from the rest is found again: a file cannot say anything else of it.
        return {
            name: value for name, value in vars(self).items() if name not in ("has_own", "known", "width")
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._index()

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the columns inside, (n_samples, width), NaN where missing."""
        codes, missing = self._codes(values)
        unknown = (codes < 0) & ~missing
        if self.handle_unknown == "error" and unknown.any():
            raise ValueError(
                f"Column {self.name!r} holds {np.asarray(values)[unknown][0]!r}, which training has not "
                f"seen; it knows {self.levels[:5]}. Use handle_unknown='missing', or train with it."
            )
        inside = np.full((len(values), self.width), np.nan)
        there = codes >= 0
        if self.kind == "binary":
            inside[there, 0] = codes[there]
        else:
            inside[there] = np.eye(self.width)[codes[there]]
        return inside

    def unknown(self, values: Column) -> np.ndarray:
        """Return which values are categories that training has not seen."""
        codes, missing = self._codes(values)
        return (codes < 0) & ~missing

    def _codes(self, values: Column) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of each value, -1 where it has none, and which are missing."""
        listed = np.asarray(values, dtype=object).tolist()
        with _refused(self.name):
            codes = np.fromiter((self.known.get(value, -1) for value in listed), int, len(listed))
        missing = np.zeros(len(listed), dtype=bool)
        for row in np.flatnonzero(codes < 0):
            missing[row] = is_missing(listed[row])
        return codes, missing

    def decode(self, inside: np.ndarray) -> np.ndarray:
        """Return the most likely category of each row."""
        if not self.levels:
            return np.full(len(inside), None, dtype=object)
        codes = (inside[:, 0] >= 0.5).astype(int) if self.kind == "binary" else inside.argmax(axis=1)
        found = np.empty(len(self.levels), dtype=object)
        found[:] = self.levels
        if not self.has_own and all(is_real(type(level)) for level in self.levels):
            found = np.array(self.levels)
        return found[np.minimum(codes, len(self.levels) - 1)]


def make_column(column: Column, kind: str | None, handle_unknown: str, name: object) -> Numbers | Categories:
    """Make out what a column is, unless that was said, and how it is to be read."""
    dtype = column.dtype
    if getattr(dtype, "kind", None) in ("M", "m"):
        raise TypeError(
            f"Column {name!r} holds dates or times; a table argument must be a string, a number or a "
            "category. Drop it, or turn it into numbers such as the day of the year."
        )
    values = values_of(column)
    if kind is None:
        kind = _guess(values, dtype, name)
    if kind in ("numeric", "count"):
        return Numbers(values, dtype, kind == "count", name)
    with _refused(name):
        found = set(np.asarray(column, dtype=object).tolist())
    found = {value for value in found if not is_missing(value)}
    is_binary = kind == "binary" or (kind == "either" and len(found) == 2)
    return Categories(found, dtype, is_binary, handle_unknown, name)


def _guess(values: np.ndarray, dtype: object, name: object) -> str:
    """Return the type of a column as its dtype tells it, "either" for categories that may be two."""
    if hasattr(dtype, "categories"):
        return "either"
    if values.dtype != object:
        return "binary" if getattr(dtype, "kind", None) == "b" else "numeric"
    found = types_in(values)
    odd = [kind.__name__ for kind in found if not (is_real(kind) or issubclass(kind, str))]
    if odd:
        raise TypeError(
            f"Column {name!r} holds values of type {odd[0]}; an argument must be a string or a number. Drop "
            "it, or turn it into numbers or text."
        )
    if any(issubclass(kind, (str, bool, np.bool_)) for kind in found):
        return "either"
    if not found and not isinstance(dtype, np.dtype):
        # Of text without any, no zeros are to come back.
        return "either"
    return "numeric"


def types_in(values: np.ndarray) -> set[type]:
    """Return the types of all objects but those that stand for nothing."""
    found = set(map(type, values.ravel().tolist()))
    # The few types that may stand for nothing, or not.
    unsure = {kind for kind in found if not issubclass(kind, (str, int, float))}
    found -= unsure
    if unsure:
        cells = values.ravel().tolist()
        found |= {type(one) for one in cells if type(one) in unsure and not is_missing(one)}
    return found


@contextlib.contextmanager
def _refused(name: object) -> Iterator[None]:
    """Name the column of values that cannot be looked up, lists for example."""
    try:
        yield
    except TypeError as error:
        raise TypeError(
            f"Column {name!r} holds values that cannot be categories ({error}); an argument must be a string "
            "or a number."
        ) from error


def ordered(found: set) -> list:
    """Sort values, those of several types by the names of their types first."""
    try:
        return sorted(found, key=lambda value: (type(value).__name__, value))
    except TypeError:  # complex numbers, say
        return sorted(found, key=lambda value: (type(value).__name__, repr(value)))

"""Values made of what the JSON of a file says of them, and of the arrays beside."""

import math
from collections.abc import Callable
from typing import TypeGuard

import numpy as np

from skae._files.layout import (
    AS_BYTES,
    CHARACTER_BYTES,
    DTYPES,
    ELEMENT_BYTES,
    MOST_DEPTH,
    MOST_DIMENSIONS,
    FileError,
    is_finite,
)

__all__ = ["Values", "counts", "is_dict", "without_duplicates"]


_DTYPES_BY_TEXT = {dtype.str: dtype for dtype in DTYPES.values()}


class Values:
    """Makes the values of one file.

    Parameters
    ----------
    arrays : list of ndarray
        The tensors of the file.
    allowance : int
        How many bytes may be taken beside them.

    Attributes
    ----------
    used : set of int
        Which of the arrays something was made of.
    """

    def __init__(self, arrays: list[np.ndarray], allowance: int) -> None:
        self.arrays = arrays
        self.allowance = allowance
        self.used: set[int] = set()
        self.made: dict[str, np.ndarray] = {}
        self.makers: dict[str, Callable[[object, dict[str, object], int], object]] = {
            "$tuple": self._tuple,
            "$dict": self._dict,
            "$float": self._float,
            "$floats": self._floats,
            "$texts": self._texts,
            "$bytes": self._bytes,
            "$scalar": self._scalar,
            "$objects": self._objects,
            "$array": self._array,
        }

    def value(self, said: object, depth: int = 0) -> object:
        """Return what JSON stands for."""
        if depth > MOST_DEPTH:
            raise FileError(f"its content has more than {MOST_DEPTH} levels")
        if isinstance(said, list):
            return [self.value(item, depth + 1) for item in said]
        if not is_dict(said):
            return said
        first = next(iter(said), "")
        if first[:1] != "$":
            if any(key[:1] == "$" for key in said):
                raise FileError("a dict of its content has a key that begins with $")
            return {key: self.value(item, depth + 1) for key, item in said.items()}
        if first not in self.makers or (len(said) > 1 and first != "$array"):
            raise FileError(f"its content holds {first[:20]!r}, which is not known")
        return self.makers[first](said[first], said, depth)

    def _tuple(self, items: object, said: dict[str, object], depth: int) -> tuple[object, ...]:
        found = self.value(items, depth + 1)
        if not isinstance(found, list):
            raise FileError("a tuple of its content is no list")
        return tuple(found)

    def _dict(self, items: object, said: dict[str, object], depth: int) -> dict[str, object]:
        if not isinstance(items, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in items
        ):
            raise FileError("a dict of its content is no list of pairs")
        return without_duplicates([(pair[0], self.value(pair[1], depth + 1)) for pair in items])

    def _float(self, name: object, said: dict[str, object], depth: int) -> float:
        if name not in ("nan", "inf", "-inf"):
            raise FileError("a number of its content is none")
        return float(str(name))

    def _floats(self, place: object, said: dict[str, object], depth: int) -> list[float]:
        found = self._tensor(place, np.dtype("<f8"), 1)
        self._spend(len(found) * ELEMENT_BYTES)
        return found.tolist()

    def _texts(self, places: object, said: dict[str, object], depth: int) -> list[str]:
        if not isinstance(places, list) or len(places) != 2:
            raise FileError("texts of its content have no two tensors")
        lengths = self._tensor(places[0], np.dtype("<u4"), 1)
        text = self._tensor(places[1], np.dtype("u1"), 1).tobytes()
        self._spend(len(lengths) * ELEMENT_BYTES + (1 if text.isascii() else CHARACTER_BYTES) * len(text))
        ends = np.cumsum(lengths, dtype=np.uint64).tolist()
        if (ends[-1] if ends else 0) != len(text):
            raise FileError("texts of its content have other lengths than they should")
        return [
            text[end - length : end].decode("utf-8", "surrogatepass")
            for end, length in zip(ends, lengths.tolist(), strict=True)
        ]

    def _bytes(self, place: object, said: dict[str, object], depth: int) -> bytes:
        found = self._tensor(place, np.dtype("u1"), 1)
        self._spend(len(found))
        return found.tobytes()

    def _scalar(self, pair: object, said: dict[str, object], depth: int) -> np.generic:
        dtype = _DTYPES_BY_TEXT.get(str(pair[0])[:8]) if isinstance(pair, list) and len(pair) == 2 else None
        if dtype is None or not isinstance(pair, list):
            raise FileError("a scalar of its content has an unknown dtype")
        value = self.value(pair[1], depth + 1)
        wanted = {"b": bool, "f": float}.get(dtype.kind, int)
        if type(value) is not wanted or not isinstance(value, (bool, int, float)):
            raise FileError(f"a scalar of its content is no {dtype}")
        try:
            with np.errstate(over="raise"):
                return dtype.type(value)
        except (OverflowError, FloatingPointError) as error:
            raise FileError(f"a scalar of its content is too large for {dtype}") from error

    def _objects(self, pair: object, said: dict[str, object], depth: int) -> np.ndarray:
        shape = counts(pair[0]) if isinstance(pair, list) and len(pair) == 2 else None
        if shape is None or not isinstance(pair, list) or len(shape) > MOST_DIMENSIONS:
            raise FileError("an array of objects of its content has no shape")
        items = self.value(pair[1], depth + 1)
        if not isinstance(items, list) or len(items) != math.prod(shape):
            raise FileError("an array of objects of its content has another size than its shape says")
        self._spend(8 * len(items))
        found = np.empty(len(items), dtype=object)
        # One by one: numpy would look for lists within.
        for place, item in enumerate(items):
            found[place] = item
        return found.reshape(shape)

    def _array(self, place: object, said: dict[str, object], depth: int) -> np.ndarray:
        if not said.keys() <= {"$array", "order", "dtype", "finite"} or said.get("order", "F") != "F":
            raise FileError("an array of its content has unknown entries")
        found = self._tensor(place)
        # What was shared is shared again.
        key = repr(said)
        if key not in self.made:
            array = self._of_bytes(found, said["dtype"]) if "dtype" in said else found
            if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
                raise FileError(f"tensor {place} holds what is neither true nor false")
            if array.dtype.kind == "f" and said.get("finite", True) is not False and not is_finite(array):
                raise FileError(f"tensor {place} holds NaN or infinite numbers where none belong")
            self.made[key] = array.T if "order" in said else array
        return self.made[key]

    def _of_bytes(self, found: np.ndarray, name: object) -> np.ndarray:
        """Return an array of a dtype that the format does not have."""
        try:
            dtype = np.dtype(name) if isinstance(name, str) and len(name) < 20 else np.dtype("O")
        except TypeError:
            dtype = np.dtype("O")
        shape = found.shape[:-1]
        if dtype.kind not in AS_BYTES or found.dtype != np.uint8 or found.shape[-1:] != (dtype.itemsize,):
            raise FileError("an array of its content has a dtype that does not fit its tensor")
        if dtype.kind == "U" and found.size and int(found.reshape(-1, 4).view("<u4").max()) > 0x10FFFF:
            raise FileError("an array of texts holds what is no character")
        self._spend(2 * found.nbytes)
        # A copy, since its place is a multiple of one byte only.
        return np.frombuffer(bytearray(found.tobytes()), dtype).reshape(shape)

    def _tensor(
        self, place: object, dtype: np.dtype | None = None, n_dimensions: int | None = None
    ) -> np.ndarray:
        if type(place) is not int or not 0 <= place < len(self.arrays):
            raise FileError("its content mentions a tensor that is not there")
        found = self.arrays[place]
        if (dtype is not None and found.dtype != dtype) or n_dimensions not in (None, found.ndim):
            raise FileError(f"tensor {place} has another dtype or shape than its content says")
        self.used.add(place)
        return found

    def _spend(self, n_bytes: int) -> None:
        self.allowance -= n_bytes
        if self.allowance < 0:
            raise FileError("its texts and lists would take too much memory for a file of its size")


def counts(value: object) -> tuple[int, ...] | None:
    """Return a list of counts as a tuple, None for anything else."""
    if not isinstance(value, list):
        return None
    found = tuple(item for item in value if type(item) is int and 0 <= item < 2**63)
    return found if len(found) == len(value) else None


def is_dict(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value read from JSON is a dict."""
    return type(value) is dict


def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return pairs as a dict, unless a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FileError("a dict of its JSON has a key twice")
    return found

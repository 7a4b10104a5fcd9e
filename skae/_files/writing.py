"""Plain data to the bytes of a file."""

import hashlib
import json
import math
import os
import zlib
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from skae._files.disk import write_atomically
from skae._files.layout import (
    AS_BYTES,
    BLANK_DIGEST,
    CHARACTER_BYTES,
    CONTENT,
    DIGEST,
    ELEMENT_BYTES,
    MOST_DEPTH,
    MOST_DIGITS,
    NAMES,
    VERSION,
    allowance,
    costs,
    is_finite,
)

__all__ = ["write"]

# Lists of so many numbers or texts are kept as arrays.
_LONG = 64


def write(path: str | os.PathLike[str], kind: str, content: Mapping[str, object]) -> None:
    """Write plain data to a file, all of it or nothing.

    Parameters
    ----------
    path : path-like
        Whatever lies there is replaced once the new file is complete.
    kind : str
        What the file is, e.g. "estimator"; `read` asks for it.
    content : dict of str to object
        None, bools, ints, floats, texts, bytes, lists, tuples and dicts of these, arrays and scalars of
        numpy. Arrays of objects may hold the same. An array that is there twice is written once.

    Raises
    ------
    TypeError
        If it holds anything else, which is named.
    ValueError
        If it could not be read again: more than 100 levels, or texts and lists that take too much memory.
    OSError
        If the file cannot be written; what was there before is then as it was.
    """
    # A content that cannot be written is refused before anything is on the disk.
    write_atomically(path, list(_pieces(kind, content)))


def _pieces(kind: str, content: Mapping[str, object]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file."""
    writer = _Writer()
    text = _as_json(writer.plain(content, "content"))
    arrays = {str(place): array for place, array in enumerate(writer.arrays)}
    arrays[CONTENT] = np.frombuffer(zlib.compress(text, 9), np.uint8)
    # Larger types first: each tensor then begins at a multiple of its own.
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    encoded = _header(kind, arrays)
    size = 8 + len(encoded) + sum(array.nbytes for array in arrays.values())
    if costs(encoded) + costs(text) + writer.costs > allowance(size):
        raise ValueError(
            "The texts, lists and dicts to be saved are too large to be read again safely: they would take "
            "more than the size of the file and 20 MB. Save fewer of them, or use pickle."
        )
    length = len(encoded).to_bytes(8, "little")
    digest = hashlib.sha256(length + encoded)
    tensors = [_bytes_of(array) for array in arrays.values()]
    for tensor in tensors:
        digest.update(tensor)
    yield length
    yield encoded[: DIGEST.start] + digest.hexdigest().encode() + encoded[DIGEST.stop :]
    yield from tensors


def _header(kind: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the header, with zeros in place of the checksum."""
    header: dict[str, object] = {
        "__metadata__": {"sha256": BLANK_DIGEST.decode(), "format": f"skae.{kind}", "version": str(VERSION)}
    }
    begin = 0
    for name, array in arrays.items():
        end = begin + array.nbytes
        shape = list(array.shape)
        header[name] = {"dtype": NAMES[array.dtype], "shape": shape, "data_offsets": [begin, end]}
        begin = end
    encoded = _as_json(header)
    return encoded + b" " * (-len(encoded) % 8)


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


class _Writer:
    """One content: what JSON says of it, and the arrays beside."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        # With the array itself: an identity may be given again to what is made after it is gone.
        self.places: dict[int, tuple[dict[str, object], np.ndarray]] = {}
        self.costs = 0

    def plain(self, value: object, where: str, depth: int = 0) -> object:
        """Return what JSON says in place of a value; `where` names it in errors."""
        if depth > MOST_DEPTH:
            raise ValueError(f"{where[:200]} has more than {MOST_DEPTH} levels, and cannot be saved.")
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if isinstance(value, (int, float)) and kind in (int, float):
            return self._number(value, where)
        if isinstance(value, (list, tuple)) and kind in (list, tuple):
            return self._sequence(value, where, depth)
        if isinstance(value, Mapping) and (kind is dict or depth == 0):
            return self._dict(value, where, depth)
        if isinstance(value, bytes):
            return {"$bytes": self._place(np.frombuffer(value, np.uint8))}
        if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype in NAMES:
            return {"$scalar": [value.dtype.str, self.plain(value.item(), where, depth + 1)]}
        if isinstance(value, np.ndarray) and kind is np.ndarray:
            return self._array(value, where, depth)
        raise TypeError(
            f"{where[:200]} is a {kind.__module__}.{kind.__qualname__}, which files without code cannot hold."
        )

    def _number(self, value: int | float, where: str) -> object:
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if abs(value) >= 10 ** (MOST_DIGITS - 1):
            raise ValueError(
                f"{where[:200]} is a whole number of more than {MOST_DIGITS - 1} digits, and cannot be saved."
            )
        return value

    def _sequence(self, value: list[object] | tuple[object, ...], where: str, depth: int) -> object:
        long = None
        if len(value) >= _LONG and all(type(item) is float for item in value):
            long = {"$floats": self._place(np.array(value, np.float64))}
        elif len(value) >= _LONG and all(type(item) is str for item in value):
            long = {"$texts": self._texts([str(item) for item in value])}
        if long is not None:
            self.costs += _long_costs(value)
            return long if isinstance(value, list) else {"$tuple": long}
        items = [self.plain(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}

    def _dict(self, value: Mapping[object, object], where: str, depth: int) -> object:
        strange = [key for key in value if type(key) is not str]
        if strange:
            raise TypeError(
                f"{where[:200]} has the key {strange[0]!r}, and files without code know texts alone as keys."
            )
        items = {str(key): self.plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
        # What begins so stands for something else.
        is_special = any(key[:1] == "$" for key in items)
        return {"$dict": [list(pair) for pair in items.items()]} if is_special else items

    def _texts(self, texts: list[str]) -> list[int]:
        # Half a pair of surrogates is text for Python, too.
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        lengths = np.array([len(one) for one in encoded], np.uint32)
        return [self._place(lengths), self._place(np.frombuffer(b"".join(encoded), np.uint8))]

    def _array(self, array: np.ndarray, where: str, depth: int) -> object:
        if id(array) not in self.places:
            self.places[id(array)] = self._described(array, where, depth), array
        return self.places[id(array)][0]

    def _described(self, array: np.ndarray, where: str, depth: int) -> dict[str, object]:
        shape = list(array.shape)
        if array.dtype.kind == "O":
            items = self.plain(array.ravel().tolist(), where, depth + 1)
            return {"$objects": [shape, items]}
        described: dict[str, object] = {}
        # Kept as it lies in memory: products of matrices may depend on it in the last bit.
        if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous:
            described["order"], array = "F", array.T
        native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
        if native.dtype not in NAMES:
            if native.dtype.kind not in AS_BYTES or not native.dtype.itemsize:
                raise TypeError(
                    f"{where[:200]} is an array of {array.dtype}, which files without code cannot hold."
                )
            described["dtype"] = native.dtype.str
            native = native.reshape(-1).view(np.uint8).reshape(*native.shape, native.dtype.itemsize)
        elif native.dtype.kind == "f" and not is_finite(native):
            described["finite"] = False
        return {"$array": self._place(native), **described}

    def _place(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


def _long_costs(items: Collection[object]) -> int:
    texts = [item for item in items if isinstance(item, str)]
    n_characters = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    is_ascii = all(text.isascii() for text in texts)
    return ELEMENT_BYTES * len(items) + (1 if is_ascii else CHARACTER_BYTES) * n_characters

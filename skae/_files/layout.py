"""What writing and reading agree on: names of dtypes, places in the header, limits."""

import numpy as np

__all__ = [
    "AS_BYTES",
    "BLANK_DIGEST",
    "CHARACTER_BYTES",
    "CONTENT",
    "DIGEST",
    "DTYPES",
    "ELEMENT_BYTES",
    "METADATA",
    "MOST_DEPTH",
    "MOST_DIGITS",
    "MOST_DIMENSIONS",
    "NAMES",
    "START",
    "VERSION",
    "FileError",
    "allowance",
    "costs",
    "is_finite",
]

# The next one belongs to a change of the layout that older versions of skae cannot read.
VERSION = 1
# The header begins so, and the checksum follows: it is found without reading JSON.
START = b'{"__metadata__":{"sha256":"'
DIGEST = slice(len(START), len(START) + 64)
# What stands there while the checksum is computed.
BLANK_DIGEST = b"0" * 64
METADATA = ("sha256", "format", "version")
# The tensor that holds the JSON of everything that is no array.
CONTENT = "content"

DTYPES = {
    **{"BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1")},
    **{"U16": np.dtype("<u2"), "I16": np.dtype("<i2"), "F16": np.dtype("<f2")},
    **{"U32": np.dtype("<u4"), "I32": np.dtype("<i4"), "F32": np.dtype("<f4")},
    **{"U64": np.dtype("<u8"), "I64": np.dtype("<i8"), "F64": np.dtype("<f8")},
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
# Kinds of numpy's dtypes that safetensors does not have, kept as bytes: complex, text, dates, durations.
AS_BYTES = "cUSMm"

MOST_DIMENSIONS = 32
MOST_DEPTH = 100
MOST_DIGITS = 40
# Reading may take as much as the file once more beside it, and this; so may what is made of it.
_SPARE_BYTES = 20_000_000
# What JSON takes at most once it is read: an element of a list or dict, a list or dict, a character.
ELEMENT_BYTES = 72
CHARACTER_BYTES = 4
_CONTAINER_BYTES = 120


class FileError(ValueError):
    """A file that cannot be loaded: damaged, of another kind, or of a version that is not known."""


def allowance(size: int) -> int:
    """Return how many bytes reading a file of this size may take beside the file itself."""
    return size + _SPARE_BYTES


def costs(text: bytes) -> int:
    """Return how many bytes JSON takes at most once it is read, found without reading it."""
    n_containers = text.count(b"[") + text.count(b"{")
    n_elements = text.count(b",") + n_containers
    return CHARACTER_BYTES * len(text) + ELEMENT_BYTES * n_elements + _CONTAINER_BYTES * n_containers


def is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite, found without a table of bools beside them."""
    # Both are NaN where anything is.
    with np.errstate(invalid="ignore"):
        return array.size == 0 or bool(np.isfinite(array.max()) and np.isfinite(array.min()))

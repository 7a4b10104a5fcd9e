"""The bytes of a file to plain data. Nothing is allocated for what has not been checked."""

import hashlib
import json
import math
import os
import stat
import zlib
from io import BufferedReader
from typing import NamedTuple

import numpy as np

from skae._files.layout import (
    BLANK_DIGEST,
    CHARACTER_BYTES,
    CONTENT,
    DIGEST,
    DTYPES,
    METADATA,
    MOST_DIGITS,
    MOST_DIMENSIONS,
    START,
    VERSION,
    FileError,
    allowance,
    costs,
)
from skae._files.values import Values, counts, is_dict, without_duplicates

__all__ = ["read"]


def read(path: str | os.PathLike[str], kind: str) -> dict[str, object]:
    """Return the plain data of a file.

    Parameters
    ----------
    path : path-like
    kind : str
        What the file is expected to be.

    Returns
    -------
    content : dict of str to object
        What `write` was given, other byte orders aside. Arrays share one piece of memory, and can be
        written to.

    Raises
    ------
    FileError
        If the file is damaged, of another kind, or of a later version; `path` and what is wrong are named.
    OSError
        If it cannot be opened or read.
    """
    # Before it is opened, which would wait for whoever writes to a pipe.
    is_file = stat.S_ISREG(os.stat(path).st_mode)
    try:
        if not is_file:
            raise FileError("it is no regular file")
        with open(path, "rb") as file:
            return _content(file, os.fstat(file.fileno()).st_size, kind)
    except FileError as error:
        raise FileError(f"{os.fspath(path)} cannot be loaded: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{os.fspath(path)} cannot be loaded: it is damaged ({error}).") from error


def _content(file: BufferedReader, size: int, kind: str) -> dict[str, object]:
    length, encoded = _read_header(file, size)
    n_bytes = size - 8 - len(encoded)
    header = _parsed(encoded)
    _check_metadata(header.pop("__metadata__", None), kind)
    tensors = _checked_tensors(header, n_bytes)
    data = bytearray(n_bytes)
    if file.readinto(data) != n_bytes or file.read(1):
        raise FileError("it changed while it was read")
    digest = hashlib.sha256(length + encoded[: DIGEST.start] + BLANK_DIGEST + encoded[DIGEST.stop :])
    digest.update(data)
    if digest.hexdigest().encode() != encoded[DIGEST]:
        raise FileError("it is damaged: its checksum does not fit its content")
    arrays = [
        np.frombuffer(data, one.dtype, math.prod(one.shape), one.begin).reshape(one.shape) for one in tensors
    ]
    left = allowance(size) - costs(encoded)
    text = _inflated(arrays.pop().reshape(-1).view(np.uint8), left // (1 + CHARACTER_BYTES))
    left -= costs(text)
    if left < 0:
        raise FileError("its lists and dicts would take too much memory for a file of its size")
    values = Values(arrays, left)
    content = values.value(_parsed(text))
    if not is_dict(content):
        raise FileError("its content is no dict")
    if len(values.used) != len(arrays):
        raise FileError("it holds tensors that its content does not mention")
    return content


def _read_header(file: BufferedReader, size: int) -> tuple[bytes, bytes]:
    length = file.read(8)
    n_header = int.from_bytes(length, "little") if len(length) == 8 else size
    if size < 8 or n_header > size - 8:
        raise FileError("it is cut off, or not a file of skae.save")
    encoded = file.read(min(n_header, len(START)))
    if encoded != START:
        raise FileError(
            "it is not a file of skae.save: it has another format, or another program wrote it again"
        )
    # Of all characters at least: else a long header would be read to find that it is too long.
    if n_header % 8 or n_header * (1 + CHARACTER_BYTES) > allowance(size):
        raise FileError("its header has an impossible length")
    encoded += file.read(n_header - len(encoded))
    if len(encoded) != n_header or costs(encoded) > allowance(size):
        raise FileError("its header would take too much memory for a file of its size")
    return length, encoded


def _check_metadata(metadata: object, kind: str) -> None:
    if not is_dict(metadata):
        raise FileError("its metadata are missing")
    texts = {name: value for name, value in metadata.items() if isinstance(value, str)}
    found, version = texts.get("format", ""), texts.get("version", "")
    if found.removeprefix("skae.") != kind or not found.startswith("skae."):
        raise FileError(f"it is a file of the kind {found[:60]!r}, and one of 'skae.{kind}' is wanted")
    if version != str(VERSION):
        raise FileError(
            f"it has version {version[:20]!r} of the format, and this version of skae reads version "
            f"{VERSION}: load it with the version of skae that wrote it, or a later one"
        )
    if tuple(texts) != METADATA or len(metadata) != len(texts):
        raise FileError(f"its metadata are not {', '.join(METADATA)}")


class _Tensor(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int


def _checked_tensors(header: dict[str, object], n_bytes: int) -> list[_Tensor]:
    """Return the tensors by their numbers, that of the content last; they fill the file without a gap."""
    found: dict[str, _Tensor] = {}
    end = 0
    for name, entry in header.items():
        if not is_dict(entry) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise FileError(f"tensor {name[:20]!r} has other entries than dtype, shape and data_offsets")
        shape, offsets = counts(entry["shape"]), counts(entry["data_offsets"])
        dtype = DTYPES.get(str(entry["dtype"])[:8])
        if dtype is None or shape is None or offsets is None or len(shape) > MOST_DIMENSIONS:
            raise FileError(f"tensor {name[:20]!r} has an unknown dtype, or no shape or place")
        n_cells = math.prod(shape)
        # In the order of their places, as they are written.
        if offsets != (end, end + n_cells * dtype.itemsize) or end % dtype.itemsize:
            raise FileError(
                f"tensor {name[:20]!r} lies in the wrong place, or has another size than its shape says"
            )
        end = offsets[1]
        found[name] = _Tensor(dtype, shape, offsets[0])
    if end != n_bytes:
        raise FileError(
            f"its tensors take {end} bytes, and the file has {n_bytes} for them: it is cut off or damaged"
        )
    names = [*(str(place) for place in range(len(found) - 1)), CONTENT]
    if set(names) != found.keys():
        raise FileError("its tensors are not numbered one by one")
    return [found[name] for name in names]


def _inflated(deflated: np.ndarray, most: int) -> bytes:
    """Return the JSON of the content, at most so many bytes of it."""
    inflating = zlib.decompressobj()
    try:
        # Nought would mean any number.
        text = inflating.decompress(deflated.data, max(most, 1))
    except zlib.error as error:
        raise FileError("its content is damaged, and cannot be inflated") from error
    if not inflating.eof or inflating.unused_data:
        raise FileError("its content is cut off, or would take too much memory for a file of its size")
    return text


def _parsed(encoded: bytes) -> dict[str, object]:
    """Return what JSON says, which must be a dict."""
    try:
        value = json.loads(
            encoded.decode("ascii"),
            object_pairs_hook=without_duplicates,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_refused,
        )
    except json.JSONDecodeError as error:
        raise FileError(f"its JSON is damaged ({error.msg} at character {error.pos})") from error
    if not is_dict(value):
        raise FileError("its JSON is no dict")
    return value


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise FileError(f"a whole number has more than {MOST_DIGITS} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise FileError(f"a number is too large: {digits[:40]}")
    return value


def _refused(constant: str) -> float:
    raise FileError(f"{constant} is no JSON")

"""Files that are there as a whole, or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator

__all__ = ["replacing", "write_atomically"]


def write_atomically(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file that is there as a whole, or not at all; see `replacing`.

    Parameters
    ----------
    path : path-like
    pieces : iterable of bytes or memoryview
        What is written, one after the other.

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is then as it was.
    """
    with replacing(path) as unfinished, open(unfinished, "xb") as file:
        for piece in pieces:
            file.write(piece)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the name of a file to write, which takes its place at a path once it is on the disk.

    A process that is killed leaves the old file, and beside it one whose name begins with a dot and ends with
    ``.part``, which may be deleted.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    unfinished : str

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is then as it was.
    """
    # A link stays one; what it leads to is replaced.
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    unfinished = os.path.join(folder, f".{name[:100]}.{os.urandom(4).hex()}.part")
    try:
        mode = _mode_of(target)
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(unfinished, mode)
        os.replace(unfinished, target)
        _sync_folder(folder)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            error.errno,
            f"The file could not be written: {reason}. What was there before is unchanged. Check that the "
            "folder exists, may be written to and has room, or choose another path",
            os.fspath(path),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(unfinished)


def _mode_of(target: str) -> int | None:
    """Return who may do what with the file that is replaced, None where there is none."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    # Replacing it would ask the folder alone.
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(found.st_mode)


def _sync_folder(folder: str) -> None:
    """Put the new name on the disk, where folders can be opened."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)

"""Paths that one piece of work at a time has to itself."""

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["alone"]

_LOCK = ".lock"


@contextlib.contextmanager
def alone(path: object) -> Iterator[None]:
    """Have a path to itself, by a lock on a file beside it, whose name ends with ``.lock``.

    The system takes the lock away from a process that ends, however it ends: a file that a killed process has
    left is in nobody's way. Where files cannot be locked, or the folder cannot be written to, nothing is
    locked.

    Parameters
    ----------
    path : path-like
        What is no path is for others to refuse, and locks nothing.

    Raises
    ------
    BlockingIOError
        If another process, or another thread, has it.
    """
    name = os.fspath(path) + _LOCK if isinstance(path, (str, os.PathLike)) else ""
    opened = _opened(name) if name else None
    if opened is None:
        yield
        return
    try:
        # Whoever meets the lock is told of this process.
        os.write(opened, str(os.getpid()).encode())
        yield
    finally:
        # While it is locked, so that nobody else has opened the file that goes; Windows wants it closed.
        if sys.platform != "win32":
            _remove(name)
        os.close(opened)
        if sys.platform == "win32":
            _remove(name)


def _remove(name: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(name)


def _opened(name: str) -> int | None:
    """Return a locked file, None where there can be none."""
    while True:
        try:
            opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return None
        try:
            _lock(opened)
        except BlockingIOError as error:
            process = _read(opened)
            os.close(opened)
            raise BlockingIOError(
                f"{name.removesuffix(_LOCK)!r} is in use: another fit, in process {process}, keeps its state "
                "there. Wait until it has ended, or pass another path."
            ) from error
        except OSError:
            os.close(opened)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(opened), os.stat(name)):
                os.truncate(opened, 0)
                return opened
        # Whoever had it has just removed the file that was opened.
        os.close(opened)


def _read(opened: int) -> str:
    with contextlib.suppress(OSError):
        return os.read(opened, 20).decode("ascii", "replace") or "unknown"
    return "unknown"


if sys.platform == "win32":
    import msvcrt

    def _lock(opened: int) -> None:
        # A byte beyond the number of the process, which others may then read.
        os.lseek(opened, 100, os.SEEK_SET)
        try:
            msvcrt.locking(opened, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(opened, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(opened: int) -> None:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)

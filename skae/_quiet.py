"""Warnings of others, collected so that one sentence can stand for all of them, and their filters."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Filters belong to the whole process: two threads that set and restore them in turn would leave one behind.
_turn = threading.RLock()


def _renew() -> None:
    """Let a forked child have a turn, whatever its parent's threads were at."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def collected() -> Iterator[list[warnings.WarningMessage]]:
    """Collect what is warned of inside, instead of showing it."""
    with _turn, warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        yield messages


@contextmanager
def filters_kept() -> Iterator[None]:
    """Undo what is done to filters inside, as by modules of others that are imported there."""
    with _turn, warnings.catch_warnings():
        yield

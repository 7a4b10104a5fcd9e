"""Work in forked processes: a child of a process that has computed must not wait for its parent's threads."""

import os

import torch

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def settle() -> None:
    """Compute with one thread from now on if this process was forked after skae was imported.

    The threads that OpenMP keeps do not survive a fork, but it waits for them: the first parallel loop in
    the child would hang for ever. Done at the first use, so that children that do not use skae keep theirs.
    """
    global _forked
    if _forked:
        torch.set_num_threads(1)
        _forked = False

"""Whether this process was forked since skae was imported: known before torch is."""

import os

n_forks = 0


def _count() -> None:
    global n_forks
    n_forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)

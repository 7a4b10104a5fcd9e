"""All randomness of a fit, from one ``random_state``, as streams that have names.

A stream a purpose, so that using more of one (a new kind of noise) leaves the others
(the weights, the order of rows) as they were, and torch's and numpy's global states
are never touched.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import check_random_state

NAMES = ("weights", "split", "rows", "noise", "modules", "held_out_noise", "hidden", "residuals")


class Streams:
    """The named generators of one fit.

    Parameters
    ----------
    random_state : None, int or numpy.random.RandomState
        As everywhere in scikit-learn. An int gives the same streams every time.

    Raises
    ------
    ValueError
        If it is none of these.
    """

    def __init__(self, random_state: int | np.random.RandomState | None = None) -> None:
        try:
            source = check_random_state(random_state)
        except ValueError as error:
            # Of numbers that are no seeds, numpy does not say what was passed, nor where.
            raise ValueError(
                f"random_state must be None, a numpy.random.RandomState or an int in 0 to 2**32 - 1; "
                f"got {random_state!r}."
            ) from error
        self.entropy = int(source.randint(np.iinfo(np.int32).max))

    def seed(self, name: str, index: int = 0) -> int:
        """Return the seed of a stream; `index` distinguishes the folds of one fit."""
        sequence = np.random.SeedSequence(self.entropy, spawn_key=(NAMES.index(name), index))
        # 63 bits: torch refuses to seed with the sign bit set.
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def torch(self, name: str, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a torch generator at the start of a stream."""
        return torch.Generator(device).manual_seed(self.seed(name, index))

    def numpy(self, name: str, index: int = 0) -> np.random.RandomState:
        """Return a numpy generator at the start of a stream, for scikit-learn's functions."""
        return np.random.RandomState(self.seed(name, index) % 2**32)


def normal(
    shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Draw from the standard normal distribution, whatever torch's default dtype and device are."""
    return torch.randn(tuple(shape), generator=generator, dtype=dtype, device=generator.device)


def uniform(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw from [0, 1), whatever torch's default dtype and device are."""
    return torch.rand(tuple(shape), generator=generator, dtype=torch.float32, device=generator.device)

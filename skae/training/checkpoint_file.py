"""The file that a fit goes on from: whose it is, the state of its trainings, and the file before it.

Knows what files without code can hold, and no estimator.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from skae._computing import n_threads
from skae._files import FileError, read, write
from skae.training.checkpoint import Checkpoint
from skae.training.fits import Fitting
from skae.training.steps import State

_KIND = "checkpoint"
# Of the file before, which is gone back to where the last one is damaged.
_BEFORE = ".before"
# Longer texts about a value are kept, and shown, as a checksum.
_LONG = 60

# What users call the parts of `Rows`.
_NAMES = {"target": "X", "inputs": "the corrupted X", "weight": "sample_weight", "labels": "y"}
# Packages that numbers come from.
_PACKAGES = ("skae", "torch", "numpy", "scikit-learn")
_PARTS = {"identity", "seed", "seconds", "states"}

# What a fit is of: texts by name, in groups of which a later one says nothing where an earlier one differs.
Identity = Mapping[str, Mapping[str, str]]


def identity_of(fitting: Fitting, parameters: Mapping[str, object]) -> Identity:
    """Return all that the numbers of a fit depend on.

    Parameters
    ----------
    fitting : Fitting
    parameters : mapping of str to object
        Those of the estimator.

    Returns
    -------
    identity : mapping of str to mapping of str to str
    """
    rows, previous = fitting.rows, fitting.parts.previous
    device = rows.target.device
    processor = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else ""
    return {
        "parameters": {
            **{name: told(value) for name, value in parameters.items()},
            "random_state": f"#{fitting.streams.entropy}",
        },
        "surroundings": {
            **{f"the version of {name}": version(name) for name in _PACKAGES},
            "the device": f"{device} {processor}".strip(),
            "the number of threads": str(n_threads(fitting.work)),
        },
        "rows": {
            **{_NAMES.get(name, name): told(part) for name, part in rows._asdict().items()},
            "the fit before, of a warm start": told(previous),
        },
    }


class CheckpointFile:
    """A file in which a fit keeps its state, and the one before it.

    Parameters
    ----------
    path : path-like
        The file. Its folder has to be there.

    Attributes
    ----------
    seed : int or None
        Of the fit that was kept; None where there is none.
    states : list of dict
        Of its trainings.
    seconds : float
        Time that they took.

    Raises
    ------
    OSError
        If the folder is not there, or may not be written to.
    FileError
        If there are files, and none of them can be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.before = self.path + _BEFORE
        self.is_damaged = False
        self.start = time.perf_counter()
        self._check_place()
        kept = self._found()
        self.kept: Identity | None = None if kept is None else kept["identity"]
        self.identity: Identity = {}
        self.seed: int | None = None if kept is None else kept["seed"]
        self.states: list[State] = [] if kept is None else kept["states"]
        self.seconds: float = 0.0 if kept is None else kept["seconds"]

    def _check_place(self) -> None:
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"checkpoint={self.path!r} lies in a folder that does not exist, {folder!r}. Make it first."
            )
        if os.path.isdir(self.path):
            raise IsADirectoryError(f"checkpoint={self.path!r} is a folder. Pass the path of a file in it.")
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"checkpoint={self.path!r}: the folder {folder!r} may not be written to.")

    def _found(self) -> State | None:
        """Return what was kept last and can be read; None where nothing was kept."""
        errors = []
        for path in (self.path, self.before):
            try:
                found = read(path, _KIND)
                if found.keys() != _PARTS:
                    raise FileError(f"{path} cannot be loaded: another version of skae wrote it.")
                return _from_plain(found)
            except FileNotFoundError:
                continue
            except FileError as error:
                errors.append(error)
                self.is_damaged |= path == self.path
        if errors:
            raise FileError(
                f"checkpoint={self.path!r} names a file from which no fit can go on, and there is no other "
                f"one: {errors[0]} Remove it to begin anew, or pass another path."
            )
        return None

    def checkpoint_of(
        self, fitting: Fitting, parameters: Mapping[str, object], every: int | None
    ) -> Checkpoint:
        """Return what keeps the state of a fit in the file, and goes on from what lies there.

        Parameters
        ----------
        fitting : Fitting
            With the seed of the file, if its own does not matter.
        parameters : mapping of str to object
            Those of the estimator that numbers depend on.
        every : int, optional
            Epochs from one writing to the next; None goes by time.

        Returns
        -------
        checkpoint : Checkpoint

        Raises
        ------
        ValueError
            If the file is of another fit; what differs is named.
        """
        self._belong_to(identity_of(fitting, parameters), fitting.streams.entropy)
        device = fitting.rows.target.device
        generators = []
        if fitting.architecture.draws_globally:
            generators.append(torch.default_generator)
            if device.type == "cuda":
                generators.append(torch.cuda.default_generators[device.index or torch.cuda.current_device()])
        return Checkpoint(self.write, self.states, every, generators)

    def _belong_to(self, identity: Identity, seed: int) -> None:
        self.identity, self.seed = identity, seed
        for group, texts in ({} if self.kept is None else identity).items():
            kept = (self.kept or {}).get(group, {})
            names = [name for name in {**texts, **kept} if texts.get(name) != kept.get(name)]
            if names:
                listed = ", ".join(_difference(name, kept.get(name), texts.get(name)) for name in names)
                raise ValueError(
                    f"checkpoint={self.path!r} is of another fit. What differs: {listed}. Fit as then to go "
                    "on, remove the file to begin anew, or pass another path."
                )

    def write(self, states: list[State]) -> None:
        """Keep states of trainings; the file that was there becomes the one before.

        Parameters
        ----------
        states : list of dict
        """
        content = {
            "identity": self.identity,
            "seed": self.seed,
            "seconds": self.seconds_so_far(),
            "states": states,
        }
        try:
            if not self.is_damaged:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.path, self.before)
            write(self.path, _KIND, _to_plain(content))
            self.is_damaged = False
        except OSError as error:
            # Hours of training are not to end because a disk is full.
            warnings.warn(f"The fit goes on, but its state could not be kept. {error}", stacklevel=2)

    def seconds_so_far(self) -> float:
        """Return the time that the fit has taken, in all processes together."""
        return self.seconds + time.perf_counter() - self.start

    def remove(self) -> None:
        """Remove both files: the fit has ended."""
        for path in (self.path, self.before):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


def _difference(name: str, kept: str | None, now: str | None) -> str:
    if kept is None or now is None or kept.startswith("#") or now.startswith("#"):
        return name
    return f"{name} ({kept} there, {now} here)"


def _to_plain(value: Any) -> Any:
    """Return a state with arrays in place of tensors."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return {key: _to_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_to_plain(part) for part in value])
    return value


def _from_plain(value: Any) -> Any:
    """Return a state with tensors in place of arrays."""
    if isinstance(value, np.ndarray):
        # A copy lies where torch puts tensors: products of matrices may depend on it in the last bit.
        return torch.from_numpy(value).clone()
    if isinstance(value, dict):
        return {key: _from_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_from_plain(part) for part in value])
    return value


# ---------------------------------------------------------------------- what a fit is of


def told(value: object) -> str:
    """Return a text that differs where values do: short ones as they are, others as a checksum.

    Functions are told by their name alone, and other objects by their class and attributes.
    """
    text = _text(value)
    return text if len(text) <= _LONG else f"#{hashlib.sha256(text.encode()).hexdigest()}"


def _text(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return _text(value.tolist())
        digest = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
        return f"array {value.dtype} {value.shape} {digest}"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(key)}: {_text(part)}' for key, part in value.items())}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, nn.Module):
        return f"{value!r} {_text(value.state_dict())}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{type(value).__qualname__} {_text(vars(value)) if hasattr(value, '__dict__') else ''}"

"""Whether a call ended well: with a finite answer of the right shape, or refused by a sentence.

An error counts as a sentence where it was raised on purpose, in skae or scikit-learn, and speaks of what was
passed, not of what happened inside. Inputs, the estimator (where a call fails, or only reads) and global
states must be as they were.
"""

import contextlib
import copy
import io
import linecache
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import narwhals
import numpy as np
import sklearn
import torch
from scipy.sparse import issparse

import skae

INTERNAL = (
    "mat1 and mat2",
    "negative stride",
    "lossless",
    "Tensor",
    "torch.",
    "eigh",
    "svd",
    "broadcast",
    "operands",
    "ufunc",
    "scalar type",
    "object has no attribute",
    "not subscriptable",
    "not iterable",
    "not callable",
    "unhashable",
    "not supported between",
    "unsupported operand",
    "positional argument",
    "keyword argument",
    "truth value",
    "out of bounds",
    "Python int too large",
    "Unable to allocate",
    "negative dimensions",
    "invalid literal",
    "not enough values to unpack",
    "too many values to unpack",
    "singular matrix",
    "did not converge",
    "surrogates not allowed",
    "cannot convert float",
    "must be real number",
)
# Their errors are written for users.
HOMES = tuple(str(Path(module.__file__).parent) for module in (skae, sklearn, narwhals))


class Verdict(NamedTuple):
    """How a call ended."""

    call: str
    outcome: str  # "answer", "refused" or "unclean"
    why: str
    value: Any = None


def _states() -> dict[str, Any]:
    """Return the global states that no call may change."""
    generator = np.random.get_state(legacy=False)
    return {
        "numpy's generator": (generator["state"]["key"].tobytes(), generator["state"]["pos"]),
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's threads": torch.get_num_threads(),
        "torch's default device": torch.get_default_device(),
        "torch's mode of gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "numpy's handling of errors": tuple(np.geterr().items()),
        "filters of warnings": tuple(map(repr, warnings.filters)),
        "scikit-learn's configuration": repr(sklearn.get_config()),
    }


def fingerprint(value: Any) -> str:
    """Return what changes if an input does."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        layout = (value.shape, value.strides, value.dtype.str, value.flags.writeable)
        return f"{layout} {joblib.hash(value.tobytes())}"
    if issparse(value):
        parts = {name: part for name, part in vars(value).items() if isinstance(part, np.ndarray)}
        # What a lazily computed flag says is no change.
        return (
            f"{type(value)} {value.shape} {joblib.hash(parts) if parts else joblib.hash(dict(value.items()))}"
        )
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {value.shape} {value.requires_grad} {joblib.hash(value.detach().tolist())}"
    if isinstance(value, (tuple, list)):
        return f"{type(value)} {[fingerprint(item) for item in value]}"
    if isinstance(value, dict):
        return f"{[(key, fingerprint(item)) for key, item in value.items()]}"
    if hasattr(value, "iloc") or hasattr(value, "to_pylist") or hasattr(value, "get_column"):
        if hasattr(value, "to_pylist"):
            return f"{value.schema} {_listed(value)}"
        kinds = getattr(value, "dtypes", None)
        return f"{kinds} {getattr(value, 'columns', None)} {getattr(value, 'index', None)} {_listed(value)}"
    return repr(value)


def _listed(value: Any) -> str:
    if hasattr(value, "to_pylist"):
        return repr(value.to_pylist())
    return repr(value.rows()) if hasattr(value, "rows") else repr(value.to_numpy(dtype=object).tolist())


def state_of(estimator: Any) -> dict[str, Any]:
    """Return what an estimator holds, so that a change within is seen as well."""
    found: dict[str, Any] = {}
    for name, value in vars(estimator).items():
        if "callback" in name:
            continue  # scikit-learn's own bookkeeping
        if isinstance(value, np.ndarray):
            found[name] = fingerprint(value)
        elif isinstance(value, torch.nn.Module):
            found[name] = [
                (key, part.numpy().tobytes())
                for key, part in value.state_dict().items()
                if torch.is_tensor(part)
            ]
        elif hasattr(value, "get_params") and not isinstance(value, type):
            found[name] = state_of(value)
        else:
            found[name] = id(value)
    return found


def judged(
    call: str,
    function: Callable[[], Any],
    inputs: Any,
    estimator: Any,
    *,
    learns: bool = False,
    wanted: Callable[[Any], str | None] = lambda answer: None,
    never_refused: bool = False,
    draws: bool = False,
) -> Verdict:
    """Make a call, and say how it ended.

    Parameters
    ----------
    call : str
        What is called, for the report.
    function : callable
        Makes the call.
    inputs : object
        All that is passed, which must not change.
    estimator : object
        Whose method it is; must not change if the call fails, or does not learn.
    learns : bool, default=False
        Whether the call trains.
    wanted : callable
        Says what is wrong with an answer, None where nothing is.
    never_refused : bool, default=False
        Whether an error of any kind is unclean.
    draws : bool, default=False
        Whether numpy's global generator may be drawn from, as scikit-learn does for ``random_state=None``.

    Returns
    -------
    verdict : Verdict
    """
    given, held, states = fingerprint(inputs), state_of(estimator), _states()
    answer = error = None
    with (
        warnings.catch_warnings(record=True),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        filters = tuple(map(repr, warnings.filters))
        try:
            answer = function()
        except Exception as raised:
            error = raised
        if tuple(map(repr, warnings.filters)) != filters:
            added = [filter for filter in map(repr, warnings.filters) if filter not in filters]
            return Verdict(call, "unclean", f"filters of warnings changed: {added[:3]}")
    after = _states()
    if draws:
        after["numpy's generator"] = states["numpy's generator"]
    why = next((f"{name} changed" for name in states if states[name] != after[name]), None)
    if why is None and fingerprint(inputs) != given:
        why = "the input changed"
    if why is None and (error is not None or not learns):
        why = _changed(held, state_of(estimator), error)
    if why is None:
        why = wanted(answer) if error is None else _wrong_error(error, learns, never_refused)
    if why is not None:
        return Verdict(call, "unclean", why + _told(error), answer)
    return Verdict(call, "answer" if error is None else "refused", _told(error), answer)


def _changed(before: dict[str, Any], after: dict[str, Any], error: Any) -> str | None:
    names = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    # Caches may be filled by reading.
    names = [name for name in names if error is not None or not name.startswith("_")]
    when = "a call that failed" if error is not None else "a call that only reads"
    return f"{when} changed {', '.join(sorted(names)[:4])}" if names else None


def _told(error: Any) -> str:
    return "" if error is None else f" [{type(error).__name__}: {str(error)[:300]}]"


def _wrong_error(error: Exception, learns: bool, never_refused: bool) -> str | None:
    """Return what is wrong with an error, None where it is a sentence."""
    if never_refused:
        return "refused without a reason"
    if not isinstance(error, (ValueError, TypeError)) and not (
        learns and isinstance(error, FloatingPointError)
    ):
        return f"an error of the wrong kind at {_where(error)}"
    text = str(error)
    inside = next((phrase for phrase in INTERNAL if re.search(rf"(?<!\w){re.escape(phrase)}", text)), None)
    if inside is not None:
        return f"an error of the inside ({inside!r}) at {_where(error)}"
    if len(text) < 15:
        return f"an error that says nothing at {_where(error)}"
    # What scikit-learn's checks let through from numpy or pandas is what users know of every estimator.
    frame = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(HOMES)
    ][-1]
    is_ours = frame.filename.startswith(HOMES[0])
    on_purpose = linecache.getline(frame.filename, frame.lineno or 0).strip().startswith("raise")
    return (
        f"an error that nobody raised on purpose at {_where(error)}" if is_ours and not on_purpose else None
    )


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(HOMES[0])]
    frame = ours[-1] if ours else frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def trace(error: BaseException) -> None:
    """Print where an error comes from."""
    traceback.print_exception(error, file=sys.stdout)


def deep(value: Any) -> Any:
    """Return a copy where there is one."""
    try:
        return copy.deepcopy(value)
    except Exception:
        return value

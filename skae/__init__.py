"""Autoencoders that behave like scikit-learn's PCA."""

from importlib import import_module
from typing import TYPE_CHECKING

# Counts from now on.
from skae import _forks as _forks

if TYPE_CHECKING:
    from skae import compare, data, datasets, inspection, metrics, networks, selection, tasks
    from skae.data.running import DriftWarning
    from skae.estimators import (
        AdversarialAutoencoderTransformer,
        AutoencoderTransformer,
        BinaryAutoencoderTransformer,
        ContractiveAutoencoderTransformer,
        DenoisingAutoencoderTransformer,
        SparseAutoencoderTransformer,
        VariationalAutoencoderTransformer,
    )
    from skae.files import FileError, load, save
    from skae.inspection import report
    from skae.training import DivergenceError

    __version__: str

__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderTransformer",
    "BinaryAutoencoderTransformer",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "DivergenceError",
    "DriftWarning",
    "FileError",
    "SparseAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "compare",
    "data",
    "datasets",
    "inspection",
    "load",
    "metrics",
    "networks",
    "report",
    "save",
    "selection",
    "tasks",
]

# Not among the names that `import *` binds, where they would stand in the way of what they are called after.
_FURTHER = ("dask", "numpy", "onnx")
# Where names are that are no modules. Each is imported when it is asked for: `skae.numpy` and what reads
# files are then there in milliseconds, without torch.
_HOMES = {
    **dict.fromkeys([name for name in __all__ if name.endswith("Transformer")], "skae.estimators"),
    "DivergenceError": "skae.training",
    "DriftWarning": "skae.data.running",
    "FileError": "skae._files",
    **dict.fromkeys(["load", "save"], "skae.files"),
    "report": "skae.inspection",
}


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for."""
    if name == "__version__":
        found: object = import_module("importlib.metadata").version("skae")
    elif name in __all__ or name in _FURTHER:
        home = _HOMES.get(name)
        found = import_module(f"skae.{name}") if home is None else getattr(import_module(home), name)
    else:
        raise AttributeError(f"module 'skae' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_FURTHER, "__version__"})

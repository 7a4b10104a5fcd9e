"""Make an estimator again of a file without code."""

import os
from collections.abc import Callable
from typing import Any

from torch import nn

from skae import _files
from skae._files import FileError
from skae.estimators._state import VERSION
from skae.files.catalogue import ESTIMATORS, KIND, made_of
from skae.files.checks import check_together, checked_objects
from skae.files.own import OwnParts
from skae.networks.architecture import Architecture

__all__ = ["load"]


def load(
    path: str | os.PathLike[str],
    *,
    network: Architecture | tuple[nn.Module, nn.Module] | None = None,
    corruption: Callable[..., object] | None = None,
    prior: Callable[..., object] | None = None,
) -> Any:
    """Load an estimator that `save` has saved, without running anything that is in the file.

    Which classes may be made of a file stands in the code of skae. Files that are damaged, incomplete, of
    another kind or of a later version are refused, and loading takes at most three times the size of the file
    and 50 MB.

    Parameters
    ----------
    path : str or path-like
        The file.
    network : pair of torch.nn.Module, default=None
        Encoder and decoder of classes of your own, as they were passed to the estimator; their weights are
        read from the file. Wanted where the estimator had such modules; those of torch alone come from the
        file.
    corruption, prior : callable, default=None
        The function of that parameter. Wanted where the estimator had one of your own.

    Returns
    -------
    estimator : estimator of skae
        It gives the same numbers as the one that was saved, and goes on learning like it.

    Raises
    ------
    FileError
        If the file cannot be loaded; the message says why.
    OSError
        If the file cannot be read.
    ValueError
        If a part of your own was passed that the file has no use for.

    See Also
    --------
    save : Save an estimator.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skae"
    ...     skae.save(skae.AutoencoderTransformer(5), path)
    ...     skae.load(path)
    AutoencoderTransformer(n_components=5)
    """
    size = os.stat(path).st_size
    content = _files.read(path, KIND)
    own = OwnParts(network, {"corruption": corruption, "prior": prior})
    try:
        estimator = _made(content, own, size)
        check_together(estimator, size)
    except ImportError:
        raise
    except Exception as error:
        # Whatever goes wrong now, the file says something that no estimator says.
        raise FileError(f"{os.fspath(path)} cannot be loaded: {str(error).rstrip('.')}.") from error
    for name in own.unused():
        raise ValueError(f"{os.fspath(path)} has no use for {name}=: nothing of your own was saved for it.")
    return estimator


def _made(content: dict[str, object], own: OwnParts, size: int) -> object:
    version = content.get("state")
    if version != VERSION or type(version) is not int:
        raise ValueError(
            f"it holds a state of version {str(version)[:20]}, written by skae "
            f"{str(content.get('skae'))[:20]}, and this version of skae reads version {VERSION}: load it "
            "with the version of skae that wrote it"
        )
    if content.keys() != {"skae", "state", "estimator", "objects"}:
        raise ValueError("it does not hold one estimator")
    objects = checked_objects(content["objects"], size)
    estimator = made_of(own.values()).make({"estimator": content["estimator"]}, objects)["estimator"]
    if type(estimator) not in ESTIMATORS.values():
        raise ValueError("it holds no estimator")
    return estimator

"""Save an estimator to a file without code."""

import os
from importlib.metadata import version

from skae import _files
from skae.estimators._state import VERSION, PlainState
from skae.files.catalogue import ESTIMATORS, KIND, made_of
from skae.files.own import FUNCTIONS, OwnParts

__all__ = ["save"]


def save(estimator: PlainState, path: str | os.PathLike[str]) -> None:
    """Save an estimator to one file that holds no code.

    `load` makes the estimator again and never runs anything that is in the file, so that files may be passed
    on to people who do not trust each other. For a whole Pipeline, use skops or pickle; see the guide,
    :doc:`/guide/saving`.

    Parameters
    ----------
    estimator : estimator of skae
        An autoencoder, an imputer or an outlier detector, fitted or not. Not one of a class of your own.
    path : str or path-like
        Where to. What lies there is replaced once the new file is complete: if anything goes wrong, the old
        file is unchanged.

    Raises
    ------
    TypeError
        If `estimator` is none of skae, or holds what is no data, such as callbacks.
    ValueError
        If it could not be loaded safely: hundreds of thousands of categories or names, or steps of a
        convolution wider than 64.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Load it again.

    Notes
    -----
    Functions (``corruption=``, ``prior=``) and torch modules of classes of your own (``network=``) are code,
    and are not in the file; the weights of the modules are. `load` asks for them.

    The file has the format safetensors [1]_, with the parameters, specifications and fitted attributes as
    JSON and a SHA-256 checksum beside the arrays.

    References
    ----------
    .. [1] https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = skae.AutoencoderTransformer(2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skae.save(model, Path(folder) / "iris.skae")
    ...     again = skae.load(Path(folder) / "iris.skae")
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    if type(estimator) not in ESTIMATORS.values():
        raise TypeError(
            f"skae.save takes a single estimator of skae; got a {type(estimator).__name__}. Save a Pipeline, "
            "or a class of your own, with skops, joblib or pickle."
        )
    try:
        _files.write(path, KIND, content_of(estimator))
    except TypeError as error:
        raise TypeError(
            f"This {type(estimator).__name__} cannot be saved without code: {str(error).rstrip('.')}. Use "
            "pickle or joblib, whose files must be trusted."
        ) from error


def content_of(estimator: PlainState) -> dict[str, object]:
    """Return the plain data that an estimator is made of again."""
    own = OwnParts(functions=dict.fromkeys(FUNCTIONS))
    own.find(estimator)
    plain, objects = made_of(own.values()).describe({"estimator": estimator})
    return {"skae": version("skae"), "state": VERSION, **plain, "objects": objects}

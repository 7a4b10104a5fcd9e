"""From the state of a fitted estimator to its parts in numpy.

The state is plain data: names of classes, numbers and arrays (`skae._plain`), the same in a fitted estimator
and in a saved file. So what is read here needs neither torch nor the classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from skae import _files
from skae._files import FileError
from skae.numpy._autoencoder import Layers, NumpyAutoencoder, Parts
from skae.numpy._layers import (
    ACTIVATIONS,
    LINKS,
    Bits,
    Gaps,
    Gate,
    Largest,
    Logistic,
    Quantiles,
    Read,
    Rectifier,
    Scaling,
    Shift,
    Threshold,
)

State = Mapping[str, Any]

# Those of `skae.estimators._state` and `skae.files`, which import torch.
VERSION, _KEY, _KIND = 1, "_skae_state", "estimator"
_REFERENCE = "skae.object"
_ELSEWHERE = "Use skae.onnx.to_onnx, which takes it, or the estimator itself."


def encoder(source: object) -> NumpyAutoencoder:
    """Return the encoder and decoder of a fitted estimator in numpy alone.

    Parameters
    ----------
    source : estimator of skae, str or path-like
        A fitted estimator with dense layers (`skae.networks.Dense` or `Dictionary`), on rows of numbers; or
        the path of a file that `skae.save` has written of one. Nothing that is in the file is run.

    Returns
    -------
    encoder : NumpyAutoencoder
        Has `transform` and `inverse_transform`, and can be pickled.

    Raises
    ------
    ValueError
        If the estimator is not fitted, or has something that numpy alone does not compute: another
        architecture, columns of text or categories, codes that are searched for.
    skae.files.FileError
        If the file cannot be loaded; the message says why.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import skae.numpy
    >>> from skae import AutoencoderTransformer
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> model = AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> skae.numpy.encoder(model)
    NumpyAutoencoder(n_features_in_=5, n_components_=2)
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_file(os.fspath(source))
    state = source.__getstate__()
    if not isinstance(state, dict) or _KEY not in state:
        name = type(source).__name__
        raise TypeError(f"encoder takes a fitted estimator of skae, or the path of a file; got {name}.")
    return from_state(type(source).__name__, state, state[_KEY]["objects"])


def _from_file(path: str) -> NumpyAutoencoder:
    """Return the same from a file, whatever is in it."""
    content = _files.read(path, _KIND)
    if content.get("state") != VERSION:
        raise FileError(
            f"{path} holds a state of version {str(content.get('state'))[:20]}, and this version of skae "
            f"reads version {VERSION}. Load it with the version of skae that wrote it."
        )
    try:
        found = _made(content)
        # Arrays that do not fit each other are noticed here.
        found.inverse_transform(found.transform(np.zeros((1, found.n_features_in_))))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise FileError(f"{path} cannot be read by skae.numpy: {str(error).rstrip('.')}.") from error
    return found


def _made(content: State) -> NumpyAutoencoder:
    objects = content["objects"]
    told = objects[content["estimator"][_REFERENCE]]["told"]
    return from_state(str(told["name"]), told["attributes"], objects)


def from_state(class_name: str, state: State, described: list[State]) -> NumpyAutoencoder:
    """Return the same from a state, as `__getstate__` of an estimator gives it.

    Parameters
    ----------
    class_name : str
        Name of the estimator's class.
    state : dict
    described : list of dict
        The objects that it refers to.

    Returns
    -------
    encoder : NumpyAutoencoder
    """
    if "network_" not in state:
        raise ValueError(f"This {class_name} is not fitted yet. Call fit first.")
    _check(class_name, state)
    objects = Objects(described)
    network, columns = objects.of(state["network_"]), objects.of(state["_columns"])
    codec = objects.of(state["_codec"])
    frame, reconstruction = objects.of(codec["frame"]), objects.of(codec["reconstruction"])
    if columns.name not in ("tables.Columns", "tables.MixedColumns") or columns["is_mixed"]:
        raise ValueError(
            f"This {class_name} was fitted on a table with text, categories or counts, or on wide sparse "
            f"rows, which skae.numpy does not read. {_ELSEWHERE}"
        )
    read = _read(objects.of(network["bottleneck"]), state, objects)
    n_components = state["n_components_"]
    layers = _layers(network, "encoder", objects, class_name)
    return NumpyAutoencoder(
        Parts(
            n_features=columns["n_features"],
            names=columns["names"],
            output_name=class_name.lower(),
            scaling=_scaling(columns, objects),
            is_empty=columns.get("is_empty"),
            centre=frame[0],
            scale=float(frame[1]),
            gaps=_gaps(network, objects),
            # Also where variances follow the means.
            encoder=_cut(layers, n_components) if read is None else layers,
            read=read,
            n_components=n_components,
            decoder=_layers(network, "decoder", objects, class_name),
            n_codes=network["n_components"],
            has_code_flags=network["has_code_flags"],
            link=_link(reconstruction, class_name),
            is_centred=codec["centred"] is True or bool(np.all(codec["centred"])),
        )
    )


def _check(class_name: str, state: State) -> None:
    """Refuse parameters that say that codes are something else than what the network puts out."""
    usual = {"inference": "encoder", "debias": False, "features": "code"}
    for name, value in usual.items():
        if name in state and state[name] != value:
            raise ValueError(
                f"{name}={state[name]!r} of this {class_name} is not read by skae.numpy, only "
                f"{name}={value!r}. Set it so before, or use the estimator itself."
            )


# ---------------------------------------------------------------------- plain data


class Thing:
    """An object of the state: the name of its class, and what it holds.

    Parameters
    ----------
    name : str
    held : dict
        Attributes by name; parameters, buffers and modules of a torch module among them.
    """

    def __init__(self, name: str, held: State) -> None:
        self.name = name
        self._held = dict(held)
        for part in ("_parameters", "_buffers", "_modules"):
            self._held |= held.get(part, {})

    def __getitem__(self, key: str) -> Any:
        return self._held[key]

    def get(self, key: str) -> Any:
        """Return an attribute, None where there is none."""
        return self._held.get(key)


class Objects:
    """The objects of a state, by reference."""

    def __init__(self, described: list[State]) -> None:
        self._described = described

    def of(self, reference: object) -> Any:
        """Return an object: a `Thing`, an array, or plain values as they are."""
        if not isinstance(reference, dict) or _REFERENCE not in reference:
            return reference
        found = self._described[reference[_REFERENCE]]
        if "tensor" in found:
            return np.asarray(found["tensor"])
        return found["items"] if "items" in found else Thing(str(found.get("class")), found.get("state", {}))

    def double(self, reference: object) -> np.ndarray:
        """Return an array in float64."""
        return np.asarray(self.of(reference), dtype=np.float64)


# ---------------------------------------------------------------------- the network


def _layers(network: Thing, side: str, objects: Objects, class_name: str) -> Layers:
    """Return the layers of the encoder or the decoder, and the linear path beside them."""
    linear = objects.of(network[f"linear_{side}"])
    path = None if linear is None else _affine(linear, objects)
    coder = objects.of(network[side])
    modules, shift = [coder], None
    if coder.name == "networks.Readers":
        # They see rows less the offset of the atoms.
        shift = -objects.double(objects.of(coder["atoms"])["offset"])
        coder = objects.of(coder["layers"])
    if coder.name == "networks.Layers":
        modules = [objects.of(module) for module in coder["_modules"].values()]
    weights, biases, activations = _chained(modules, objects, class_name)
    if shift is not None:
        biases[0] = biases[0] + shift @ weights[0]
    if path is None:
        return Layers(tuple(weights), tuple(biases), tuple(activations))
    biases[-1] = biases[-1] + path[1]
    if len(weights) == 1 and weights[0].shape == path[0].shape:
        # Linear encoders and decoders: one matrix.
        return Layers((weights[0] + path[0],), tuple(biases), ())
    return Layers(tuple(weights), tuple(biases), tuple(activations), path[0])


def _chained(
    modules: list[Thing], objects: Objects, class_name: str
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[str, ...]]]:
    """Return weights (n_in, n_out), biases, and activations after each layer but the last."""
    weights: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    activations: list[list[str]] = []
    for module in modules:
        if module.name in ACTIVATIONS:
            activations[-1].append(module.name)
        elif module.name == "torch.BatchNorm1d":
            # In use, its statistics are constants, and so part of the layer before.
            factor = objects.double(module["weight"]) / np.sqrt(
                objects.double(module["running_var"]) + module["eps"]
            )
            mean, bias = objects.double(module["running_mean"]), objects.double(module["bias"])
            weights[-1], biases[-1] = weights[-1] * factor, (biases[-1] - mean) * factor + bias
        elif module.name not in ("torch.Dropout", "networks.Dropout"):
            affine = _affine(module, objects)
            if affine is None:
                raise ValueError(
                    f"The network of this {class_name} is no network of dense layers ({module.name} is a "
                    f"part of it), and skae.numpy reads no other. {_ELSEWHERE}"
                )
            weights.append(affine[0])
            biases.append(affine[1])
            activations.append([])
    return weights, biases, [tuple(names) for names in activations[:-1]]


def _affine(module: Thing, objects: Objects) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the weights (n_in, n_out) and the bias of an affine map; None for anything else."""
    if module.name == "torch.Linear":
        weight = objects.double(module["weight"]).T
        bias = np.zeros(weight.shape[1]) if module.get("bias") is None else objects.double(module["bias"])
        return weight, bias
    if module.name == "networks.Transposed":
        bias = objects.double(module["bias"])
        return objects.double(objects.of(module["linear"])["weight"])[:, : len(bias)], bias
    if module.name == "networks.Atoms":
        directions = objects.double(module["directions"])
        lengths = np.maximum(np.linalg.norm(directions, axis=0), 1e-12)
        return (directions / lengths).T, objects.double(module["offset"])
    return None


def _cut(layers: Layers, n_components: int) -> Layers:
    """Return layers that put out the first components alone."""
    path = None if layers.path is None else layers.path[:, :n_components]
    return layers._replace(
        weights=(*layers.weights[:-1], layers.weights[-1][:, :n_components]),
        biases=(*layers.biases[:-1], layers.biases[-1][:n_components]),
        path=path,
    )


def _read(bottleneck: Thing, state: State, objects: Objects) -> Read | None:
    """Return what happens to codes, None for nothing."""
    name = bottleneck.name.removeprefix("bottlenecks.")
    if name == "Binary":
        return Bits(state["n_components_"], bool(state.get("packed")))
    if name == "TopK":
        # As wanted now, which may be more than training kept.
        wanted = state.get("n_active", "auto")
        return Largest(bottleneck["n_active"] if isinstance(wanted, str) else int(wanted))
    if name == "BatchTopK":
        return Threshold(objects.double(bottleneck["threshold"]), from_on=True)
    if name == "JumpReLU":
        return Threshold(np.exp(objects.double(bottleneck["log_threshold"])))
    if name == "Gated":
        stretch = np.exp(objects.double(bottleneck["log_stretch"]))
        return Gate(stretch, objects.double(bottleneck["shift"]))
    return (
        {"Rectified": Rectifier, "Logistic": Logistic}[name]() if name in ("Rectified", "Logistic") else None
    )


def _gaps(network: Thing, objects: Objects) -> Gaps:
    gaps = objects.of(network["gaps"])
    known, noise = objects.of(gaps["known"]), float(objects.double(gaps["noise"]))
    return Gaps(objects.double(gaps["loadings"]), noise, known, gaps["always"], gaps["flags"])


def _link(reconstruction: Thing, class_name: str) -> str:
    """Return the name of the link from outputs to means."""
    kinds = set(reconstruction.get("kinds") or ["gaussian"])
    links = {"gaussian": reconstruction["link"], "bernoulli": "logistic", "poisson": "exp"}
    kind = kinds.pop()
    if kinds or kind not in links or links[kind] not in LINKS:
        raise ValueError(
            f"The columns of this {class_name} have several likelihoods, or groups of categories, which "
            f"skae.numpy does not read. {_ELSEWHERE}"
        )
    return links[kind]


def _scaling(columns: Thing, objects: Objects) -> Scaling | None:
    """Return how numbers are scaled on their way inside."""
    scaler = objects.of(columns.get("scaler"))
    if scaler is None:
        return None
    if scaler.name == "sklearn.QuantileTransformer":
        return Quantiles(objects.double(scaler["quantiles_"]), objects.double(scaler["references_"]))
    is_standard = scaler.name == "sklearn.StandardScaler"
    shift = objects.double(scaler["mean_" if is_standard else "center_"])
    return Shift(shift, objects.double(scaler["scale_"]), in_own_dtype=is_standard)

"""Parameters and weights that nobody should pass, and fair ones, drawn from what an estimator declares."""

import datetime
from numbers import Integral, Real
from typing import Any

import numpy as np
from hard_tables import pick
from sklearn.utils._param_validation import Interval, MissingValues, Options

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    BinaryAutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.networks import Convolutional, Dense, Recurrent
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 1, "hidden_layer_sizes": (4,), "random_state": 0}
ESTIMATORS: dict[str, tuple[type, dict[str, Any]]] = {
    "AutoencoderTransformer": (AutoencoderTransformer, BRIEF),
    "AdversarialAutoencoderTransformer": (AdversarialAutoencoderTransformer, BRIEF),
    "BinaryAutoencoderTransformer": (BinaryAutoencoderTransformer, {**BRIEF, "n_components": 8}),
    "ContractiveAutoencoderTransformer": (ContractiveAutoencoderTransformer, BRIEF),
    "DenoisingAutoencoderTransformer": (DenoisingAutoencoderTransformer, BRIEF),
    "SparseAutoencoderTransformer": (SparseAutoencoderTransformer, {**BRIEF, "n_components": 6}),
    "VariationalAutoencoderTransformer": (VariationalAutoencoderTransformer, BRIEF),
    "AutoencoderImputer": (
        AutoencoderImputer,
        {"estimator": DenoisingAutoencoderTransformer(2, corruption="missing", **BRIEF), "random_state": 0},
    ),
    "AutoencoderOutlierDetector": (
        AutoencoderOutlierDetector,
        {"estimator": AutoencoderTransformer(1, **BRIEF), "n_estimators": 2, "random_state": 0},
    ),
}
HOSTILE = [
    None,
    True,
    False,
    np.nan,
    np.inf,
    -np.inf,
    -1,
    0,
    0.5,
    1.5,
    1.0,
    10**12,
    10**30,
    1e300,
    1e-300,
    "",
    "unknown",
    "\ud800",
    b"auto",
    [],
    (),
    {},
    {"a": 1},
    {0: "numeric", 0.5: "count"},
    {0: "nonsense"},
    {-1: "count"},
    [[0, 0]],
    [[0], ["a"]],
    (10**12,),
    (True,),
    (0,),
    (-1,),
    (np.nan,),
    (2.5,),
    ("a",),
    ((3,),),
    np.array([1, 2]),
    np.array([]),
    np.float32("nan"),
    np.int64(2),
    np.True_,
    1j,
    datetime.date(2020, 1, 1),
    object(),
    len,
    int,
    AutoencoderTransformer,
]
# Honest requests that would run for days.
ENDLESS = {"max_iter", "n_estimators", "n_importance", "n_refits"}
# Lines on the screen, and devices that a machine may or may not have.
LEFT_ALONE = {"verbose", "device"}


def hostile(random: np.random.RandomState, cls: type, name: str) -> Any:
    """Return a value of a parameter that it should not have, as a rule."""
    while True:
        value = pick(random, HOSTILE)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # The estimators that tasks make themselves are trained for long.
        is_long = (name in ENDLESS and is_number and value > 100) or (name == "estimator" and value is None)
        if not is_long:
            return value


def fair(random: np.random.RandomState, constraints: list[Any]) -> Any:
    """Return a value that a parameter may have, as it declares; None where none is known."""
    kind = pick(random, constraints)
    if isinstance(kind, (Options, set)):
        return pick(random, sorted(kind.options if isinstance(kind, Options) else kind, key=str))
    if isinstance(kind, str) and kind == "boolean":
        return bool(random.randint(2))
    if isinstance(kind, Interval):
        low = 0.0 if kind.left is None else float(kind.left)
        if kind.type is Integral:
            return int(low + random.randint(4)) + (kind.closed in ("right", "neither"))
        high = low + 2.0 if kind.right is None else float(kind.right)
        return float(low + (high - low) * random.uniform(0.01, 0.99))
    return pick(random, [np.nan, 0.0, "", -1]) if isinstance(kind, MissingValues) else None


def settings(random: np.random.RandomState, name: str) -> tuple[dict[str, Any], bool]:
    """Return parameters of an estimator, and whether they are all fair."""
    cls, brief = ESTIMATORS[name]
    chosen = dict(brief)
    constraints = cls._parameter_constraints
    known = [parameter for parameter in sorted(constraints) if parameter not in LEFT_ALONE]
    for parameter in random.permutation(known)[: pick(random, [0, 0, 1, 2, 4])].tolist():
        value = fair(random, constraints[parameter])
        if parameter not in (*BRIEF, "estimator", "network", "n_estimators") and value is not None:
            chosen[parameter] = value
    if "network" in constraints and random.random_sample() < 0.06:
        chosen["network"] = pick(
            random, [Convolutional(channels=(2,)), Recurrent(hidden_size=4), Dense((3, 3), dropout=0.2)]
        )
    is_fair = random.random_sample() < 0.7
    if not is_fair:
        for parameter in random.permutation(known)[: pick(random, [1, 1, 2])].tolist():
            chosen[parameter] = hostile(random, cls, parameter)
    return chosen, is_fair


def weights(random: np.random.RandomState, n: int) -> Any:
    """Return weights of rows, most of them bad."""
    calm = random.uniform(0.5, 2.0, n)
    odd = calm.copy()
    if n:
        odd[random.randint(n)] = pick(random, [0.0, -1.0, np.nan, np.inf, 1e300, 1e-300, 1e308])
    far = np.where(np.arange(n) % 2, 1e300, 1e-300)
    return pick(
        random,
        [
            calm,
            calm,
            odd,
            odd,
            far,
            calm.astype("float32"),
            random.randint(0, 3, n),
            np.zeros(n),
            np.ones(n + 1),
            np.ones((n, 2)),
            calm.tolist(),
            [1, "a"],
            "balanced",
            2.0,
            -1,
            np.nan,
            True,
            calm.astype(object),
            calm + 1j,
            np.full(n, 5e-324),
        ],
    )


def is_real(value: Any) -> bool:
    """Whether a value is a number and no truth value."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))

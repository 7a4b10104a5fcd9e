"""The target that codes are to tell: its parameter, how y is read, and what users read afterwards."""

from __future__ import annotations

import numpy as np

from skae.estimators._declaration import AutoencoderParameters
from skae.tables import Labels, read_labels
from skae.training import plan as rules
from skae.training.fitted import Fitted

TARGET_SCORES = ("target_score_", "pca_target_score_", "columns_target_score_")
# What users read after a fit that has a target only.
TARGET_ATTRIBUTES = ("target_weight_", *TARGET_SCORES, "_labels")


class TargetAttributes:
    """Types of what `fit` sets; a class of its own, since annotations of the estimator are parameters."""

    target_weight_: float
    # What the target is; None in a fit that has none.
    _labels: Labels | None = None


class Target(AutoencoderParameters, TargetAttributes):
    """What `target_weight` means."""

    def _target_of(
        self, y: object, n_rows: int, weight: np.ndarray | None, known: Labels | None = None
    ) -> np.ndarray:
        """Return the target of rows, (n_rows, n_outputs); learn what it is, unless that is known."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} requires y to be passed, but the target y is None: "
                f"target_weight={self.target_weight!r} is the weight of a target. Pass y, or target_weight=0."
            )
        if known is None:
            self._labels, labels = read_labels(y, n_rows, weight)
        else:
            self._labels, labels = known, known.read(y, n_rows)
        return labels

    def _target_weights(self, held_out: str, n_rows: int) -> tuple[float, ...]:
        """Return the weights of the target that are tried."""
        if not isinstance(self.target_weight, str):
            return (float(self.target_weight),)
        known = vars(self).get("target_weight_")
        if known is not None and (held_out == "none" or self.warm_start):
            return (float(known),)
        if held_out == "none" and n_rows >= rules.NOTHING_BELOW:
            raise ValueError(
                "target_weight='auto' is found on held-out rows, and partial_fit and early_stopping=False "
                "hold none out. Pass a number, 0.3 for example, or use fit with early_stopping=True."
            )
        # A handful of rows stays at the start whatever the weight is.
        return (0.0,) if held_out == "none" else rules.TARGET_WEIGHTS

    def _attributes_of_target(self, fitted: Fitted) -> dict[str, object]:
        """Return what users read of a target, by name."""
        head, scores = fitted.objective.head, fitted.target_scores
        found: dict[str, object] = {
            "_labels": self._labels,
            "target_weight_": head.coefficient if head else 0.0,
        }
        if scores is not None:
            found |= dict(zip(TARGET_SCORES, scores, strict=True))
        return found

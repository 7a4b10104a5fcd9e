"""Fitted imputers and outlier detectors as torch modules that can be recorded."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from skae.estimators import BaseAutoencoder
from skae.onnx._modules import Steps
from skae.tables.cells import is_missing
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector
from skae.tasks._density import Clusters, Density
from skae.tasks._members import MOST_SURPRISE, Member

# As in `skae.tasks.outliers`: numbers beyond are as odd as this one.
_LARGEST = 1e100


class Impute(Steps):
    """`transform` of an imputer.

    Parameters
    ----------
    imputer : AutoencoderImputer
        Fitted to numbers.
    dtype : torch.dtype
        In which the network computes.
    """

    def __init__(self, imputer: AutoencoderImputer, dtype: torch.dtype) -> None:
        refuse_categories(imputer, imputer.estimator_)
        super().__init__(imputer.estimator_, dtype)
        value = imputer.missing_values
        if isinstance(value, str):
            raise ValueError(
                f"missing_values={value!r} is no number, and so in no tensor of numbers. Use NaN."
            )
        self.value = None if is_missing(value) else float(str(value))
        self.kept, self.n_columns = imputer._kept.tolist(), vars(imputer)["n_features_in_"]
        self.keeps_empty = imputer.keep_empty_features
        indicator = imputer.indicator_
        self.marked = [] if indicator is None else np.asarray(indicator.features_).tolist()
        self.lowest, self.highest = (
            torch.from_numpy(end.astype(np.float64)) for end in (imputer._lowest, imputer._highest)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows with gaps (n, n_features) to rows without, and indicators of gaps beside them."""
        missing = x.isnan() if self.value is None else x.isnan() | (x == self.value)
        rows = torch.where(missing, math.nan, x)[:, self.kept]
        back = clipped(self.decoder.inside(self.codes(self.inside(rows))).double(), self.lowest, self.highest)
        back = back if self.decoder.scaling is None else self.decoder.scaling.undo(back)
        filled = torch.where(rows.isnan(), back.to(x), rows)
        if self.keeps_empty and len(self.kept) < self.n_columns:
            places = [self.kept.index(j) if j in self.kept else len(self.kept) for j in range(self.n_columns)]
            filled = torch.cat([filled, torch.zeros_like(filled[:, :1])], dim=1)[:, places]
        return torch.cat([filled, missing[:, self.marked].to(x)], dim=1) if self.marked else filled


class Detect(nn.Module):
    """`predict` and `decision_function` of an outlier detector.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        Fitted to numbers.
    dtype : torch.dtype
        In which the networks compute.
    """

    def __init__(self, detector: AutoencoderOutlierDetector, dtype: torch.dtype) -> None:
        super().__init__()
        refuse_categories(detector, detector.estimators_[0])
        self.members = nn.ModuleList([Surprise(member, dtype) for member in detector._members])
        self.offset = float(detector.offset_)
        directions = detector._directions
        self.basis = None if directions is None else torch.from_numpy(directions.basis.astype(np.float64))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map rows (n, n_features) to labels, -1 for outliers and 1 else, and to scores, (n, 1) each."""
        rows = x.double().clamp(-_LARGEST, _LARGEST)
        if self.basis is not None:
            inside = rows @ self.basis
            left_out = (rows.square().sum(1) - inside.square().sum(1)).clamp_min(0).sqrt()
            rows = torch.cat([inside, left_out[:, None]], dim=1)
        total = torch.zeros_like(rows[:, 0])
        for member in self.members:
            total = total - (member(rows) + 1e-12).log()
        scores = total / len(self.members)
        # A row without any value scores lowest.
        scores = torch.where(rows.isnan().all(1), -math.log(MOST_SURPRISE), scores) - self.offset
        labels = torch.where(scores < 0, -1, 1)
        return labels[:, None], scores[:, None].to(x)


class Surprise(Steps):
    """The anomaly of rows by one member of a detector; see `skae.tasks._members.Member.scores`."""

    def __init__(self, member: Member, dtype: torch.dtype) -> None:
        super().__init__(member.model, dtype)
        deviations, lowest, highest = (
            torch.from_numpy(np.asarray(one, dtype=np.float64))
            for one in (member.deviations, member.lowest, member.highest)
        )
        self.deviations, self.lowest, self.highest = deviations, lowest, highest
        self.density = member.density

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to anomalies (n,), about one for usual rows."""
        inside, most = self.inside(x).double(), math.sqrt(MOST_SURPRISE)
        codes = self.codes(clipped(inside, self.lowest, self.highest))
        back, codes = self.decoder.inside(codes).double(), codes.double()
        # What overflows is as odd as can be; nothing times zero is zero but what is finite.
        is_computed = (back * 0).sum(1) + (codes * 0).sum(1) == 0
        there = ~(inside.isnan() | self.deviations.isnan())
        errors = torch.where(is_computed[:, None], (inside - back) / self.deviations, most)
        squares = torch.where(there, errors.clamp(-most, most), 0.0).square()
        n_there = there.to(squares).sum(1)
        distances = distances_of(self.density, codes).clamp_max(MOST_SURPRISE)
        distances = torch.where(is_computed, distances, MOST_SURPRISE)
        share = inside.shape[1] / n_there.clamp_min(1)
        found = (squares.sum(1) * share + distances) / (inside.shape[1] + codes.shape[1])
        return torch.where(n_there > 0, found.clamp_max(MOST_SURPRISE), MOST_SURPRISE)


def distances_of(density: Density, codes: torch.Tensor) -> torch.Tensor:
    """Return squared distances of codes (n, n_components) from those of training, (n,)."""
    from_whole = _from_clusters(density.whole, codes)
    return from_whole if density.parts is None else (from_whole + _from_clusters(density.parts, codes)) / 2


def _from_clusters(clusters: Clusters, codes: torch.Tensor) -> torch.Tensor:
    precision = torch.from_numpy(clusters.precision.astype(np.float64))
    distances = []
    for centre, penalty in zip(clusters.centres, clusters.penalties, strict=True):
        off = codes - torch.from_numpy(np.asarray(centre, dtype=np.float64))
        distances.append((off @ precision * off).sum(1) + float(penalty))
    return torch.stack(distances, dim=1).amin(1)


def clipped(rows: torch.Tensor, lowest: torch.Tensor, highest: torch.Tensor) -> torch.Tensor:
    """Return rows between limits of each column; NaN stays."""
    rows = torch.where(rows < lowest, lowest, rows)
    return torch.where(rows > highest, highest, rows)


def refuse_categories(task: object, model: BaseAutoencoder) -> None:
    """Refuse tasks that were fitted on tables with text, categories or counts."""
    if model._columns.is_mixed:
        raise ValueError(
            f"This {type(task).__name__} was fitted on a table with text, categories or counts, and only "
            "those of numbers are exported. Encode text before, e.g. by OneHotEncoder in a ColumnTransformer."
        )

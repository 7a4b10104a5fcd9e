"""The seats of an estimator: all that a variant may override, beside read-outs of its own."""

from typing import ClassVar

import numpy as np
import torch

from skae.estimators import _checks, _tensors
from skae.estimators._declaration import AutoencoderParameters
from skae.estimators._ordered import OrderedComponents
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck
from skae.networks.pca_start import fit_affine_decoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import LOSSES, Objective, Reconstruction
from skae.objectives.by_column import Mixed
from skae.objectives.nested import Nested
from skae.objectives.penalties import Penalty, WeightL1
from skae.tables import Columns
from skae.training.batches import Rows


class FittedAttributes:
    """Types of what `fit` sets; a class of its own, since annotations of the estimator are parameters."""

    network_: Autoencoder
    objective_: Objective
    n_components_: int
    n_features_in_: int
    n_samples_: int
    mean_: np.ndarray
    loss_curve_: list[float]
    _codec: _tensors.Codec
    _columns: Columns
    _largest_size: int


class Seats(AutoencoderParameters, OrderedComponents, FittedAttributes):
    """What is trained, by the parameters of an estimator."""

    # Whether a fit that explains less than PCA deserves a warning.
    _rivals_pca: ClassVar[bool] = True

    def _bottleneck(self) -> Bottleneck:
        """Give what happens to the code."""
        return Bottleneck()

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        """Give what is minimised."""
        penalties: dict[str, Penalty] = {}
        if self.l1_weights:
            penalties["l1_weights"] = WeightL1(self.l1_weights)
        if self._is_ordered():
            guarded = self._rivals_pca and self._starts_as_pca()
            alike = _checks.is_sought(self.n_components)
            return Nested(reconstruction, penalties, n_components=self._size, guarded=guarded, alike=alike)
        return Objective(reconstruction, penalties)

    def _reconstruction(self, link: str, frame: _tensors.Frame) -> Reconstruction:
        """Give the loss by cell."""
        loss = LOSSES[self.loss]
        centre = torch.tensor(frame.centre)
        if self._is_mixed():
            columns = self._columns
            weights = torch.from_numpy(columns.loss_weights / frame.scale**2)
            # Losses of numeric columns are in squared units of scaled rows, and the others relative to them.
            weights[torch.tensor(columns.is_numeric)] = 1.0
            groups = columns.owners.tolist()
            return Mixed(columns.kinds, groups, weights, self.loss, centre, frame.scale)
        return Reconstruction(loss.cell, link, loss.from_output, centre, frame.scale)

    def _complaints(self) -> list[str]:
        """Give what a user should be warned of after a fit."""
        return []

    def _start(self, network: Autoencoder, objective: Objective, axes: PrincipalAxes, rows: Rows) -> None:
        """Go on from a linear path that is PCA to what is best to start from."""
        if not self._starts_as_pca():
            fit_affine_decoder(network, rows.target, objective.reconstruction, rows.seen, rows.weight)

    # ------------------------------------------------------------------ what seats ask

    def _is_mixed(self) -> bool:
        """Tell whether columns are of several kinds."""
        return self._columns.is_mixed

    def _starts_as_pca(self) -> bool:
        """Tell whether epoch 0 is PCA itself, so that the fit can never end below it."""
        is_squared = self.loss == "squared_error" and self.output_activation in ("auto", "identity")
        is_squared = is_squared and not self._is_mixed()
        return is_squared and self.linear_path and self.init == "pca" and not self._is_warm()

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "network_")

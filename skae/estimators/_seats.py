"""The seats of an estimator: all that a variant may override, beside read-outs of its own."""

import copy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from skae._counts import check_sizes
from skae.estimators import _checks
from skae.estimators._state import FittedAttributes
from skae.estimators._target import Target
from skae.networks import Dense
from skae.networks.architecture import Architecture
from skae.networks.autoencoder import Autoencoder, Blueprint
from skae.networks.bottlenecks import Bottleneck
from skae.networks.custom import as_architecture
from skae.networks.pca_start import fit_affine_decoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import LOSSES, Objective, Reconstruction
from skae.objectives.by_column import Mixed
from skae.objectives.nested import Nested
from skae.objectives.penalties import LinearHead, Nonlinearity, Penalty, Straightness, WeightL1
from skae.tables import Options, read
from skae.training import SOLVERS, tensors
from skae.training import plan as rules
from skae.training.batches import Rows
from skae.training.fits import Parts
from skae.training.plan import Layout, Plan


class Seats(Target, FittedAttributes):
    """What is trained and how, by the parameters of an estimator."""

    # Whether a fit that explains less than PCA deserves a warning.
    _rivals_pca: ClassVar[bool] = True
    # Steps that max_iter="auto" stands for.
    _n_steps: ClassVar[rules.Steps] = rules.Steps(folds=600, few=1000, many=3400)
    # Whether few rows are trained on with noise, more decay and a higher rate, as long as these are "auto".
    _tunes_for_few: ClassVar[bool] = False
    # What weight_decay="auto" stands for by solver, where it differs from the solver's own (`SOLVERS`).
    _weight_decays: ClassVar[dict[str, float]] = {}

    def _specification(self, n_rows: int | None = None) -> Architecture:
        """Return the architecture for so many rows; None for as many as there may be."""
        if self.network is None:
            return Dense(
                self._layer_sizes(n_rows),
                activation=self.activation,
                dropout=self.dropout,
                batch_norm=self.batch_norm,
                tied_weights=self.tied_weights,
            )
        return as_architecture(self.network)

    def _layer_sizes(self, n_rows: int | None = None) -> tuple[int, ...]:
        """Return the sizes of the hidden layers; one may stand alone."""
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, str):
            is_small = n_rows is not None and n_rows < rules.FEWER
            return rules.FEWER_LAYER_SIZES if is_small else rules.LAYER_SIZES
        return check_sizes((sizes,) if np.isscalar(sizes) else sizes, "hidden_layer_sizes")

    def _bottleneck(self) -> Bottleneck:
        """Return the bottleneck, through which codes pass."""
        return Bottleneck()

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        """Return the objective, which is minimised."""
        penalties: dict[str, Penalty] = {}
        if self.l1_weights:
            penalties["l1_weights"] = WeightL1(self.l1_weights)
        if self.linearity and self.encoder != "linear":
            penalties["nonlinearity"] = Nonlinearity(self.linearity)
        if self.straightness:
            if not (self.linear_path and self._is_squared()):
                raise ValueError(
                    f"straightness={self.straightness!r} is about squared errors of the linear half of the "
                    "decoder. Use linear_path=True, loss='squared_error', output_activation='identity' "
                    "and columns of numbers, or straightness=0."
                )
            penalties["straightness"] = Straightness(self.straightness)
        if self._labels is not None:
            penalties["target"] = LinearHead(self._labels.n_classes, self._labels.units, self._size)
        if self._is_ordered():
            # A target may be worth more than a size that is as good as PCA.
            penalizes_regressions = self._rivals_pca and self._starts_as_pca() and self._labels is None
            uniform_sizes = self._sought is not None
            return Nested(
                reconstruction,
                penalties,
                n_components=self._size,
                penalizes_regressions=penalizes_regressions,
                uniform_sizes=uniform_sizes,
            )
        return Objective(reconstruction, penalties)

    def _reconstruction(self, link: str, frame: tensors.Frame) -> Reconstruction:
        """Return the reconstruction, the loss of each cell."""
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
        """Return the warnings after a fit."""
        return []

    def _start(self, network: Autoencoder, objective: Objective, axes: PrincipalAxes, rows: Rows) -> None:
        """Go on from a linear path that is PCA to what is best to start from."""
        if not self._starts_as_pca():
            fit_affine_decoder(network, rows.target, objective.reconstruction, rows.seen, rows.weight)

    def _keep(self, n_components: int) -> None:
        """Forget what further attributes say of all but the first components."""

    # ------------------------------------------------------------------ by the parameters

    def _blueprint(self, n_rows: int | None = None) -> Blueprint:
        """Return what the network is built from, see `_specification`."""
        architecture = self._specification(n_rows)
        _checks.check_linear(self, architecture)
        return Blueprint(
            architecture,
            self._bottleneck,
            self._size,
            self._is_ordered(),
            self.linear_path,
            self.init,
            by_layer=self.pretrain is not None,
            encodes_linearly=self.encoder == "linear",
        )

    def _new_objective(self, link: str, frame: tensors.Frame, is_clean: bool = False) -> Objective:
        objective = self._objective(self._reconstruction(link, frame))
        if is_clean:
            # The rows came with clean targets: they are the corrupted ones.
            objective.corruption = None
        return objective

    def _parts(
        self,
        link: str,
        frame: tensors.Frame,
        rows: torch.Tensor,
        previous: tuple[Autoencoder, Objective] | None,
        is_clean: bool = False,
        n_rows: int | None = None,
    ) -> Parts:
        """Return what is trained on rows (n_rows, n_features); None where further ones may follow."""
        if previous is not None:
            # Small tables are trained in another dtype than large ones, and the one before may have been.
            previous = previous[0].to(rows), previous[1].to(rows)
        return Parts(
            self._blueprint(n_rows),
            lambda: self._new_objective(link, frame, is_clean).to(rows),
            self._start,
            previous,
        )

    def _plan(self, n_rows: int, layout: Layout, is_part: bool = False, n_workers: int = 1) -> Plan:
        """Return how the network is trained on so many rows, all or a part, with nothing left to "auto"."""
        solver = SOLVERS[self.solver]
        n_epochs, starts_at_pca = self.max_iter, self._starts_as_pca()
        is_tuned = self._tunes_for_few and starts_at_pca and solver.decouples_decay
        tuning = rules.for_few(max(n_rows, rules.MANY) if is_part else n_rows) if is_tuned else rules.USUAL
        # Epochs that somebody chose are to be as many steps as they were.
        least = tuning.batch_size if isinstance(n_epochs, str) else 64
        batch_size = rules.batch_size(n_rows, self.batch_size, solver, least)
        if isinstance(n_epochs, str):
            factor = rules.ORDERED_STEPS if self._is_ordered() else 1.0
            usual = rules.n_epochs(n_rows, batch_size, self._n_steps, layout.kind, factor)
            n_epochs = solver.n_epochs or usual
        if isinstance(self.batch_size, str):
            batch_size = rules.shared_batch_size(batch_size, layout.n_training, n_epochs, n_workers)
        warm_up = rules.warm_up(layout.n_training, batch_size, n_epochs)
        if is_tuned and not is_part:
            tuning = rules.for_few_steps(tuning, n_rows, n_epochs * -(-layout.n_training // batch_size))
        rate = self._learning_rate_init(tuning)
        return Plan(
            n_pca_components=self._n_pca_components(),
            init=self.init,
            # A warm start goes on from one network.
            n_init=1 if self._is_warm() else self.n_init,
            starts_at_pca=starts_at_pca,
            stays_at_start=starts_at_pca and self.early_stopping and n_rows < rules.NOTHING_BELOW,
            held_out="none" if layout.kind == "folds" and self._is_warm() else layout.kind,
            n_training=layout.n_training,
            solver=self.solver,
            batch_size=batch_size,
            n_epochs=n_epochs,
            n_pretraining_epochs=0 if self.pretrain is None else max(1, round(rules.PRETRAINING * n_epochs)),
            schedule=self.learning_rate,
            learning_rate=rate,
            constant_rate=rules.CONSTANT * rate if self.learning_rate_init == "auto" else rate,
            weight_decay=self._weight_decay(n_rows, tuning),
            input_noise=self._input_noise(tuning),
            warm_up=warm_up,
            second_moment=rules.second_moment(n_rows),
            gradient_clip=self.gradient_clip,
            patience=self.n_iter_no_change,
            tol=self.tol,
            ends_early=self.max_iter == "auto",  # epochs that somebody chose are all made
            target_weights=() if self._labels is None else self._target_weights(layout.kind, n_rows),
        )

    def _learning_rate_init(self, tuning: rules.Tuning) -> float:
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        return self._learning_rates().get(self.solver, tuning.rate * SOLVERS[self.solver].rate)

    def _learning_rates(self) -> dict[str, float]:
        """Return what learning_rate_init="auto" stands for by solver, where it is not the solver's own."""
        return {}

    def _weight_decay(self, n_rows: int, tuning: rules.Tuning) -> float:
        if not isinstance(self.weight_decay, str):
            return self.weight_decay
        solver, own = SOLVERS[self.solver], self._weight_decays
        is_more = self._is_ordered() and solver.decouples_decay
        more = rules.ordered_decay(self._size, n_rows) if is_more else 1.0
        if self.solver in own:
            return more * own[self.solver]
        return (max(more, tuning.decay) if tuning.decay > 1 else more) * solver.weight_decay

    def _input_noise(self, tuning: rules.Tuning) -> float:
        if not isinstance(self.input_noise, str):
            return self.input_noise
        return tuning.noise

    def _n_pca_components(self) -> int:
        """Return the components of the PCA that `pca_score_` belongs to."""
        return self._size

    def _copies(self, device: torch.device) -> tuple[Autoencoder, Objective]:
        """Return copies of the network, with all its components, and of the objective."""
        network = copy.deepcopy(self.network_)
        network.keep_all()
        return network.to(device), copy.deepcopy(self.objective_).to(device)

    # ------------------------------------------------------------------ read-outs

    def _codes(self, X: np.ndarray) -> np.ndarray:
        """Return the codes that rows are given back from."""
        return self._codec.encode(X, self._codes_in)

    def _encode(self, X: np.ndarray) -> np.ndarray:
        """Return what `transform` gives: a read-out that a variant may widen."""
        return self._codes(X)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        """Undo `_encode`."""
        return self._codec.decode(Z)

    def _codes_in(self, network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Return codes of centred and scaled rows: `_codes` as a graph that can be recorded."""
        return network.encode(rows)

    def _validated(self, X: ArrayLike) -> np.ndarray:
        """Return rows inside, by the columns of `fit`."""
        if self._columns.is_ready(X):
            return X
        rows = read(self._columns, X, _checks.Validation(self, reset=False))
        self._check_gaps(rows)
        return rows

    def _solver_takes_gaps(self) -> bool:
        """Whether the solver takes rows that hold NaN."""
        # Asked for by the tags, too, before parameters are checked: the solver may be anything.
        solver = SOLVERS.get(self.solver) if isinstance(self.solver, str) else None
        return solver is None or solver.takes_gaps

    def _check_gaps(self, rows: np.ndarray) -> None:
        """Refuse missing cells where the solver or the architecture cannot take them."""
        if not np.isnan(rows).any():
            return
        if not self._solver_takes_gaps():
            raise ValueError(
                f"Input X contains NaN, and solver={self.solver!r} takes no missing values. Use "
                "solver='adam', or fill them first."
            )
        self._specification().check_gaps(rows)

    def _weights(self, sample_weight: ArrayLike | None, X: object) -> np.ndarray | None:
        """Return weights of rows; None where all weigh alike."""
        return _checks.check_weights(sample_weight, X, np.float64)

    # ------------------------------------------------------------------ what seats ask

    def _options(self) -> Options:
        n_components: Any = self.n_components if _checks.is_integer(self.n_components) else 1
        architecture = self._specification()
        arranged = architecture if architecture.takes_arrays else None
        return Options(self.column_types, self.scaling, self.handle_unknown, n_components, arranged)

    def _n_columns(self) -> int:
        """Return the number of columns inside."""
        return self._columns.n_inside

    @property
    def _size(self) -> int:
        """Number of components that are trained: for a share or the knee, as many as may be needed."""
        return int(self.n_components) if isinstance(self.n_components, Integral) else self._largest_size

    @property
    def _sought(self) -> float | str | None:
        """Share of the variance, or "elbow", that tells the number of components; None if it is known."""
        return None if isinstance(self.n_components, Integral) else self.n_components

    def _is_ordered(self) -> bool:
        """Whether the first components alone give rows back."""
        return bool(self.ordered) or self._sought is not None

    def _is_mixed(self) -> bool:
        """Whether columns are of several kinds."""
        return self._columns.is_mixed

    def _starts_as_pca(self) -> bool:
        """Whether epoch 0 is PCA itself, so that the fit can never end below it."""
        return self._is_squared() and self.linear_path and self.init == "pca" and not self._is_warm()

    def _is_squared(self) -> bool:
        """Whether the loss is the squared error of numbers."""
        is_squared = self.loss == "squared_error" and self.output_activation in ("auto", "identity")
        return is_squared and not self._is_mixed()

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "network_")


class Inside:
    """Rows as a fitted autoencoder sees them inside, their codes, and rows back.

    The only private part of an estimator that tasks and reports use: it lets them hide cells, cut values off
    and measure errors in the columns inside.

    Parameters
    ----------
    estimator : Seats
        Fitted.

    Attributes
    ----------
    columns : skae.tables.Columns
        Which columns inside belong to which of the user's, and how well rows come back.
    centre : ndarray of shape (n_inside,)
        Mean of the training rows inside.
    """

    def __init__(self, estimator: Seats) -> None:
        self._estimator = estimator
        self.columns = estimator._columns
        self.centre = estimator._codec.frame.centre

    @property
    def n_pca_components(self) -> int:
        """Number of components of the PCA that `pca_score_` belongs to."""
        return self._estimator._n_pca_components()

    def rows(self, X: ArrayLike) -> np.ndarray:
        """Return validated rows inside, (n_samples, n_inside), NaN where a cell is missing."""
        return self._estimator._validated(X)

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes (n_samples, n_components) of rows inside."""
        return self._estimator._codes(rows)

    def back(self, codes: np.ndarray) -> np.ndarray:
        """Return rows inside (n_samples, n_inside) of codes."""
        return self._estimator._codec.decode(codes)

    def draw(self, rows: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Return rows inside by a network whose dropout goes on, with drawn categories and counts.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_inside)
            May have gaps.
        generator : torch.Generator
            What is drawn from.

        Returns
        -------
        back : ndarray of shape (n_samples, n_inside)
        """
        codec = self._estimator._codec.with_dropout(generator, rows.dtype)
        reconstruction = self._estimator.objective_.reconstruction

        def drawn(mean: torch.Tensor) -> torch.Tensor:
            return reconstruction.sample(mean, generator) if self.columns.is_mixed else mean

        return codec.decode(codec.apply(rows, lambda network, part: network.encode(part)), drawn)

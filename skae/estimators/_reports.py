"""What a fit reports: a line an epoch, scikit-learn's callbacks, warnings, and figures in notebooks."""

import copy
import html
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackContext
from sklearn.exceptions import ConvergenceWarning

from skae.data.running import News, Running, add, begin, go_on
from skae.estimators._ordered import OrderedComponents
from skae.estimators._seats import Seats
from skae.estimators._state import scaling_module
from skae.estimators._target import TARGET_ATTRIBUTES
from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.tables import Columns
from skae.tables.reading import unknown
from skae.training import tensors
from skae.training.endless import Endless
from skae.training.fitted import Fitted
from skae.training.loop import History
from skae.training.tensors import Frame


class EpochReports:
    """Called after each epoch of the training whose weights are kept.

    Callbacks get `X` for `y` where there is none, since the rows are what an
    autoencoder is trained to give: without it, `ScoringMonitor` would stay silent.

    Parameters
    ----------
    estimator : BaseAutoencoder
        The estimator being fitted.
    frame : Frame
        Where the data lie.
    X, y : array-like
        The training data.
    n_epochs : int
        Epochs at most.
    """

    def __init__(self, estimator: Any, frame: Frame, X: object, y: object, n_epochs: int) -> None:
        self.estimator = estimator
        self.context: CallbackContext = estimator._init_callback_context(max_subtasks=n_epochs)
        self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        self.frame = frame
        self.y = y
        self.data = {"X": X, "y": X if y is None else y}
        self.n_epochs = n_epochs
        self.current: Any = None
        self._begin(0)

    def _begin(self, done: int) -> None:
        self.current = None
        if done < self.n_epochs:
            self.current = self.context.subcontext(task_name="epoch")
            self.current.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def __call__(self, epoch: int, history: History, network: Autoencoder, objective: Objective) -> bool:
        """Report an epoch; return whether a callback stops training."""
        if self.estimator.verbose:
            self._print(epoch, history)

        def attributes() -> dict[str, Any]:
            so_far = Fitted(
                copy.deepcopy(network), copy.deepcopy(objective), copy.deepcopy(history), epoch, None, None
            )
            return self.estimator._fitted_attributes(so_far, self.frame)

        stop = self.current.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
        self._begin(epoch)
        return stop

    def _print(self, epoch: int, history: History) -> None:
        line = f"Epoch {epoch:>{len(str(self.n_epochs))}}/{self.n_epochs}: loss {history.loss_curve[-1]:.5g}"
        if history.validations:
            line += f", held-out variance explained {history.validations[-1].score:.4f}"
        print(f"{line} (at the start {history.validations[0].score:.4f})" if history.validations else line)

    def end(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """End the fit; callbacks may ask for what it found."""
        # Callbacks of the fit itself are told `y` as it was passed.
        self.context.call_on_fit_task_end(
            estimator=self.estimator, X=self.data["X"], y=self.y, reconstruction_attributes=attributes
        )

    def close(self) -> None:
        """End the epoch that was announced and never run."""
        if self.current is not None:
            self.current.call_on_fit_task_end(estimator=self.estimator)


# What users read after some fits only.
_AT_TIMES = (
    "fit_time_",
    "components_",
    "linearity_",
    "explained_variance_",
    "explained_variance_ratio_",
    "cumulative_explained_variance_",
    "pca_cumulative_explained_variance_",
    "_validations_by_size",
    "_going",
    "_running",
    *TARGET_ATTRIBUTES,
)


class ReadOuts(OrderedComponents):
    """What users read after a fit."""

    def _take(self, attributes: dict[str, object]) -> None:
        """Set what users read after a fit, and drop what an earlier one left that this one does not."""
        for name in _AT_TIMES:
            vars(self).pop(name, None)
        vars(self).update(attributes)

    def _fitted_attributes(self, fitted: Fitted, frame: Frame) -> dict[str, Any]:
        """Return all that users read after a fit, by name."""
        network, objective, history = fitted.network, fitted.objective, fitted.history
        if not fitted.at_rest:
            network, objective = network.cpu().eval().requires_grad_(False), objective.cpu().eval()
        numbers = self._columns.scaling
        scaling = None if numbers is None else scaling_module(numbers).eval()
        encoder = tensors.Encoder(network, frame, scaling)
        decoder = tensors.Decoder(network, objective.reconstruction, frame, scaling)
        # What they hold is so already.
        encoder.training = decoder.training = False
        return {
            "network_": network,
            "objective_": objective,
            "encoder_": encoder,
            "decoder_": decoder,
            "_codec": tensors.Codec(network, objective.reconstruction, frame),
            "n_components_": self._size,
            "mean_": self._columns.mean(frame.centre),
            "scale_": frame.scale,
            "n_iter_": history.n_epochs,
            "best_iter_": fitted.best_epoch,
            "loss_curve_": history.loss_curve,
            "validation_scores_": [validation.score for validation in history.validations] or None,
            "validation_score_": fitted.validation_score,
            "pca_score_": fitted.pca_score,
            **({} if fitted.seconds is None else {"fit_time_": fitted.seconds}),
            **linear_reading(fitted, self._columns, frame),
            **({} if fitted.by_size is None else self._attributes_by_size(fitted.by_size, fitted)),
            **({} if self._labels is None else self._attributes_of_target(fitted)),
        }


# Losses of the last parts of a stream, which may have no end.
_N_LOSSES = 10_000


class StreamPart(NamedTuple):
    """What one part of a stream changes."""

    running: Running
    frame: Frame
    move: tuple[torch.Tensor, float]  # what is subtracted from rows that were scaled before, and a factor
    messages: list[str]  # what is to be warned of


class StreamReports(ReadOuts):
    """What is told of a stream while it is learnt."""

    def _run_on(
        self, given: ArrayLike, X: np.ndarray, weight: np.ndarray | None, before: Frame | None
    ) -> StreamPart:
        """Take note of a part: rows as they were given, rows inside, their weights, and the frame so far."""
        still = torch.zeros(X.shape[1], dtype=torch.float64), 1.0
        if before is None:
            return StreamPart(begin(X, weight), tensors.frame_of(X, weight), still, [])
        running = vars(self).get("_running") or go_on(X, weight, *before, self.n_samples_)
        running, news = add(running, X, weight)
        messages = [self._moved(news)] if news else []
        if self._is_mixed():
            held = np.flatnonzero(unknown(self._columns, given).any(axis=0)).tolist()
            found = [j for j in held if j not in running.unknown]
            if found:
                running = running._replace(unknown=(*running.unknown, *found))
                messages.append(self._unheard(found))
        if not self.objective_.reconstruction.is_centred:
            # What is given back is in units of the data, which have nothing to do with where rows lie.
            return StreamPart(running, before, still, messages)
        frame = tensors.framed(X.dtype, *running.frame)
        shift = torch.from_numpy((frame.centre - before.centre) / before.scale)
        return StreamPart(running, frame, (shift, before.scale / frame.scale), messages)

    def _training_on(self) -> Endless | None:
        """Return the training that goes on; None where it has to be begun, as for changed parameters."""
        going, own = vars(self).get("_going"), vars(self)
        if going is None or going.training.network is not self.network_:
            return None
        is_same = all(own.get(name) is value for name, value in going.parameters.items())
        return going.training if is_same else None

    def _counted_on(self, fitted: Fitted, n_rows: int, first: bool) -> dict[str, object]:
        """Return what grows with each part of a stream, by name."""
        n_before, n_iter, losses = (0, 0, []) if first else (self.n_samples_, self.n_iter_, self.loss_curve_)
        n_iter += fitted.history.n_epochs
        return {
            "n_samples_": n_before + n_rows,
            "n_iter_": n_iter,
            "best_iter_": n_iter,
            "loss_curve_": [*losses, *fitted.history.loss_curve][-_N_LOSSES:],
        }

    def _check_first_part(self, n_rows: int, n_features: int) -> None:
        """Refuse first rows of a stream that are fewer than the principal components to start from."""
        if self.init == "pca" and self.linear_path and n_rows < min(self._size, n_features):
            raise ValueError(
                f"n_components={self._size} must be less or equal to the {n_rows} rows of the first call of "
                "partial_fit, whose principal components are where training starts. Pass more rows in the "
                "first call, a few hundred or more."
            )

    def _moved(self, news: list[News]) -> str:
        """Say which columns have moved."""
        owners = self._columns.owners[[each.column for each in news]]
        names = self._columns.names_of(owners)
        told = {
            name: f"{name!r} ({each.what} {each.before:.3g}, now {each.now:.3g})"
            for name, each in zip(names, news, strict=True)
        }
        listed = ", ".join(list(told.values())[:5]) + (", ..." if len(told) > 5 else "")
        return (
            f"The stream has changed in {len(told)} column{'s' * (len(told) > 1)}: {listed}. "
            "reconstruction_error says how well such rows come back; training goes on with them, and "
            "forgets what no longer comes. Fit anew if earlier rows are of no more use. This is said once "
            "of each column."
        )

    def _unheard(self, columns: list[int]) -> str:
        """Say which columns hold categories that are not known."""
        names = self._columns.names_of(np.array(columns))
        return (
            f"Columns {names[:10]} hold categories that the first rows did not: these cells count as missing "
            "in training, and as wholly wrong in reconstruction_error. Fit anew to learn them. This is said "
            "once of each column."
        )


def _unseen(estimator: Seats) -> list[Any]:
    """List the columns of which training has seen nothing."""
    gaps = estimator.network_.gaps
    if gaps is None or bool(gaps.known.all()):
        return []
    unseen = np.flatnonzero(~gaps.known.numpy())
    return estimator._columns.names_of(np.unique(estimator._columns.owners[unseen]))


def warn(estimator: Seats, fitted: Fitted) -> None:
    """Warn of a fit that was interrupted, and of one that ended below what it should reach."""
    # Frames up to the user's line: this function, `_fit`, `fit`, the one that minds callbacks.
    level = 5
    for message, category in complaints(estimator, fitted):
        warnings.warn(message, category, stacklevel=level)


def complaints(estimator: Seats, fitted: Fitted) -> Iterator[tuple[str, type[Warning]]]:
    """Yield what `warn` warns of, and the kind of each warning."""
    if fitted.history.interrupted:
        yield "Training interrupted by user: the best weights so far are kept.", UserWarning
    unseen = _unseen(estimator)
    if unseen:
        what = (
            f"No row has a value in columns {unseen[:10]}: values in them later count as missing, and they "
            "are reconstructed as zero. Drop them."
        )
        yield what, UserWarning
    for message in [*_too_few(estimator, fitted), *estimator._complaints(), *_below_pca(estimator, fitted)]:
        yield message, ConvergenceWarning


def _too_few(estimator: Seats, fitted: Fitted) -> list[str]:
    """Return a warning if no number of components explains the requested share."""
    wanted = estimator.n_components
    if not isinstance(wanted, float) or fitted.by_size is None:
        return []
    shares = fitted.by_size.explained
    if shares.max() >= wanted:
        return []
    return [
        f"n_components={wanted}: the {len(shares)} components that were trained explain {shares[-1]:.4f} of "
        "the variance, so all are kept. Train for longer (max_iter), or set the number of components."
    ]


def _below_pca(estimator: Seats, fitted: Fitted) -> list[str]:
    """Return a warning if PCA explains more, for fits that should not be worse."""
    score, pca = fitted.validation_score, fitted.pca_score
    if (
        # PCA gives back what it sees, and what is hidden may be all that counts.
        estimator.objective_.makes_gaps
        or not estimator._rivals_pca
        or estimator._labels is not None
        or estimator._is_mixed()
        or estimator.loss != "squared_error"
        or score is None
        or pca is None
    ):
        return []
    if fitted.by_size is not None:
        return _sizes_below_pca(*fitted.by_size)
    if score >= pca - 1e-6:
        return []
    return [
        f"The codes explain {score:.4f} of the variance of held-out rows, PCA with as many "
        f"components {pca:.4f}. Train for longer (max_iter), or start at PCA: init='pca' with "
        "linear_path=True, loss='squared_error' and output_activation='auto' never ends below it."
    ]


def _sizes_below_pca(by_size: np.ndarray, pca: np.ndarray) -> list[str]:
    """Return a warning if ordered components of any size explain less than PCA, by more than a thousandth."""
    worst = int((pca - by_size).argmax())
    if pca[worst] - by_size[worst] <= 1e-3:
        return []
    return [
        f"The first {worst + 1} ordered components explain {by_size[worst]:.4f} of the variance of held-out "
        f"rows, those of PCA {pca[worst]:.4f}. Train fewer components, for longer (max_iter), or with "
        "ordered=False."
    ]


# ---------------------------------------------------------------------- notebooks

# scikit-learn has no public way into its table of fitted attributes. Its private one is overridden here and
# nowhere else; a version that does not call it shows its own table alone.
_ROW = '<tr class="default"><td class="param">{}</td><td class="value">{}</td></tr>'
_TABLE = '<div class="estimator-table"><table class="parameters-table"><tbody>{}</tbody></table></div>'


class NotebookFigures(Seats):
    """Put figures above the fitted attributes in the HTML representation, also within a Pipeline."""

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        attributes = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        plain = attributes._html_repr
        attributes._html_repr = lambda: as_table(figures(self)) + plain()
        return attributes


def figures(estimator: Seats) -> dict[str, str]:
    """Return the figures of a fitted estimator as text, by name."""
    found = {}
    if estimator.validation_score_ is not None:
        found["Variance explained, held-out rows"] = f"{estimator.validation_score_:.4f}"
        found["PCA with as many components"] = f"{estimator.pca_score_:.4f}"
    order = ", ordered" if estimator.network_.n_components is not None else ""
    found["Components"] = f"{estimator.n_components_}{order}"
    found["Epochs"] = f"{estimator.n_iter_}, the weights of epoch {estimator.best_iter_} kept"
    if hasattr(estimator, "fit_time_"):
        found["Time"] = f"{estimator.fit_time_:.2g} s"
    return found


def as_table(rows: dict[str, str]) -> str:
    """Return rows as an HTML table, in the classes of scikit-learn's style sheet."""
    return _TABLE.format("".join(_ROW.format(html.escape(name), html.escape(rows[name])) for name in rows))


def linear_reading(fitted: Fitted, columns: Columns, frame: Frame) -> dict[str, np.ndarray]:
    """Return the best linear prediction of codes from rows, and what it explains of each, by name."""
    exact, reading = fitted.network.linear_encoding(), fitted.reading
    if exact is not None:
        weight, shares = exact.weight.double().numpy(), np.ones(len(exact.weight))
    elif reading is not None:
        weight, shares = reading.weight.numpy(), reading.explained.numpy()
    else:
        return {}
    return {"components_": columns.slopes(weight / frame.scale), "linearity_": shares}

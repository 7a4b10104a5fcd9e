"""Comparison of reducers on rows that they were not fitted on."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skae._extras import import_extra
from skae._typing import Model, RandomState, Reducer, Table
from skae.compare import _checks
from skae.compare._downstream import target_of
from skae.compare._fold import Fold, Task, evaluate, fitted
from skae.compare._measures import columns
from skae.inspection._rows import n_rows, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType

    from pandas import DataFrame
    from sklearn.model_selection import BaseCrossValidator

__all__ = ["compare_reducers"]


def compare_reducers(
    reducers: Mapping[str, Reducer] | Sequence[Reducer | tuple[str, Reducer]],
    X: ArrayLike | Table,
    y: ArrayLike | None = None,
    *,
    cv: int | BaseCrossValidator | Iterable[Sequence[ArrayLike]] | None = None,
    preprocessing: Reducer | None = None,
    downstream: Model | str | Sequence[str] | Mapping[str, Model | str] | None = None,
    scoring: str | Callable[..., float] | None = None,
    n_neighbors: int | None = 10,
    max_rows: int = 2000,
    error_score: float | str = np.nan,
    n_jobs: int | None = None,
    random_state: RandomState = None,
) -> DataFrame:
    """Compare reducers on rows that they were not fitted on.

    All are fitted on the same training rows and measured on the same held-out rows, in the same
    units: those of X, or of the output of `preprocessing`. A Pipeline is measured as a whole, in the
    units of its input, whereas `skae.metrics.variance_explained` uses the input of its last step.

    Parameters
    ----------
    reducers : dict, or sequence of estimators or of tuples (name, estimator)
        Anything with `fit` and `transform`: PCA, autoencoders, Pipelines. They are cloned. Those without
        a name are named by their class and the size of the code: ``"PCA(3)"``.
    X : array-like of shape (n_samples, n_features)
        Rows; a DataFrame, also with text, if all reducers take it.
    y : array-like of shape (n_samples,), default=None
        Classes or numbers that codes are used to predict. Floats are numbers, unless there are only two of
        them; everything else is classes. Reducers whose `fit` takes y get it, too; those that are regressors,
        such as `PLSRegression`, get classes as columns of zeros and ones.
    cv : int, splitter or iterable of pairs (training, held_out), default=None
        Splits of the rows. A number of folds (None is 5) shuffles rows, and stratifies by classes.
        ``[(training, held_out)]`` is a single split, without standard deviations.
    preprocessing : transformer, default=None
        Fitted on the training rows of each split, and applied before every reducer, usually a
        StandardScaler. Reducers are measured in the units of its output.
    downstream : estimator, str, sequence of str or dict, default=None
        What predicts y from codes. None is ``("linear", "neighbors", "boosting")``, one or some of which may
        be named: a LogisticRegression or a Ridge after a StandardScaler; ten nearest neighbours, by the
        distances of the codes as they are; a HistGradientBoostingClassifier or
        HistGradientBoostingRegressor. Models of your own are passed as an estimator, or several by name in a
        dict.
    scoring : str or callable, default=None
        Scorer of all models in `downstream`, e.g. ``"balanced_accuracy"``. None takes ROC AUC for two
        classes, if all models give probabilities or a decision function, accuracy for more classes, and R2
        for numbers.
    n_neighbors : int, default=10
        Size of neighbourhoods. None leaves them out.
    max_rows : int, default=2000
        Maximum number of held-out rows of a split for the measures of neighbourhoods, drawn at random, the
        same for all reducers.
    error_score : "raise" or nan, default=nan
        What to do if a reducer, or a model on its codes, fails on a split: raise, or warn, write NaN into its
        row (of a model, into its cell) and the error into a further column, and go on with the others.
    n_jobs : int, default=None
        Number of parallel fits. Times are only comparable with one at a time.
    random_state : int, RandomState or None, default=None
        Source of the splits and of the rows drawn. Reducers have their own.

    Returns
    -------
    table : DataFrame
        One row for each reducer. Columns are `n_components`, the width of its codes; means over splits of
        `variance_explained`, `trustworthiness`, `continuity`, `downstream`, `fit_seconds`,
        `transform_seconds` of the held-out rows, and `size`, the bytes of the pickled fitted reducer; then
        their standard deviations over splits, with names that end in ``_std``. `downstream` is the score of
        the first model; each further one has a column ``downstream_NAME``, by default `downstream_neighbors`
        and `downstream_boosting`. NaN where nothing can be measured: variance with text or without
        `inverse_transform`, neighbourhoods with text or missing values, `downstream` without y. If a reducer
        failed, or a model on its codes, there is a further column, `error`: on which split and why, None for
        those that did not fail. ``table.attrs`` has ``"scoring"``, ``"downstream"``, the names of the models,
        and ``"n_splits"``.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If a reducer or a parameter has the wrong type.
    ValueError
        If parameters or data do not fit together; nothing is trained then.
    RuntimeError
        If a reducer or a model on its codes fails, and `error_score` is "raise".

    See Also
    --------
    ComparisonDisplay : A plot of the table.
    skae.metrics.variance_explained : A single figure, as a scorer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.compare import compare_reducers
    >>> X, y = load_iris(return_X_y=True)
    >>> table = compare_reducers([PCA(1), PCA(2)], X, y, random_state=0)
    >>> table[["variance_explained", "downstream"]].round(2)  # doctest: +NORMALIZE_WHITESPACE
             variance_explained  downstream
    reducer
    PCA(1)                 0.92        0.93
    PCA(2)                 0.98        0.96
    """
    pandas = import_extra("pandas", "pandas", "compare_reducers")
    named = _checks.named_reducers(reducers)
    X = _checks.checked_rows(X)
    labels = None if y is None else _checks.checked_target(y, n_rows(X))
    random = check_random_state(random_state)
    target = target_of(labels, downstream, scoring)
    splits = _checks.checked_splits(cv, X, labels, target.is_classes, random)
    _checks.check_neighbours(n_neighbors, max_rows, splits)
    task = Task(target, n_neighbors, int(max_rows), _raises(error_score))
    _check_preprocessing(preprocessing)
    folds = _folds(splits, X, labels, target.is_classes, preprocessing, random)
    found: Any = Parallel(n_jobs=n_jobs)(
        delayed(evaluate)(name, reducer, fold, X, labels, task) for name, reducer in named for fold in folds
    )
    by_reducer = np.array([list(one.measures.values()) for one in found]).reshape(len(named), len(folds), -1)
    models = [judge.name for judge in target.judges]
    table = _summary(pandas, [name for name, _ in named], columns(models), by_reducer)
    errors = np.array([one.error for one in found], dtype=object).reshape(len(named), len(folds))
    if any(one.error for one in found):
        said = [next(filter(None, row), None) for row in errors]
        table["error"] = pandas.Series(said, index=table.index, dtype=object)
    table.attrs.update(scoring=target.scoring, downstream=models, n_splits=len(folds))
    return table


def _raises(error_score: object) -> bool:
    if isinstance(error_score, str) and error_score == "raise":
        return True
    if isinstance(error_score, (float, np.floating)) and np.isnan(error_score):
        return False
    raise ValueError(f'error_score must be "raise" or nan; got {error_score!r}.')


def _check_preprocessing(preprocessing: object) -> None:
    is_one = not isinstance(preprocessing, type) and all(
        hasattr(preprocessing, method) for method in ("fit", "transform")
    )
    if preprocessing is not None and not is_one:
        raise TypeError(
            f"preprocessing must be a transformer with fit and transform, or None; got {preprocessing!r}. "
            "Pass e.g. StandardScaler()."
        )


def _folds(
    splits: list[_checks.Split],
    X: Table,
    y: np.ndarray | None,
    is_classes: bool,
    preprocessing: Reducer | None,
    random: np.random.RandomState,
) -> list[Fold]:
    """Fit preprocessing once for each split, so that units are the same for all, even of random ones."""
    folds = []
    for number, (training, held_out) in enumerate(splits, 1):
        before = None
        if preprocessing is not None:
            y_training = None if y is None else y[training]
            before, _ = fitted(preprocessing, take(X, training), y_training, is_classes)
        seed = random.randint(np.iinfo(np.int32).max)
        folds.append(Fold(training, held_out, f"split {number} of {len(splits)}", before, seed))
    return folds


def _summary(pandas: ModuleType, names: list[str], measures: list[str], found: np.ndarray) -> DataFrame:
    """Return the table of means and deviations from an array (n_reducers, n_splits, 1 + n_measures)."""
    means = found.mean(axis=1)
    with warnings.catch_warnings():
        # A single split has no spread, which NaN says well enough.
        warnings.simplefilter("ignore", RuntimeWarning)
        spreads = found.std(axis=1, ddof=1)
    index = pandas.Index(names, name="reducer")
    widths = means[:, 0]
    is_whole = bool(np.all(widths == np.round(widths)))
    cells: dict[str, np.ndarray] = {"n_components": widths.astype(int) if is_whole else widths}
    cells.update(zip(measures, means.T[1:], strict=True))
    cells.update(zip((f"{name}_std" for name in measures), spreads.T[1:], strict=True))
    return pandas.DataFrame(cells, index=index)

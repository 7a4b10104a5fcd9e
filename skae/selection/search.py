"""scikit-learn's searches, with all candidates and folds trained together."""

from __future__ import annotations

from types import FunctionType

from sklearn.callback import CallbackContext
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skae.selection._tasks import replace_parallel
from skae.selection._waves import StackedRuns


class StackedGridSearchCV(GridSearchCV):
    """Search a grid, and train the networks of all candidates and folds together.

    A `GridSearchCV` with the same parameters, results and attributes, for autoencoders alone and inside of
    other estimators.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, or what holds some: see the notes.
    param_grid : dict or list of dict
        Names of parameters and the values to try; of a list of dicts, each is a grid.
    scoring : str, callable, list, tuple or dict, default=None
        One or several scores of test rows. None is the estimator's own `score`, which is the share of
        variance explained for an autoencoder.
    n_jobs : int, default=None
        Number of processes that stacks are spread over, and what stands behind with its scores. None is 1
        unless in a `joblib.parallel_config` context, -1 all processors.
    refit : bool, str or callable, default=True
        Whether the best candidate is fitted to all rows. With several scores the name of the one that
        decides; a function of `cv_results_` returns the index of the best candidate.
    cv : int, cross-validation generator or iterable, default=None
        The folds. None is five.
    verbose : int, default=0
        How much is printed: from 1 on the number of fits, from 2 on each evaluation, from 3 on its scores,
        from 10 on where it starts. Times in these lines leave out what was fitted before, unlike those in
        `cv_results_`.
    pre_dispatch : int or str, default='2*n_jobs'
        How many evaluations are sent to processes beforehand.
    error_score : 'raise' or float, default=nan
        Score of a candidate that cannot be fitted or scored, with a `FitFailedWarning`; the others are
        trained all the same. 'raise' raises the error.
    return_train_score : bool, default=False
        Whether training rows are scored, too.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        Parameters, scores and times of all candidates, with the keys of scikit-learn. The time of a step or
        a stack is divided among the evaluations that use it.
    best_estimator_ : estimator
        The best candidate, fitted to all rows; with `refit` only.
    best_score_ : float
        Its mean score on the test rows of the folds.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its index in `cv_results_`.
    scorer_ : callable or dict of callable
        The scores.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the fit to all rows.
    multimetric_ : bool
        Whether there are several scores.

    See Also
    --------
    StackedRandomizedSearchCV : Candidates that are drawn.

    Notes
    -----
    Autoencoders are found as the estimator itself, and inside of `Pipeline`, `ColumnTransformer` and
    `FeatureUnion`, also of one another. Steps that are fitted before one of them, or beside it, are fitted
    once for each fold and each setting of their parameters and of those before them, and so are
    autoencoders: candidates that differ behind have the same codes. With ``random_state=None`` they are the
    same draw, where scikit-learn would draw for each candidate.

    All others are fitted as by scikit-learn, one by one: candidates without an autoencoder, or with one in
    any other place (such as in a `TransformedTargetRegressor`, a task of `skae.tasks`, or a subclass of
    `Pipeline`), and estimators whose steps have callbacks. Callbacks of the search hear of each evaluation
    and its steps, and of no epochs. A `memory` keeps steps in front, and neither autoencoders nor what
    stands behind.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> from skae import AutoencoderTransformer
    >>> from skae.selection import StackedGridSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> pipe = Pipeline(
    ...     [
    ...         ("codes", AutoencoderTransformer(max_iter=2, random_state=0)),
    ...         ("digit", LogisticRegression(max_iter=2000)),
    ...     ]
    ... )
    >>> search = StackedGridSearchCV(pipe, {"codes__n_components": [2, 16], "digit__C": [0.1, 1.0]}, cv=2)
    >>> search.fit(X, y).best_params_["codes__n_components"]
    16
    """

    def _run_search(
        self, evaluate_candidates: FunctionType, *, callback_ctx: CallbackContext | None = None
    ) -> None:
        replace_parallel(evaluate_candidates, StackedRuns)
        super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)


class StackedRandomizedSearchCV(RandomizedSearchCV):
    """Search candidates that are drawn, and train their networks on all folds together.

    A `RandomizedSearchCV` with the same parameters, results and attributes, for autoencoders alone and inside
    of other estimators.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, or what holds some: see the notes.
    param_distributions : dict or list of dict
        Names of parameters, with distributions (of `scipy.stats`, say) or lists to draw from.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        One or several scores of test rows. None is the estimator's own `score`, which is the share of
        variance explained for an autoencoder.
    n_jobs : int, default=None
        Number of processes that stacks are spread over, and what stands behind with its scores. None is 1
        unless in a `joblib.parallel_config` context, -1 all processors.
    refit : bool, str or callable, default=True
        Whether the best candidate is fitted to all rows. With several scores the name of the one that
        decides; a function of `cv_results_` returns the index of the best candidate.
    cv : int, cross-validation generator or iterable, default=None
        The folds. None is five.
    verbose : int, default=0
        How much is printed: from 1 on the number of fits, from 2 on each evaluation, from 3 on its scores,
        from 10 on where it starts. Times in these lines leave out what was fitted before, unlike those in
        `cv_results_`.
    pre_dispatch : int or str, default='2*n_jobs'
        How many evaluations are sent to processes beforehand.
    random_state : int, RandomState instance or None, default=None
        Source of the candidates.
    error_score : 'raise' or float, default=nan
        Score of a candidate that cannot be fitted or scored, with a `FitFailedWarning`; the others are
        trained all the same. 'raise' raises the error.
    return_train_score : bool, default=False
        Whether training rows are scored, too.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        Parameters, scores and times of all candidates, with the keys of scikit-learn. The time of a step or
        a stack is divided among the evaluations that use it.
    best_estimator_ : estimator
        The best candidate, fitted to all rows; with `refit` only.
    best_score_ : float
        Its mean score on the test rows of the folds.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its index in `cv_results_`.
    scorer_ : callable or dict of callable
        The scores.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the fit to all rows.
    multimetric_ : bool
        Whether there are several scores.

    See Also
    --------
    StackedGridSearchCV : All candidates of a grid.

    Notes
    -----
    What is trained together, and what is left to scikit-learn, is said at `StackedGridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.selection import StackedRandomizedSearchCV
    >>> X, _ = load_digits(return_X_y=True)
    >>> search = StackedRandomizedSearchCV(
    ...     AutoencoderTransformer(8, max_iter=2, random_state=0),
    ...     {"weight_decay": loguniform(1e-3, 1.0)},
    ...     n_iter=3,
    ...     cv=2,
    ...     random_state=0,
    ... )
    >>> f"{search.fit(X).best_score_:.1f}"
    '0.7'
    """

    def _run_search(
        self, evaluate_candidates: FunctionType, *, callback_ctx: CallbackContext | None = None
    ) -> None:
        replace_parallel(evaluate_candidates, StackedRuns)
        super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)

"""What callbacks hear of a stacked search."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.selection import StackedGridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
GRID = {"codes__n_components": [1, 2]}


def name_of(estimator):
    return type(estimator).__name__.removeprefix("Stacked")


class Recorder:
    """Keeps the tasks that begin and end."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", name_of(estimator), context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", name_of(estimator), context.task_name, context.task_id))


class Propagated(Recorder):
    """Hears of the tasks of steps, too."""

    max_propagation_depth = None


@pytest.fixture
def table():
    random = np.random.RandomState(0)
    X = random.standard_normal((60, 3)) @ random.standard_normal((3, 5)) + 1
    return X, (X[:, 0] > 1).astype(int)


def coder(**settings):
    return AutoencoderTransformer(
        1, max_iter=2, early_stopping=False, hidden_layer_sizes=(4,), random_state=0, **settings
    )


def pipeline():
    return Pipeline([("scale", StandardScaler()), ("codes", coder()), ("rain", LogisticRegression())])


def searched(callback, table, estimator=None, grid=GRID, kind=StackedGridSearchCV, **settings):
    search = kind(pipeline() if estimator is None else estimator, grid, cv=2, error_score="raise", **settings)
    search.set_callbacks(callback).fit(*table)
    return search


def test_a_callback_of_the_search_hears_what_scikit_learn_tells_it(table, handed_over):
    told = []
    for kind in (GridSearchCV, StackedGridSearchCV):
        recorder = Recorder()
        searched(recorder, table, kind=kind)
        told.append(recorder.events)
        assert recorder.events[0] == "setup"
        assert recorder.events[-1] == "teardown"
    assert sorted(map(str, told[0])) == sorted(map(str, told[1]))
    assert handed_over == [4]


@pytest.mark.filterwarnings("ignore:The estimator")
def test_steps_are_told_of_and_epochs_only_of_the_last_fit(table, handed_over):
    told = {}
    for kind in (GridSearchCV, StackedGridSearchCV):
        recorder = Propagated()
        searched(recorder, table, kind=kind)
        told[kind] = recorder.events
    without = [event for event in told[GridSearchCV] if "epoch" not in event]
    stacked = [event for event in told[StackedGridSearchCV] if "epoch" not in event]
    assert sorted(map(str, without)) == sorted(map(str, stacked))
    n_epochs = [sum("epoch" in event for event in events) for events in told.values()]
    # Four evaluations and the final fit, of two epochs that begin and end.
    assert n_epochs == [5 * 4, 4]
    assert handed_over == [4]


def test_an_autoencoder_alone(table, handed_over):
    told = {}
    for kind in (GridSearchCV, StackedGridSearchCV):
        recorder = Propagated()
        searched(recorder, table[:1], coder(), {"n_components": [1, 2]}, kind)
        told[kind] = [event for event in recorder.events if "epoch" not in event]
    assert sorted(map(str, told[GridSearchCV])) == sorted(map(str, told[StackedGridSearchCV]))
    assert handed_over == [4]


@pytest.mark.filterwarnings("ignore:The estimator")
# Processes of callbacks take long to start.
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_progress_bars(table, n_jobs):
    pytest.importorskip("rich")
    search = searched(ProgressBar(), table, n_jobs=n_jobs)
    assert search.best_score_ > 0.5


@pytest.mark.filterwarnings("ignore:The estimator")
def test_scores_that_are_monitored(table, handed_over):
    monitor = ScoringMonitor(scoring={"score": lambda model, X, y=None: float(model.transform(X).shape[1])})
    searched(monitor, table[:1], coder(), {"n_components": [1, 2]})
    assert handed_over == [4]


def test_steps_with_callbacks_of_their_own_are_left_to_scikit_learn(table, handed_over):
    recorder = Recorder()
    pipe = pipeline()
    pipe["codes"].set_callbacks(recorder)
    StackedGridSearchCV(pipe, GRID, cv=2, refit=False, error_score="raise").fit(*table)
    assert handed_over == []
    assert recorder.events.count("setup") == recorder.events.count("teardown") == 4
    assert sum("epoch" in event for event in recorder.events) == 4 * 4

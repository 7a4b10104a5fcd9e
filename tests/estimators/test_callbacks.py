"""scikit-learn's callbacks, alone, in a Pipeline and in a search."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import variance_explained

SCORES = {"score": variance_explained}


class Recorder:
    """Keeps what it is told, and stops when asked to."""

    def __init__(self, stop_after=None):
        self.events, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.events.append(("end", context.task_name))
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X))
        return self.stop_after is not None and len(self.scores) >= self.stop_after


def model(**settings):
    return AutoencoderTransformer(
        2, **({"max_iter": 4, "validation_fraction": 0.2, "random_state": 0} | settings)
    )


def test_each_epoch_is_a_task(curve):
    recorder = Recorder()
    fitted = model().set_callbacks(recorder).fit(curve)
    assert recorder.events[:2] == ["setup", ("begin", "fit")]
    assert recorder.events[-2:] == [("end", "fit"), "teardown"]
    assert recorder.events.count(("begin", "epoch")) == recorder.events.count(("end", "epoch")) == 4
    # one score an epoch, the last for the weights that were kept
    assert len(recorder.scores) == 5
    assert recorder.scores[-1] == pytest.approx(fitted.score(curve))


def test_a_callback_may_stop_the_fit(curve):
    recorder = Recorder(stop_after=2)
    assert model().set_callbacks(recorder).fit(curve).n_iter_ == 2
    assert recorder.events.count(("begin", "epoch")) == recorder.events.count(("end", "epoch"))


def test_what_a_callback_sees_does_not_move_on(curve):
    seen = []

    class Keeper(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if fitted_estimator is not None:
                seen.append((fitted_estimator, fitted_estimator.transform(X[:3])))

    model().set_callbacks(Keeper()).fit(curve)
    assert all(np.array_equal(estimator.transform(curve[:3]), codes) for estimator, codes in seen)


def test_small_tables_report_the_final_training(curve):
    recorder = Recorder()
    fitted = model(validation_fraction="auto", max_iter=30).set_callbacks(recorder).fit(curve)
    assert len(recorder.scores) == fitted.best_iter_ + 1


def test_a_failed_fit_tears_down(curve):
    recorder = Recorder()
    with pytest.raises(ValueError, match="infinity"):
        model().set_callbacks(recorder).fit(np.full_like(curve, np.inf))
    assert recorder.events in ([], ["setup", "teardown"])


@pytest.mark.parametrize("y", [None, np.zeros(500)])
def test_scoring_monitor(curve, y):
    monitor = ScoringMonitor(scoring=SCORES)
    fitted = model().set_callbacks(monitor).fit(curve, y)
    log = monitor.get_logs()
    scores = [row["score"] for row in log.data if row.get("task_name") == "epoch"]
    assert len(scores) == 4
    # Callbacks see the network as it is trained; at the end, its last layer is solved for.
    assert fitted.score(curve) >= max(scores) - 1e-9


def test_progress_bar_alone_in_a_pipeline_and_in_a_search(curve, capsys, monkeypatch):
    pytest.importorskip("rich")
    # Wide enough that no name is cut.
    monkeypatch.setenv("COLUMNS", "200")

    def bars(estimator):
        estimator.set_callbacks(ProgressBar()).fit(curve)
        return [
            line for line in capsys.readouterr().out.splitlines() if "AutoencoderTransformer - fit" in line
        ]

    (alone,) = bars(model())
    (in_pipeline,) = bars(make_pipeline(StandardScaler(), model()))
    # Two candidates in two folds, and the best one again.
    in_search = bars(GridSearchCV(model(), {"n_components": [1, 2]}, cv=2))
    assert len(in_search) == 5
    assert all("100%" in line for line in (alone, in_pipeline, *in_search))


def test_monitor_in_a_pipeline_and_in_a_search(curve):
    monitor = ScoringMonitor(scoring=SCORES)
    make_pipeline(StandardScaler(), model().set_callbacks(monitor)).fit(curve)
    assert len([row for row in monitor.get_logs().data if row["task_name"] == "epoch"]) == 4
    monitor = ScoringMonitor(scoring=SCORES)
    GridSearchCV(model().set_callbacks(monitor), {"n_components": [1, 2]}, cv=2).fit(curve)
    logs = monitor.get_logs(select="all")
    assert logs

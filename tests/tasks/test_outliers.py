"""Outliers: found among clean and among contaminated rows, explained by column, with p-values that hold."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score

import skae
from skae.tasks import AutoencoderOutlierDetector


@pytest.fixture(scope="module")
def rows():
    """1,000 rows of 5 columns near a curve, in units that differ by a factor of a thousand."""
    random = np.random.RandomState(0)
    angle = random.uniform(0, 3, 1000)
    X = np.column_stack([np.cos(angle), np.sin(angle), angle, angle**2, np.cos(2 * angle)])
    return (X + 0.05 * random.standard_normal(X.shape)) * [1, 10, 100, 1000, 1]


@pytest.fixture(scope="module")
def odd(rows):
    """100 rows whose columns each come from another row: usual by themselves, odd together."""
    random = np.random.RandomState(1)
    return np.column_stack([random.permutation(column)[:100] for column in rows.T])


@pytest.fixture(scope="module")
def detector(rows):
    return AutoencoderOutlierDetector(n_estimators=4, n_refits=0, random_state=0).fit(rows[:700])


def truth(usual, odd):
    return np.r_[np.ones(len(usual)), np.zeros(len(odd))]


def test_rows_that_do_not_hang_together_are_found(detector, rows, odd):
    tested = np.vstack([rows[700:], odd])
    assert roc_auc_score(truth(rows[700:], odd), detector.score_samples(tested)) > 0.9
    labels = detector.predict(tested)
    np.testing.assert_array_equal(labels, np.where(detector.decision_function(tested) < 0, -1, 1))
    assert (labels[:300] == 1).mean() > 0.85
    assert (labels[300:] == -1).mean() > 0.6


def test_outliers_do_not_teach_the_model(rows):
    """A cluster of odd rows among the training rows is found by the model that has gone on without it."""
    random = np.random.RandomState(0)
    away = np.array([2, 2, -2, 1, 2]) + 0.1 * random.standard_normal((100, 5))
    cluster = rows.mean(axis=0) + rows.std(axis=0) * away
    X = np.vstack([rows, cluster])
    inside = skae.AutoencoderTransformer(1, scaling="standard", max_iter=30, validation_fraction=0.2)
    found = []
    for n_refits in (0, 2):
        detector = AutoencoderOutlierDetector(
            inside, n_estimators=2, max_samples="all", n_refits=n_refits, random_state=0
        )
        found.append(roc_auc_score(truth(rows, cluster), detector.fit(X).score_samples(X)))
    assert found[0] < 0.95 < 0.99 < found[1]


@pytest.mark.parametrize("contamination", [0.02, 0.2])
def test_contamination_is_the_share_of_training_rows_told(rows, contamination):
    detector = AutoencoderOutlierDetector(n_estimators=1, contamination=contamination, random_state=0)
    assert (detector.fit_predict(rows) == -1).mean() == pytest.approx(contamination, abs=2e-3)
    np.testing.assert_allclose(
        detector.decision_function(rows), detector.score_samples(rows) - detector.offset_
    )


def test_p_values_hold(detector, rows, odd):
    """At most a share p of usual rows has values of at most p; 300 rows wobble by their binomial spread."""
    p = detector.p_values(rows[700:])
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p <= level).mean() < level + 3 * np.sqrt(level * (1 - level) * (1 / 300 + 1 / 140))
    assert p.min() >= 1 / 141
    assert np.median(detector.p_values(odd)) < 0.05


def test_the_odd_column_is_named_in_its_units(detector, rows):
    frame = pd.DataFrame(rows[700:720], columns=list("abcde"), index=range(100, 120))
    changed = frame.assign(c=frame["c"] + 300)
    found = detector.feature_contributions(changed.to_numpy(), units="deviations")
    assert (found.abs().to_numpy().argmax(axis=1) == 2).mean() > 0.9
    named = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(
        pd.DataFrame(rows, columns=list("abcde"))
    )
    told = named.feature_contributions(changed)
    assert list(told.columns) == list("abcde")
    assert list(told.index) == list(range(100, 120))
    # 300 too much, beside what is left to chance: 5 to each side.
    assert told["c"].median() == pytest.approx(300, abs=60)


def test_gaps_are_no_reason_to_be_odd(detector, rows, odd):
    random = np.random.RandomState(0)
    tested = np.vstack([rows[700:], odd])
    gaps = np.where(random.uniform(size=tested.shape) < 0.1, np.nan, tested)
    assert roc_auc_score(truth(rows[700:], odd), detector.score_samples(gaps)) > 0.8
    assert (detector.predict(gaps[:300]) == 1).mean() > 0.75
    told = detector.feature_contributions(gaps)
    np.testing.assert_array_equal(told.isna(), np.isnan(gaps))


def test_tables_with_text_have_outliers_too():
    random = np.random.RandomState(0)
    warm = random.uniform(size=500) < 0.5
    frame = pd.DataFrame(
        {
            "town": np.where(warm, "Rome", "Oslo"),
            "degrees": np.where(warm, 25.0, 5.0) + random.normal(0, 2, 500),
            "visits": random.poisson(np.where(warm, 9, 2)),
        }
    )
    brief = {"max_iter": 60, "validation_fraction": 0.2}
    inside = skae.AutoencoderTransformer(1, column_types={"visits": "count"}, **brief)
    detector = AutoencoderOutlierDetector(inside, n_estimators=2, random_state=0).fit(frame)
    odd = pd.DataFrame({"town": ["Oslo"] * 3, "degrees": [27.0, 25.0, 26.0], "visits": [10, 9, 8]})
    assert (detector.predict(odd) == -1).all()
    told = detector.feature_contributions(odd)
    assert list(told.columns) == ["town", "degrees", "visits"]
    assert told["town"].between(0, 1).all()


@pytest.mark.filterwarnings("ignore:No row has a value")
def test_a_column_without_any_value_is_no_reason_to_be_odd(rows):
    frame = pd.DataFrame(rows[:200], columns=list("abcde")).assign(f=np.nan)
    detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(frame)
    scores = detector.score_samples(frame)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(detector.score_samples(frame.assign(f=1e6)), scores)
    assert detector.feature_contributions(frame)["f"].isna().all()


@pytest.mark.parametrize("cls", [skae.VariationalAutoencoderTransformer, skae.SparseAutoencoderTransformer])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_any_autoencoder_may_stand_inside(cls, rows, odd):
    inside = cls(4, scaling="standard", max_iter=30, validation_fraction=0.2)
    detector = AutoencoderOutlierDetector(inside, n_estimators=2, random_state=0).fit(rows[:700])
    tested = np.vstack([rows[700:], odd])
    assert roc_auc_score(truth(rows[700:], odd), detector.score_samples(tested)) > 0.75


def test_the_same_seed_gives_the_same_scores(rows):
    first, second = (
        AutoencoderOutlierDetector(n_estimators=2, random_state=3).fit(rows).score_samples(rows[:50])
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_units_that_are_not_known_are_refused(detector, rows):
    with pytest.raises(ValueError, match="units must be"):
        detector.feature_contributions(rows, units="metres")


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_container_for_all_outputs_changes_no_score(rows, container):
    detector = AutoencoderOutlierDetector(n_estimators=1, n_refits=0, random_state=0)
    usual = detector.fit(rows[:100]).score_samples(rows[:10])
    with config_context(transform_output=container):
        found = detector.fit(rows[:100]).score_samples(rows[:10])
    np.testing.assert_array_equal(found, usual)


BRIEF = skae.AutoencoderTransformer(1, scaling="standard", max_iter=2, validation_fraction=0.2)
SMALLEST = {"n_estimators": 2, "n_refits": 0, "random_state": 0}


def test_rows_between_clusters_are_found():
    random = np.random.RandomState(0)
    usual, _ = make_blobs(600, centers=[[2, 2], [-2, -2]], cluster_std=0.3, random_state=0)
    between = random.uniform(-1, 1, size=(100, 2))
    detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(usual[:400])
    found = detector.score_samples(np.vstack([usual[400:], between]))
    assert roc_auc_score(truth(usual[400:], between), found) > 0.98


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_what_cannot_be_computed_is_odd(loss, dtype, rows):
    X = np.abs(rows[:200, :3]).astype(dtype)
    inside = clone(BRIEF).set_params(loss=loss, scaling="none")
    detector = AutoencoderOutlierDetector(inside, **SMALLEST).fit(X)
    absurd = X[:4].copy()
    most = np.finfo(dtype).max
    absurd[0, 0], absurd[1], absurd[2, 1], absurd[3] = most, -most, 1e30, np.nan
    tested = np.vstack([absurd, X])
    scores = detector.score_samples(tested)
    assert np.isfinite(scores).all()
    assert scores[:4].max() < scores[4:].min()
    assert (detector.predict(absurd) == -1).all()
    np.testing.assert_allclose(detector.p_values(absurd), 1 / (1 + len(detector.calibration_scores_)))
    np.testing.assert_allclose(scores[4:], detector.score_samples(X), rtol=1e-4, atol=1e-5)
    told = detector.feature_contributions(absurd).to_numpy()
    assert np.isfinite(told[:3]).all()


def test_categories_that_training_has_not_seen_are_odd():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"town": random.choice(["Rome", "Oslo"], 100), "size": random.normal(size=100)})
    # A rare one: members that do not see it call it odd, and none is told NaN.
    frame.loc[[0, 1, 2], "town"] = "Bern"
    detector = AutoencoderOutlierDetector(BRIEF, max_samples=20, **SMALLEST).fit(frame)
    new = frame[3:5].assign(town="Lima", size=0.0)
    scores, usual = detector.score_samples(new), detector.score_samples(frame[3:])
    assert scores.max() < usual.min()
    assert (detector.predict(new) == -1).all()
    assert (detector.p_values(new) == 1 / (1 + len(detector.calibration_scores_))).all()
    assert (detector.feature_contributions(new)["town"] == 1).all()
    assert np.median(detector.score_samples(frame[:3])) < np.median(usual)
    assert detector.feature_contributions(frame)["town"].between(0, 1).all()
    gaps = frame[3:5].assign(town=None)
    assert detector.score_samples(gaps).min() > scores.max()


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_rows_are_as_dense_ones(form, rows):
    X = np.where(rows[:120] > 0, rows[:120], 0.0)
    sparse = getattr(scipy.sparse, form)(X)
    first = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(X).score_samples(X)
    detector = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(sparse)
    np.testing.assert_array_equal(detector.score_samples(sparse), first)
    np.testing.assert_array_equal(detector.score_samples(X), first)


def test_wide_sparse_rows_are_never_made_dense(monkeypatch):
    random = np.random.RandomState(0)
    usual = scipy.sparse.random_array((120, 5000), density=0.01, rng=random, format="csr")
    usual.data[:] = 1.0
    odd = scipy.sparse.random_array((5, 5000), density=0.2, rng=random, format="csr")
    monkeypatch.setattr(scipy.sparse.csr_array, "toarray", lambda *args, **kwargs: pytest.fail("dense"))
    detector = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(usual)
    assert detector.score_samples(odd).max() < detector.score_samples(usual).min()
    assert (detector.predict(odd) == -1).all()
    with pytest.raises(ValueError, match="more than 256 columns"):
        detector.feature_contributions(odd)


def test_whole_weights_count_like_repeated_rows(rows):
    """On a handful of rows nothing is drawn or held out, and both fits agree."""
    X, weight = rows[:15], np.random.RandomState(0).randint(0, 2, 15)
    settings = {"n_refits": 1, "n_estimators": 1, "max_samples": "all", "random_state": 0}
    inside = skae.AutoencoderTransformer(1, max_iter=2, early_stopping=True)
    weighted = AutoencoderOutlierDetector(inside, **settings).fit(X, sample_weight=weight)
    repeated = AutoencoderOutlierDetector(inside, **settings).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-6)
    assert weighted.offset_ == pytest.approx(repeated.offset_)
    np.testing.assert_allclose(weighted.p_values(X), repeated.p_values(X))


def test_weights_move_what_is_usual():
    random = np.random.RandomState(0)
    first, second = random.normal(size=(100, 2)), 6 + random.normal(size=(100, 2))
    X, weight = np.vstack([first, second]), np.repeat([1.0, 0.001], 100)
    scores = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(X, sample_weight=weight).score_samples(X)
    assert scores[100:].mean() < scores[:100].mean() - 1
    with pytest.raises(ValueError, match="non-zero"):
        AutoencoderOutlierDetector(BRIEF).fit(X, sample_weight=np.zeros(200))


def test_metadata_is_routed_to_the_members(rows):
    X, weight = rows[:60], np.ones(60)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(X, clean=X)
    inside = skae.DenoisingAutoencoderTransformer(1, max_iter=2, validation_fraction=0.2)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="clean"):
            AutoencoderOutlierDetector(inside, **SMALLEST).fit(X, clean=X)
        asking = clone(inside).set_fit_request(clean=True, sample_weight=False)
        detector = AutoencoderOutlierDetector(asking, **SMALLEST).set_fit_request(sample_weight=True)
        detector.fit(X, sample_weight=weight, clean=X)
        # The default model asks for weights itself.
        AutoencoderOutlierDetector(n_estimators=1, n_refits=0).fit(X, sample_weight=weight)
    # Each member was passed its own rows of what is clean, and corrupts nothing.
    assert all(model.objective_.corruption is None for model in detector.estimators_)


class Listener:
    """A callback that counts."""

    max_propagation_depth = None

    def __init__(self):
        self.tasks = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def on_fit_task_begin(self, estimator, context, **data):
        pass

    def on_fit_task_end(self, estimator, context, **data):
        self.tasks.append(f"{type(estimator).__name__[:20]} {context.task_name}")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")


def test_callbacks_hear_of_members_and_of_their_epochs(rows):
    listener = Listener()
    AutoencoderOutlierDetector(BRIEF, **SMALLEST).set_callbacks(listener).fit(rows[:60])
    assert listener.tasks[0] == "setup"
    assert listener.tasks[-1] == "teardown"
    counts = {task: listener.tasks.count(task) for task in listener.tasks}
    assert counts["AutoencoderOutlierDe member"] == counts["AutoencoderTransform fit"] == 2
    assert counts["AutoencoderTransform epoch"] == 4
    assert counts["setup"] == counts["teardown"] == counts["AutoencoderOutlierDe fit"] == 1


def test_the_numbers_are_the_same_for_every_n_jobs(rows):
    first, second = (
        AutoencoderOutlierDetector(BRIEF, n_jobs=n_jobs, **SMALLEST).fit(rows[:60]).score_samples(rows[:20])
        for n_jobs in (None, 2)
    )
    # Members are trained side by side, as many as fall to a process: equal but for rounding.
    np.testing.assert_allclose(first, second, rtol=1e-9)


def test_a_warm_start_adds_members(rows):
    detector = AutoencoderOutlierDetector(BRIEF, warm_start=True, **SMALLEST).fit(rows[:60])
    before = detector.estimators_
    detector.set_params(n_estimators=3).fit(rows[:60])
    assert [model is kept for model, kept in zip(detector.estimators_, before, strict=False)] == [True, True]
    whole = AutoencoderOutlierDetector(BRIEF, **{**SMALLEST, "n_estimators": 3}).fit(rows[:60])
    np.testing.assert_allclose(detector.score_samples(rows), whole.score_samples(rows), rtol=1e-9, atol=1e-9)
    with pytest.warns(UserWarning, match="does not fit new members"):
        detector.fit(rows[:60])
    with pytest.raises(ValueError, match="n_estimators=1 must be larger or equal"):
        detector.set_params(n_estimators=1).fit(rows[:60])


def test_how_many_rows_a_member_sees(rows):
    def seen(n_rows, **settings):
        return AutoencoderOutlierDetector(BRIEF, **SMALLEST, **settings).fit(rows[:n_rows]).max_samples_

    assert seen(100) == seen(100, max_samples="all") == 80
    assert seen(100, max_samples="all", calibration_fraction=0) == 100
    assert seen(400) == 256
    assert seen(100, max_samples=0.5) == 40
    assert seen(100, max_samples=1.0) == 80
    with pytest.warns(UserWarning, match="max_samples will be set to n_samples"):
        assert seen(100, max_samples=101) == 80
    with pytest.raises(ValueError, match=r"'max_samples' .* an int in the range \[2, inf\).* Got 1 instead"):
        seen(100, max_samples=1)


def test_rows_that_are_all_alike_are_usual():
    detector = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(np.ones((60, 3)))
    assert (detector.predict(np.ones((5, 3))) == 1).all()
    assert (detector.predict(np.full((5, 3), 9.0)) == -1).all()


@pytest.mark.parametrize("value", [1e200, -1.7e308])
@pytest.mark.parametrize("seed", range(4))
def test_a_training_row_that_cannot_be_computed_is_odd_whatever_the_seed(seed, value):
    # Every member is shown the row.
    X = np.random.default_rng(0).normal(size=(100, 4))
    X[7, 1] = value
    settings = {"n_estimators": 2, "calibration_fraction": 0.0, "random_state": seed}
    detector = AutoencoderOutlierDetector(**settings).fit(X)
    scores = detector.score_samples(X)
    assert scores.argmin() == 7
    assert np.isfinite(scores).all()
    assert detector.predict(X[7:8]) == -1


def test_contributions_of_the_largest_numbers_of_single_precision_are_finite(rows):
    X = (0.01 * rows[:100]).astype(np.float32)
    detector = AutoencoderOutlierDetector(clone(BRIEF).set_params(scaling="standard"), **SMALLEST).fit(X)
    absurd = X[:2].copy()
    absurd[0, 1] = 3.3e38
    told = detector.feature_contributions(absurd).to_numpy()
    assert np.isfinite(told).all()
    assert np.abs(told[0]).argmax() == 1
    np.testing.assert_allclose(told[1], detector.feature_contributions(X[1:2]).to_numpy()[0], rtol=1e-5)


@pytest.mark.parametrize(("dtype", "value"), [(np.float64, 1e200), (np.float32, 3e38)])
@pytest.mark.parametrize("n_columns", [8, 600])
def test_sparse_rows_of_large_numbers_are_odd(n_columns, dtype, value):
    random = np.random.default_rng(0)
    X = np.where(random.random((60, n_columns)) < 0.3, random.normal(size=(60, n_columns)), 0.0)
    usual = scipy.sparse.csr_array(X.astype(dtype))
    absurd = scipy.sparse.csr_array(np.full((1, n_columns), value, dtype=dtype))
    detector = AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(usual)
    assert detector.predict(absurd) == -1
    assert detector.score_samples(absurd)[0] < detector.score_samples(usual).min()
    assert absurd.max() == dtype(value)
    both = scipy.sparse.vstack([usual, absurd]).tocsr()
    assert AutoencoderOutlierDetector(BRIEF, **SMALLEST).fit(both).score_samples(both).argmin() == 60


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("unit", [1e20, 1e37])
def test_large_units_of_float32_change_nothing(unit):
    random = np.random.RandomState(0)
    X = random.standard_normal((60, 2)) @ random.standard_normal((2, 5))
    detector = AutoencoderOutlierDetector(
        skae.AutoencoderTransformer(1, max_iter=2, random_state=0), n_estimators=1, random_state=0
    )
    expected = detector.fit(X.astype(np.float32)).score_samples(X.astype(np.float32))
    found = detector.fit((X * unit).astype(np.float32)).score_samples((X * unit).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)

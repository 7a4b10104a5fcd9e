"""Outliers: found among clean and among contaminated rows, explained by column, with p-values that hold."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
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

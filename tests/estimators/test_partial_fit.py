"""Streams: what `partial_fit` keeps between its calls, what it leaves, and what it warns of."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA, IncrementalPCA

import skae
from skae.data import running
from skae.metrics import variance_explained

KIND = np.array(["red", "green"], dtype=object)


def curved(n_rows, seed, noise=0.1):
    """Sines of four hidden numbers."""
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(0).standard_normal((4, 10))
    return np.sin(random.uniform(-2, 2, (n_rows, 4)) @ weights) + noise * random.standard_normal((n_rows, 10))


def parts(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def learnt(rows, size, **settings):
    model = skae.AutoencoderTransformer(4, random_state=0, **settings)
    for part in parts(rows, size):
        model.partial_fit(part)
    return model


def test_a_stream_is_explained_better_than_by_pca_of_all_rows():
    rows, new = curved(40_000, 1), curved(2_000, 2)
    rival = IncrementalPCA(4)
    for part in parts(rows, 1000):
        rival.partial_fit(part)
    pca = variance_explained(PCA(4).fit(rows), new)
    assert abs(variance_explained(rival, new) - pca) < 0.01
    assert learnt(rows, 1000).score(new) > pca + 0.05


@pytest.mark.parametrize("has_gaps", [False, True])
def test_mean_and_scale_are_those_of_all_rows(has_gaps):
    rows = 3 * curved(900, 0) + 100
    if has_gaps:
        rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    model = learnt(rows, 300)
    mean = np.nanmean(rows, axis=0)
    np.testing.assert_allclose(model.mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(model.scale_, np.sqrt(np.nanmean((rows - mean) ** 2)), rtol=1e-9)
    np.testing.assert_allclose(model.encoder_.centre, mean, rtol=1e-12)
    assert model.n_samples_ == 900


def test_whole_weights_count_as_repetitions_in_mean_and_scale():
    rows, weight = curved(900, 0), np.random.default_rng(0).integers(0, 3, 900)
    model = skae.AutoencoderTransformer(4, random_state=0)
    for some, own in zip(parts(rows, 300), parts(weight, 300), strict=True):
        model.partial_fit(some, sample_weight=own)
    repeated = np.repeat(rows, weight, axis=0)
    np.testing.assert_allclose(model.mean_, repeated.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.scale_, np.sqrt(repeated.var(axis=0).mean()), rtol=1e-9)


def test_a_first_part_that_hardly_varies_is_no_harm():
    """The scale grows a thousandfold, and the network with it."""
    rows = curved(20_000, 1)
    model = skae.AutoencoderTransformer(4, random_state=0).partial_fit(0.001 * rows[:500])
    with pytest.warns(skae.DriftWarning, match="in 10 columns"):
        model.partial_fit(rows[500:1000])
    for part in parts(rows[1000:], 1000):
        model.partial_fit(part)
    assert model.score(rows) > variance_explained(PCA(4).fit(rows), rows)


def test_a_fit_is_not_undone_by_what_follows():
    rows, new = curved(6_000, 1), curved(2_000, 2)
    model = skae.AutoencoderTransformer(4, max_iter=20, random_state=0).fit(rows[:5000])
    before = model.score(new)
    for part in parts(rows[5000:], 100):
        model.partial_fit(part)
        assert model.score(new) > before - 0.005


def test_a_state_does_not_grow_with_the_stream():
    rows = curved(400, 0)
    model = learnt(rows, 100)
    size = len(pickle.dumps(model))
    for part in parts(rows, 100) * 10:
        model.partial_fit(part)
    assert len(pickle.dumps(model)) < size + 1_000


def test_what_fails_half_way_leaves_the_training_as_it_was(monkeypatch):
    rows = curved(1_200, 0)
    model, twin = learnt(rows[:800], 400), learnt(rows[:800], 400)
    codes = model.transform(rows)

    def fail(*arguments):
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(skae.AutoencoderTransformer, "_counted_on", fail)
        with pytest.raises(MemoryError):
            model.partial_fit(rows[800:])
    np.testing.assert_array_equal(model.transform(rows), codes)
    for each in (model, twin):
        each.partial_fit(rows[800:])
    np.testing.assert_array_equal(model.transform(rows), twin.transform(rows))
    np.testing.assert_array_equal(model.mean_, twin.mean_)


def test_parameters_may_change_between_calls():
    rows = curved(900, 0)
    model, twin = learnt(rows[:600], 300), learnt(rows[:600], 300)
    model.set_params(weight_decay=50.0).partial_fit(rows[600:])
    twin.partial_fit(rows[600:])
    assert not np.array_equal(model.transform(rows), twin.transform(rows))
    with pytest.raises(ValueError, match="'batch_size' parameter"):
        model.set_params(batch_size=-1).partial_fit(rows)


def test_first_rows_that_are_too_few_are_refused():
    model = skae.AutoencoderTransformer(8, random_state=0)
    with pytest.raises(
        ValueError, match="n_components=8 must be less or equal to the 5 rows of the first call"
    ):
        model.partial_fit(curved(5, 0))
    assert not hasattr(model, "network_")
    assert model.partial_fit(curved(8, 0)).partial_fit(curved(1, 0)).n_samples_ == 9


def test_gaps_may_begin_late():
    rows, gaps = curved(900, 0), curved(900, 1)
    gaps[::3, 4] = np.nan
    model = learnt(rows, 300)
    before = model.transform(rows)
    with pytest.warns(skae.DriftWarning, match=r"in 1 column: 4 \(missing cells 0, now 0.333\)"):
        model.partial_fit(gaps)
    codes = model.partial_fit(gaps).transform(gaps)
    assert np.isfinite(codes).all()
    assert np.abs(model.transform(rows) - before).max() < 1


# ---------------------------------------------------------------------- what is new in a stream


@pytest.mark.parametrize("load", [load_breast_cancer, load_diabetes, load_digits, load_wine])
@pytest.mark.parametrize("size", [1, 30, 300])
def test_rows_in_random_order_are_no_news(load, size):
    random, rows = np.random.default_rng(0), load().data
    state = running.begin(rows[random.integers(len(rows), size=100)], None)
    for _ in range(1000):
        state, news = running.add(state, rows[random.integers(len(rows), size=size)], None)
        assert not news


def test_rows_far_out_are_no_news():
    random = np.random.default_rng(0)
    rows = random.standard_t(1.5, (100_000, 3))
    rows[:, 2] = random.random(100_000) < 0.001
    state = running.begin(rows[:100], None)
    for part in parts(rows, 200):
        state, news = running.add(state, part, None)
        assert not news


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda column: column + 1.0, "mean"),
        (lambda column: column * 3.0, "spread"),
        (lambda column: np.full_like(column, np.nan), "missing cells"),
    ],
)
@pytest.mark.parametrize("size", [10, 500])
def test_a_column_that_has_moved_is_told_once(change, what, size):
    rows = np.random.default_rng(0).standard_normal((4_000, 3))
    rows[2000:, 1] = change(rows[2000:, 1])
    state, found = running.begin(rows[:500], None), []
    for part in parts(rows[500:], size):
        state, news = running.add(state, part, None)
        found += news
    assert [(each.column, each.what) for each in found] == [(1, what)]


def test_drift_is_warned_of_and_seen_in_errors():
    rows = pd.DataFrame(curved(3_000, 0), columns=list("abcdefghij"))
    model = learnt(rows, 500)
    moved = rows.assign(c=rows["c"] + 3)
    errors = model.reconstruction_error(moved, per_feature=True).mean(axis=0)
    assert errors.argmax() == 2
    with pytest.warns(skae.DriftWarning, match=r"in 1 column: 'c' \(mean [-\d.e]+, now [\d.]+\)"):
        model.partial_fit(moved[:500])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in parts(moved[500:], 500):
            model.partial_fit(part)
    assert model.reconstruction_error(moved).mean() < errors.mean()


@pytest.fixture
def mixed():
    random = np.random.default_rng(0)
    size = random.standard_normal(600)
    return pd.DataFrame(
        {"size": size, "kind": KIND[(size > 0).astype(int)], "other": random.standard_normal(600)}
    )


def test_a_new_category_is_warned_of_once_and_wholly_wrong(mixed):
    model = skae.AutoencoderTransformer(2, random_state=0).partial_fit(mixed)
    other = mixed.assign(kind=np.where(np.arange(600) < 30, "blue", mixed["kind"]))
    errors = model.reconstruction_error(other, per_feature=True)
    known = model.reconstruction_error(mixed, per_feature=True)
    assert errors[:30, 1].min() >= 1
    np.testing.assert_array_equal(errors[30:], known[30:])
    np.testing.assert_allclose(model.reconstruction_error(other)[:30], errors[:30].mean(axis=1))
    with pytest.warns(skae.DriftWarning, match="'kind'.* hold categories that the first rows did not"):
        model.partial_fit(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(model)).partial_fit(other)
    strict = clone(model).set_params(handle_unknown="error").partial_fit(mixed)
    with pytest.raises(ValueError, match="blue"):
        strict.partial_fit(other)

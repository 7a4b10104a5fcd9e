"""Codes that suit a linear model of a target: `target_weight`."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_estimator,
    check_sample_weight_equivalence_on_dense_data,
)

import skae
from skae import AutoencoderTransformer
from skae.networks import Dense
from skae.selection import StackedGridSearchCV

RNG = np.random.default_rng(0)
# Six columns, of which the first three vary most; the class is told by the last one.
X = RNG.normal(size=(400, 6)) * [3, 3, 3, 1, 1, 1]
Y = (X[:, 5] + 0.1 * RNG.normal(size=400) > 0).astype(int)
FEW = {"max_iter": 15, "hidden_layer_sizes": (16,), "random_state": 0}
WITH_CODES = [
    "AutoencoderTransformer",
    "AdversarialAutoencoderTransformer",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "SparseAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
]


def fit(y=Y, rows=X, weight=1.0, cls=AutoencoderTransformer, **settings):
    return cls(3, target_weight=weight, **(FEW | settings)).fit(rows, y)


def test_codes_tell_what_principal_components_leave_out():
    plain, model = fit(weight=0), fit(max_iter=60)
    accuracies = [
        LogisticRegression().fit(each.transform(X), Y).score(each.transform(X), Y) for each in (plain, model)
    ]
    assert accuracies[0] < 0.75 < 0.9 < accuracies[1]
    assert model.pca_target_score_ < 0.1 < model.target_score_
    assert model.columns_target_score_ > 0.6
    assert model.target_weight_ == 1.0
    assert not hasattr(plain, "target_score_")


@pytest.mark.parametrize("validation_fraction", ["auto", 0.2])
def test_a_weight_of_zero_ignores_the_target(validation_fraction):
    one = fit(weight=0, validation_fraction=validation_fraction)
    other = AutoencoderTransformer(3, validation_fraction=validation_fraction, **FEW).fit(X)
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    assert one.objective_.head is None


@pytest.mark.parametrize("name", WITH_CODES)
@pytest.mark.parametrize("validation_fraction", ["auto", 0.2])
def test_every_estimator_with_real_codes_takes_a_target(name, validation_fraction):
    settings = {} if name.startswith("Sparse") else {"hidden_layer_sizes": (8,)}
    model = getattr(skae, name)(4, target_weight=0.5, max_iter=4, random_state=0, **settings)
    model.set_params(validation_fraction=validation_fraction).fit(X, Y)
    assert np.isfinite(model.target_score_)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    # The linear model that was trained stays that of the codes, however they are turned after the fit.
    rows = torch.from_numpy(model._codec.frame.to_network(X))
    with torch.no_grad():
        network = model._codec._network(np.dtype(float))
        head, codes = model.objective_.head.double(), network.encode(rows)
        loss = head.losses(codes, torch.from_numpy(Y[:, None].astype(float))).mean()
    assert loss < 1.2


def test_bits_refuse_a_target():
    with pytest.raises(ValueError, match="for codes of real numbers, not for bits"):
        skae.BinaryAutoencoderTransformer(8, target_weight=1).fit(X, Y)


@pytest.mark.parametrize(
    "y",
    [
        np.where(Y, "wet", "dry"),
        pd.Series(np.where(Y, "wet", "dry"), dtype="category"),
        Y.astype(bool),
        np.where(np.arange(400) % 2, Y, -1),
        np.where(np.arange(400) % 2, Y, np.nan),
        pd.Series(np.where(np.arange(400) % 2, Y, 0), dtype="Int64").mask(np.arange(400) % 2 == 0),
        [None if number % 2 else str(value) for number, value in enumerate(Y)],
        X[:, 5],
        np.where(np.arange(400) % 2, X[:, 5], np.nan),
        np.column_stack([X[:, 5], Y]),
        pd.DataFrame({"rain": np.where(Y, "wet", "dry"), "sun": X[:, 4]}),
    ],
)
def test_targets_of_all_kinds(y):
    model = fit(y)
    assert model.target_score_ > model.pca_target_score_ - 0.01
    assert np.isfinite(model.transform(X)).all()


def test_rows_without_a_target_count_for_the_reconstruction_alone():
    known = np.arange(400) < 350
    y = np.where(known, Y, -1)
    other = np.where(known, X[:, 5], np.nan)
    for target in (y, other):
        model = fit(target, early_stopping=False)
        changed = fit(np.where(known, target, target[-1]), early_stopping=False)
        np.testing.assert_array_equal(model.transform(X), changed.transform(X))


def test_weights_count_like_repeated_rows():
    weight = RNG.integers(0, 3, 400)
    settings = {"early_stopping": False, "max_iter": 1, "batch_size": 4000, "init": "pca"}
    one = AutoencoderTransformer(3, target_weight=1.0, **(FEW | settings)).fit(X, Y, sample_weight=weight)
    repeated = np.repeat(np.arange(400), weight)
    other = AutoencoderTransformer(3, target_weight=1.0, **(FEW | settings)).fit(X[repeated], Y[repeated])
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-3)


def test_auto_takes_the_largest_weight_that_costs_little():
    model = fit(weight="auto", max_iter=30)
    assert model.target_weight_ in (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
    assert model.target_score_ > model.pca_target_score_ - 1e-6
    assert clone(model).target_weight == "auto"


def test_auto_needs_rows_to_judge_by():
    with pytest.raises(ValueError, match="early_stopping=True"):
        fit(weight="auto", early_stopping=False)
    with pytest.raises(ValueError, match="partial_fit"):
        AutoencoderTransformer(3, target_weight="auto").partial_fit(X, Y)
    assert fit(Y[:15], X[:15], weight="auto").target_weight_ == 0.0


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (Y[:-1], "inconsistent numbers of samples"),
        (np.zeros(400, dtype=int), "one class, 0: there is nothing"),
        (np.where(Y, 1, -1), "-1 stands for a class that is not known"),
        (np.full(400, 1.5), "same number, 1.5"),
        (np.full(400, np.nan), "missing for every row"),
        (np.full(400, -1), "missing for every row"),
        (np.where(Y, np.inf, X[:, 0]), "contains infinity"),
        (np.zeros((400, 2, 2)), "has shape"),
        (np.column_stack([Y, np.zeros(400)]), "Output 1 of y has one class"),
        ([1 if value else "a" for value in Y], "mixes"),
        (np.array(["2026-11-26"] * 400, dtype="datetime64[D]"), "datetime64"),
    ],
)
def test_targets_that_say_nothing_are_refused(y, message):
    model = AutoencoderTransformer(3, target_weight=1.0, **FEW)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()


def test_whole_numbers_are_classes_unless_they_are_too_many():
    counted = (X[:, 5] * 1000).round()
    assert fit(counted).objective_.head.outputs.n_classes == (1,)
    assert fit(Y + 7.0).objective_.head.outputs.n_classes == (2,)


def test_partial_fit_learns_the_target_of_further_rows():
    model = AutoencoderTransformer(3, target_weight=1.0, **FEW)
    for _ in range(3):
        for part in np.array_split(np.arange(400), 4):
            model.partial_fit(X[part], Y[part])
    assert model.objective_.head is not None
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X, Y + 5)
    with pytest.raises(ValueError, match="requires y"):
        model.partial_fit(X)
    first = model.objective_.head.weight.clone()
    model.partial_fit(X, np.full(400, -1))
    # Of rows without a target, only decay and momentum change the linear model.
    torch.testing.assert_close(model.objective_.head.weight, first, atol=0.2, rtol=0.2)


def test_warm_start_takes_another_target():
    model = fit(warm_start=True, validation_fraction=0.2)
    model.fit(X, np.where(Y, "b", "a"))
    assert model.fit(X, X[:, 4]).objective_.head.outputs.n_classes == (1,)
    model.set_params(target_weight=0, warm_start=False)
    assert not hasattr(model.fit(X), "target_score_")


@pytest.mark.slow
def test_targets_go_with_gaps_order_starts_and_other_networks():
    gaps = X.copy()
    gaps[::7, 2] = np.nan
    frame = pd.DataFrame(X).assign(kind=np.where(X[:, 0] > 0, "x", "y")).rename(columns=str)
    assert np.isfinite(fit(rows=gaps).target_score_)
    assert np.isfinite(fit(rows=frame).target_score_)
    assert np.isfinite(fit(n_init=2).target_score_)
    assert np.isfinite(fit(network=Dense((8,), dropout=0.1)).target_score_)
    assert np.isfinite(fit(solver="lbfgs", max_iter=5).target_score_)
    assert np.isfinite(fit(loss="huber").target_score_)
    ordered = fit(ordered=True)
    assert np.isfinite(ordered.target_score_)
    assert not hasattr(ordered.truncated(2), "target_score_")


@pytest.mark.slow
def test_searches_train_targets_side_by_side():
    pipe = make_pipeline(AutoencoderTransformer(2, **FEW), LogisticRegression())
    grid = {"autoencodertransformer__target_weight": [0.0, 1.0]}
    stacked = StackedGridSearchCV(pipe, grid, cv=2).fit(X, Y)
    plain = GridSearchCV(pipe, grid, cv=2).fit(X, Y)
    assert stacked.best_params_ == plain.best_params_ == {"autoencodertransformer__target_weight": 1.0}
    np.testing.assert_allclose(
        stacked.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=0.03
    )


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.5, "auto"])
def test_estimators_with_a_target_keep_the_contract(weight):
    # Folds that are cut at random choose the epoch, with and without a target.
    expected = dict.fromkeys(
        [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")],
        "folds are random",
    )
    model = AutoencoderTransformer(target_weight=weight, max_iter=4, hidden_layer_sizes=(8,))
    results = check_estimator(model, expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert [each["check_name"] for each in results if each["status"] == "failed"] == []


def test_weights_equal_repetition_where_nothing_is_drawn():
    given = {"solver": "lbfgs", "early_stopping": False, "input_noise": 0.0, "max_iter": 4}
    model = AutoencoderTransformer(target_weight=0.5, hidden_layer_sizes=(8,), **given)
    check_sample_weight_equivalence_on_dense_data("AutoencoderTransformer", model)


@pytest.mark.parametrize("y", [Y, X[:, :2], Y.astype(str)], ids=["classes", "numbers", "text"])
def test_files_without_code_keep_the_target(y, tmp_path):
    model = fit(y)
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert loaded.target_score_ == model.target_score_
    further = fit(y, max_iter=2)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(further)).partial_fit(X, y).transform(X),
        further.partial_fit(X, y).transform(X),
    )


def test_a_table_in_which_nothing_varies_has_a_target_too():
    model = fit(rows=np.ones((400, 4)))
    assert model.pca_target_score_ == pytest.approx(0, abs=0.02)
    assert np.isfinite(model.transform(np.ones((2, 4)))).all()

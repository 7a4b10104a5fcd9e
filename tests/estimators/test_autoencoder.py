"""What a user of AutoencoderTransformer may rely on."""

import copy
import io
import pickle
import random
import threading

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer
from skae.metrics import variance_explained
from skae.networks import Dense

BRIEF = {"max_iter": 5, "random_state": 0}


# ------------------------------------------------------------------ the promise


def test_it_is_better_than_pca_on_a_curve(curve):
    train, test = train_test_split(curve, random_state=0)
    model = AutoencoderTransformer(2, random_state=0).fit(train)
    assert model.score(test) > 0.99 > variance_explained(PCA(2).fit(train), test)


# Nothing keeps this from learning what does not hold for other rows.
UNRULY = {
    "hidden_layer_sizes": (128, 64),
    "learning_rate_init": 0.02,
    "weight_decay": 0.1,
    "input_noise": 0.0,
    "max_iter": 60,
    "random_state": 0,
}


def test_noise_without_structure_stays_at_pca():
    X = np.random.RandomState(0).standard_normal((300, 8))
    model = AutoencoderTransformer(2, **UNRULY).fit(X)
    # Training goes on to learn the noise, which new rows do not bear out.
    assert model.validation_scores_[-1] < model.pca_score_ - 0.05
    assert model.best_iter_ == 0
    pca = PCA(2).fit(X)
    np.testing.assert_allclose(model.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-5)


def test_rows_held_out_by_hand_keep_noise_near_pca():
    random = np.random.RandomState(0)
    X, new = random.standard_normal((300, 8)), random.standard_normal((2000, 8))
    model = AutoencoderTransformer(2, validation_fraction=0.2, **UNRULY).fit(X)
    assert model.validation_scores_[-1] < model.pca_score_ - 0.05
    # Sixty rows choose, and a little of what they like about an epoch is noise of their own.
    assert model.score(new) > variance_explained(PCA(2).fit(X), new) - 0.02


def test_few_rows_are_explained_better_than_by_pca_on_new_rows_too():
    # Even of noise without structure, a surface that bends explains more than a plane does.
    random = np.random.RandomState(0)
    X, new = random.standard_normal((300, 8)), random.standard_normal((2000, 8))
    model = AutoencoderTransformer(2, random_state=1).fit(X)
    assert model.best_iter_ > 0
    assert model.score(new) > variance_explained(PCA(2).fit(X), new) + 0.02


def test_epoch_zero_is_pca(digits):
    model = AutoencoderTransformer(7, validation_fraction=0.25, **BRIEF).fit(digits)
    assert model.validation_scores_[0] == pytest.approx(model.pca_score_, abs=1e-5)
    assert model.validation_score_ == max(model.validation_scores_)


def test_below_twenty_rows_it_is_pca(wine):
    X = wine[:15]
    model = AutoencoderTransformer(3, random_state=0).fit(X)
    pca = PCA(3).fit(X)
    np.testing.assert_allclose(model.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-5)
    np.testing.assert_allclose(
        np.abs(model.transform(X)), np.abs(PCA(3, whiten=True).fit_transform(X)) * np.sqrt(15 / 14), atol=1e-5
    )
    assert model.best_iter_ == 0
    assert model.validation_score_ is None


def test_small_tables_are_cross_validated_and_trained_on_all_rows(curve):
    model = AutoencoderTransformer(2, max_iter=40, random_state=0).fit(curve)
    assert model.n_iter_ == len(model.loss_curve_) == 40
    assert len(model.validation_scores_) == 41
    assert model.validation_scores_[model.best_iter_] == model.validation_score_
    assert model.validation_score_ > model.pca_score_


def test_the_variance_of_held_out_rows_is_told_honestly(weather):
    X, _ = weather
    train, test = train_test_split(X[:8000], random_state=0)
    model = AutoencoderTransformer(3, max_iter=10, random_state=0).fit(train)
    assert model.score(test) == pytest.approx(model.validation_score_, abs=0.02)
    assert variance_explained(PCA(3).fit(train), test) == pytest.approx(model.pca_score_, abs=0.02)
    assert model.score(test) > model.pca_score_ + 0.05


def test_worse_than_pca_is_said(digits):
    with pytest.warns(ConvergenceWarning, match=r"The codes explain .* PCA with as many components"):
        AutoencoderTransformer(20, linear_path=False, max_iter=1, random_state=0).fit(digits)


# ------------------------------------------------------------- odd tables


def test_more_components_than_rank(wine):
    X = wine[:, :3] @ np.ones((3, 6))  # rank 1
    model = AutoencoderTransformer(5, max_iter=3, random_state=0).fit(X)
    assert model.score(X) == pytest.approx(1, abs=1e-4)
    assert model.transform(X).shape == (178, 5)


def test_constant_columns(wine):
    X = np.column_stack([wine, np.full(len(wine), 0.1)])
    model = AutoencoderTransformer(3, **BRIEF).fit(X)
    np.testing.assert_allclose(model.reconstruct(X)[:, -1], 0.1, atol=1e-6 if model.best_iter_ == 0 else 0.2)
    assert model.pca_score_ == pytest.approx(
        AutoencoderTransformer(3, **BRIEF).fit(wine).pca_score_, abs=1e-6
    )


def test_a_constant_table():
    X = np.full((30, 4), 0.1)
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    np.testing.assert_allclose(model.reconstruct(X), X, atol=1e-6)
    assert model.score(X) in (0.0, 1.0)


def test_more_columns_than_rows():
    X = np.random.RandomState(0).standard_normal((60, 3)) @ np.random.RandomState(1).standard_normal((3, 900))
    model = AutoencoderTransformer(3, **BRIEF).fit(X)
    assert model.pca_score_ > 0.99
    assert model.score(X) > 0.99


@pytest.mark.slow
def test_ten_thousand_columns():
    random = np.random.RandomState(0)
    X = random.standard_normal((600, 5)) @ random.standard_normal((5, 10_000)).astype(np.float32)
    X = X.astype(np.float32) + 0.1
    model = AutoencoderTransformer(5, max_iter=1, random_state=0).fit(X)
    assert model.pca_score_ > 0.999
    assert model.validation_score_ >= model.pca_score_ - 1e-5


@pytest.mark.parametrize("unit", [1e-30, 1e-6, 1e6, 1e30])
def test_units_do_not_matter(curve, unit):
    plain = AutoencoderTransformer(2, **BRIEF).fit(curve)
    other = AutoencoderTransformer(2, **BRIEF).fit(curve * unit)
    assert other.validation_score_ == pytest.approx(plain.validation_score_, abs=1e-3)
    np.testing.assert_allclose(other.reconstruct(curve * unit) / unit, plain.reconstruct(curve), atol=0.05)


def test_a_large_offset_costs_no_digits(curve):
    plain = AutoencoderTransformer(2, **BRIEF).fit(curve)
    shifted = AutoencoderTransformer(2, **BRIEF).fit(curve + 1e6)
    assert shifted.pca_score_ == pytest.approx(plain.pca_score_, abs=1e-6)
    assert shifted.score(curve + 1e6) > shifted.pca_score_


def test_float32_of_large_values(curve):
    X = (curve * 1e30).astype(np.float32)
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    assert model.reconstruct(X).dtype == np.float32
    assert np.isfinite(model.reconstruction_error(X)).all()
    assert model.score(X) > 0.5


def test_integers_near_their_limit():
    X = np.random.RandomState(0).randint(-(2**62), 2**62, size=(50, 4))
    assert np.isfinite(AutoencoderTransformer(2, **BRIEF).fit(X).transform(X)).all()


# ---------------------------------------------- the ways of scikit-learn


def test_pipeline_with_frames(curve):
    frame = pd.DataFrame(curve, columns=list("abcdef"), index=range(100, 600))
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(3, **BRIEF)).set_output(transform="pandas")
    Z = pipe.fit_transform(frame)
    assert list(Z.columns) == [f"autoencodertransformer{i}" for i in range(3)]
    assert list(Z.index) == list(frame.index)
    assert list(pipe[-1].feature_names_in_) == list("abcdef")
    assert pipe.inverse_transform(Z).shape == curve.shape
    assert pipe.score(frame) == pytest.approx(variance_explained(pipe, frame))


def test_polars_in_and_out(curve):
    frame = pl.DataFrame(curve, schema=list("abcdef"))
    model = AutoencoderTransformer(2, **BRIEF).set_output(transform="polars").fit(frame)
    assert isinstance(model.transform(frame), pl.DataFrame)
    np.testing.assert_allclose(
        model.transform(frame).to_numpy(),
        clone(model).set_output(transform="default").fit(curve).transform(curve),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(curve, dtype):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve)
    X = curve.astype(dtype)
    Z = model.transform(X)
    assert Z.dtype == model.inverse_transform(Z).dtype == model.reconstruct(X).dtype == dtype
    np.testing.assert_allclose(Z, model.transform(curve), atol=1e-5)


def test_rows_do_not_depend_on_their_neighbours(curve):
    model = AutoencoderTransformer(2, batch_norm=True, **BRIEF).fit(curve)
    Z = model.transform(curve)
    order = np.random.RandomState(0).permutation(len(curve))
    np.testing.assert_allclose(model.transform(curve[order]), Z[order], atol=1e-12)
    np.testing.assert_allclose(
        np.vstack([model.transform(row[None]) for row in curve[:20]]), Z[:20], atol=1e-12
    )


def test_chunks_are_seamless(curve):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve)
    many = np.tile(curve, (30, 1))
    np.testing.assert_allclose(model.transform(many), np.tile(model.transform(curve), (30, 1)), atol=1e-12)


def test_errors_of_rows_and_cells(curve):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve)
    cells = model.reconstruction_error(curve, per_feature=True)
    np.testing.assert_allclose(cells, (curve - model.reconstruct(curve)) ** 2)
    np.testing.assert_allclose(model.reconstruction_error(curve), cells.mean(1))
    np.testing.assert_allclose(model.score_samples(curve), -cells.mean(1))
    expected = 1 - cells.sum() / ((curve - curve.mean(0)) ** 2).sum()
    assert model.score(curve) == pytest.approx(expected)


def test_the_same_seed_gives_the_same_bits(curve):
    first, second = (AutoencoderTransformer(2, dropout=0.1, **BRIEF).fit(curve) for _ in range(2))
    assert np.array_equal(first.transform(curve), second.transform(curve))
    assert first.loss_curve_ == second.loss_curve_
    other = AutoencoderTransformer(2, dropout=0.1, max_iter=5, random_state=1).fit(curve)
    assert not np.array_equal(first.transform(curve), other.transform(curve))


@pytest.mark.parametrize(
    "network", [None, (nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2)), nn.Linear(2, 6))]
)
def test_global_random_states_are_left_alone(curve, network):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    model = AutoencoderTransformer(2, dropout=0.1, network=network, **BRIEF).fit(curve)
    model.transform(curve)
    model.partial_fit(curve)
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_modules_that_draw_repeat_with_the_seed(curve):
    pair = (nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2)), nn.Linear(2, 6))
    first, second = (
        AutoencoderTransformer(2, network=pair, **BRIEF).fit(curve).transform(curve) for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("store", [pickle, joblib])
def test_pickles_are_small_and_whole(curve, store):
    model = AutoencoderTransformer(2, **BRIEF).fit(np.tile(curve, (20, 1)))
    Z = model.transform(curve)
    buffer = io.BytesIO()
    store.dump(model, buffer)
    # Two networks' worth of weights at most, and no row of the 480,000 bytes of data.
    weights = sum(p.nbytes for p in model.network_.parameters())
    assert buffer.tell() < 2 * weights + 40_000
    buffer.seek(0)
    again = store.load(buffer)
    assert np.array_equal(again.transform(curve), Z)
    assert np.array_equal(again.inverse_transform(Z), model.inverse_transform(Z))
    assert all(p.device.type == "cpu" for p in again.network_.parameters())
    again.partial_fit(curve)


def test_threads_may_transform_at_once(curve):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve)
    expected, results = clone(model).fit(curve).transform(curve), []
    threads = [threading.Thread(target=lambda: results.append(model.transform(curve))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(np.array_equal(result, expected) for result in results)


def _threads_and_codes(model, X):
    return torch.get_num_threads(), model.fit(X).transform(X)


def test_worker_processes_share_the_cores(curve):
    cores = joblib.cpu_count()
    results = Parallel(n_jobs=2)(
        delayed(_threads_and_codes)(AutoencoderTransformer(2, **BRIEF), curve) for _ in range(2)
    )
    assert all(threads <= max(1, cores // 2) for threads, _ in results)
    assert np.array_equal(results[0][1], results[1][1])


def test_grid_search_over_plain_and_nested_parameters(curve):
    model = AutoencoderTransformer(network=Dense((8,)), **BRIEF)
    grid = {"n_components": [1, 3], "network__activation": ["relu", "tanh"]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(curve)
    assert search.best_params_["n_components"] == 3
    assert search.best_estimator_.network.activation == search.best_params_["network__activation"]


def test_encoder_and_decoder_work_alone(curve):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve + 5)
    X = curve + 5
    with torch.no_grad():
        codes = model.encoder_(torch.tensor(X))
        back = model.decoder_(codes)
    np.testing.assert_allclose(codes, model.transform(X), atol=1e-4)
    np.testing.assert_allclose(back, model.reconstruct(X), atol=1e-3)


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_encoder_and_decoder_hold_the_scaling(wine, scaling):
    X = wine[:100]
    model = AutoencoderTransformer(2, scaling=scaling, **BRIEF).fit(X)
    # Beyond what training has seen, too, and what lies exactly on a quantile.
    rows = np.vstack([X, 1.5 * X - 1, X.min(axis=0) - 1])
    with torch.no_grad():
        codes = model.encoder_(torch.from_numpy(rows))
        back = model.decoder_(codes)
    np.testing.assert_allclose(codes, model.transform(rows), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back, model.reconstruct(rows), rtol=1e-5, atol=1e-6)
    again = pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        np.testing.assert_array_equal(again.encoder_(torch.from_numpy(rows)), codes)


def test_encoder_and_decoder_cast_to_the_dtype_of_their_weights(wine):
    """Tables as small as this one are trained in float64."""
    X = wine[:100]
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    with torch.no_grad():
        codes = model.encoder_(torch.from_numpy(X.astype(np.float32)))
        back = model.decoder_(codes.float())
    np.testing.assert_allclose(back, model.reconstruct(X), rtol=1e-4)


def test_encoder_takes_numbers_of_mixed_tables_in_their_own_units():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"size": random.normal(50, 10, 100), "colour": random.choice(["red", "blue"], 100)})
    model = AutoencoderTransformer(2, **BRIEF).fit(frame)
    inside = np.column_stack([frame["size"], frame["colour"] == "red"])
    with torch.no_grad():
        codes = model.encoder_(torch.from_numpy(inside))
        back = model.decoder_(codes)
    np.testing.assert_allclose(codes, model.transform(frame), atol=1e-6)
    np.testing.assert_allclose(back[:, 0], model.reconstruct(frame)["size"], atol=1e-4)


def test_unfitted_says_so(curve):
    for method in ("transform", "score", "reconstruct", "reconstruction_error", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(AutoencoderTransformer(), method)(curve)


# ------------------------------------------------------------ parameters at work


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd"},
        {"solver": "rmsprop"},
        {"solver": "lbfgs"},
        {"learning_rate": "constant"},
        {"learning_rate": "cosine"},
        {"learning_rate": "reduce_on_plateau"},
        {"batch_norm": True},
        {"tied_weights": True},
        {"hidden_layer_sizes": (16,), "activation": "tanh"},
        {"loss": "huber"},
        {"loss": "absolute_error"},
        {"network": Dense((32,), activation="silu")},
        {
            "network": (
                nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2)),
                nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 6)),
            )
        },
    ],
    ids=str,
)
def test_settings_learn_the_curve(curve, settings):
    model = AutoencoderTransformer(2, max_iter=40, validation_fraction=0.2, random_state=0, **settings)
    with_start = model.fit(curve)
    assert with_start.validation_score_ > with_start.pca_score_ + 0.02


@pytest.mark.slow
def test_lbfgs_leaves_pca_on_a_small_table():
    X = StandardScaler().fit_transform(load_diabetes().data)
    train, test = train_test_split(X, random_state=0)
    model = AutoencoderTransformer(4, solver="lbfgs", max_iter=110, random_state=0).fit(train)
    assert model.best_iter_ > 0
    assert model.score(test) > variance_explained(PCA(4).fit(train), test) + 0.02


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "settings", [{"init": "random"}, {"linear_path": False}, {"linear_path": False, "tied_weights": True}]
)
def test_it_learns_without_the_start(curve, settings):
    model = AutoencoderTransformer(2, max_iter=100, validation_fraction=0.2, random_state=0, **settings).fit(
        curve
    )
    assert model.validation_scores_[0] < 0.5 < model.validation_score_


def test_the_network_wins(curve):
    model = AutoencoderTransformer(2, hidden_layer_sizes=(99,), network=Dense((7,)), **BRIEF).fit(curve)
    assert model.network_.encoder[0].out_features == 7


def test_user_modules_stay_as_they_are(curve):
    pair = nn.Linear(6, 2), nn.Linear(2, 6)
    before = copy.deepcopy(pair[0].weight)
    model = AutoencoderTransformer(2, network=pair, **BRIEF).fit(curve)
    assert torch.equal(pair[0].weight, before)
    clone(model).fit(curve)


def test_probabilities(digits):
    X = digits[:600]
    model = AutoencoderTransformer(5, loss="binary_crossentropy", max_iter=20, random_state=0).fit(X)
    back = model.reconstruct(X)
    assert 0 <= back.min() <= back.max() <= 1
    # The affine start alone is near PCA, and training goes beyond.
    assert model.validation_scores_[0] > model.pca_score_ - 0.05
    assert model.validation_score_ > model.pca_score_


def test_counts():
    random = np.random.RandomState(0)
    rates = np.exp(1 + 0.4 * random.standard_normal((400, 2)) @ random.standard_normal((2, 8)))
    X = random.poisson(rates)
    model = AutoencoderTransformer(2, loss="poisson", max_iter=30, random_state=0).fit(X)
    assert model.reconstruct(X).min() >= 0
    assert model.validation_score_ > 0.3


@pytest.mark.parametrize(
    ("output", "low", "high"), [("logistic", 0, 1), ("tanh", -1, 1), ("relu", 0, None), ("softplus", 0, None)]
)
def test_links_bound_the_reconstruction(digits, output, low, high):
    model = AutoencoderTransformer(4, output_activation=output, **BRIEF).fit(digits[:300])
    back = model.reconstruct(digits)
    assert back.min() >= low
    assert high is None or back.max() <= high
    assert model.score(digits) > 0.2


def test_without_early_stopping_nothing_is_held_out(curve):
    model = AutoencoderTransformer(2, early_stopping=False, **BRIEF).fit(curve)
    assert model.best_iter_ == model.n_iter_ == 5
    assert model.validation_score_ is model.validation_scores_ is model.pca_score_ is None


def test_patience_stops(curve):
    X = np.tile(curve, (5, 1))
    model = AutoencoderTransformer(2, max_iter=200, n_iter_no_change=1, tol=0.9, random_state=0).fit(X)
    assert model.n_iter_ == 21  # a tenth of warm-up, as the steps are many, and one epoch


def test_l1_makes_weights_small(curve):
    plain, sparse = (
        AutoencoderTransformer(2, l1_weights=l1, max_iter=30, early_stopping=False, random_state=0).fit(curve)
        for l1 in (0.0, 1e-2)
    )
    norms = [sum(p.abs().sum() for p in m.network_.encoder.parameters()) for m in (plain, sparse)]
    assert norms[1] < 0.5 * norms[0]


def test_warm_start_goes_on(curve):
    model = AutoencoderTransformer(2, warm_start=True, early_stopping=False, **BRIEF).fit(curve)
    first = model.loss_curve_[-1]
    mean = model.mean_
    model.fit(curve[:400])
    assert model.loss_curve_[-1] < first
    assert model.mean_ is mean
    with pytest.raises(ValueError, match="warm_start=True goes on with the 2 components"):
        model.set_params(n_components=3).fit(curve)


def test_warm_start_with_held_out_rows(curve):
    model = AutoencoderTransformer(2, warm_start=True, max_iter=30, validation_fraction=0.2, random_state=0)
    before = model.fit(curve).validation_score_
    assert model.fit(curve).validation_score_ >= before - 1e-6


def test_verbose_prints_a_line_an_epoch(curve, capsys):
    AutoencoderTransformer(2, validation_fraction=0.2, verbose=True, **BRIEF).fit(curve)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("Epoch 1/5: loss ")
    assert "held-out variance explained" in lines[-1]
    AutoencoderTransformer(2, early_stopping=False, verbose=1, **BRIEF).fit(curve)
    assert len(capsys.readouterr().out.splitlines()) == 5


# ------------------------------------------------------------------ in parts


def test_partial_fit_learns(curve):
    model = AutoencoderTransformer(2, random_state=0)
    for _ in range(60):
        model.partial_fit(curve)
    assert model.score(curve) > variance_explained(PCA(2).fit(curve), curve) + 0.02
    assert model.n_iter_ == len(model.loss_curve_) == 60
    assert model.pca_score_ is None


def test_partial_fit_resumes_from_a_pickle_bit_for_bit(curve):
    model = AutoencoderTransformer(2, dropout=0.1, random_state=0).partial_fit(curve).partial_fit(curve)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(
        model.partial_fit(curve).transform(curve), again.partial_fit(curve).transform(curve)
    )


def test_partial_fit_goes_on_after_fit(curve):
    model = AutoencoderTransformer(2, **BRIEF).fit(curve)
    codes, n_epochs = model.transform(curve), model.n_iter_
    model.partial_fit(curve[:1])
    assert model.n_iter_ == len(model.loss_curve_) == n_epochs + 1
    moved = np.abs(model.transform(curve) - codes).max()
    # A step, from where the fit ended.
    assert 0 < moved < 0.2


def test_fit_after_partial_fit_starts_anew(curve):
    model = AutoencoderTransformer(2, **BRIEF).partial_fit(curve).fit(curve)
    fresh = AutoencoderTransformer(2, **BRIEF).fit(curve)
    assert np.array_equal(model.transform(curve), fresh.transform(curve))


@pytest.mark.parametrize(
    "form",
    [np.asfortranarray, np.ndarray.tolist, pd.DataFrame, lambda X: X.astype(">f8"), lambda X: X[::-1][::-1]],
    ids=["fortran", "list", "frame", "big endian", "strided"],
)
def test_the_same_rows_in_another_form_get_the_same_codes(curve, form):
    fitted = AutoencoderTransformer(2, **BRIEF).fit(curve)
    np.testing.assert_allclose(fitted.transform(form(curve)), fitted.transform(curve), rtol=1e-12)


@pytest.mark.parametrize("rows", [[[np.inf] * 6], [[0.0] * 5], [0.0] * 6, np.empty((0, 6))])
def test_what_was_not_seen_in_fit_is_refused(curve, rows):
    fitted = AutoencoderTransformer(2, **BRIEF).fit(curve)
    with pytest.raises(ValueError, match=r"infinity|features|1D|0 sample"):
        fitted.transform(np.asarray(rows))


def test_one_hidden_layer_may_be_a_number(curve):
    one, listed = (AutoencoderTransformer(2, hidden_layer_sizes=s, **BRIEF).fit(curve) for s in (8, [8]))
    np.testing.assert_array_equal(one.transform(curve), listed.transform(curve))

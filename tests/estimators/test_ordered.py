import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split

import skae
from skae.estimators._ordered import chosen_size, knee
from skae.metrics import variance_explained
from skae.networks import Convolutional
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import Batch
from skae.training import HeldOut

TRAIN, TEST = train_test_split(load_digits().data, random_state=0)
KINDS = [
    (skae.AutoencoderTransformer, {}),
    (skae.AutoencoderTransformer, {"tied_weights": True}),
    (skae.AutoencoderTransformer, {"linear_path": False}),
    (skae.AutoencoderTransformer, {"network": Convolutional(channels=(2,))}),
    (skae.AutoencoderTransformer, {"loss": "poisson"}),
    (skae.AutoencoderTransformer, {"solver": "lbfgs", "max_iter": 3}),
    (skae.AutoencoderTransformer, {"pretrain": "layerwise"}),
    (skae.ContractiveAutoencoderTransformer, {}),
    (skae.ContractiveAutoencoderTransformer, {"hidden_layer_sizes": ()}),
    (skae.DenoisingAutoencoderTransformer, {}),
    (skae.DenoisingAutoencoderTransformer, {"corruption": "missing"}),
    (skae.SparseAutoencoderTransformer, {}),
    (skae.SparseAutoencoderTransformer, {"penalty": "l1", "revival": "auxiliary"}),
    (skae.VariationalAutoencoderTransformer, {}),
    (skae.AdversarialAutoencoderTransformer, {}),
]


@pytest.fixture(scope="module")
def model():
    return skae.AutoencoderTransformer(6, ordered=True, max_iter=40, random_state=0).fit(TRAIN)


def test_explains_more_than_pca_at_every_size_on_the_rows_held_out(model):
    assert (model.cumulative_explained_variance_ > model.pca_cumulative_explained_variance_).all()
    assert model.validation_score_ == pytest.approx(model.cumulative_explained_variance_[-1])
    assert model.pca_score_ == pytest.approx(model.pca_cumulative_explained_variance_[-1])


def test_explains_more_than_pca_at_every_size_on_new_rows(model):
    shares = model.cumulative_explained_variance(TEST)
    pca = [variance_explained(PCA(k).fit(TRAIN), TEST) for k in range(1, 7)]
    assert (shares > pca).all()


def test_ratios_add_up_to_the_score_on_the_same_rows(model):
    assert model.explained_variance_ratio_.sum() == pytest.approx(model.validation_score_)
    shares = model.cumulative_explained_variance(TEST)
    assert shares[-1] == pytest.approx(model.score(TEST))
    weight = np.arange(len(TEST)) % 3
    weighted = model.cumulative_explained_variance(TEST, sample_weight=weight)
    assert weighted[-1] == pytest.approx(model.score(TEST, sample_weight=weight))


@pytest.mark.parametrize(
    ("kind", "settings"), KINDS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_truncated_is_the_first_columns_of_every_estimator(kind, settings):
    model = kind(5, ordered=True, random_state=0).set_params(**{"max_iter": 2, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(TRAIN)
    shorter = model.truncated(2)
    codes = model.transform(TEST)
    assert model.n_components_ == 5
    assert shorter.n_components_ == shorter.n_components == 2
    np.testing.assert_array_equal(shorter.transform(TEST), codes[:, :2])
    np.testing.assert_allclose(
        shorter.inverse_transform(codes[:, :2]), model.inverse_transform(codes[:, :2]), rtol=1e-12
    )
    shares = model.cumulative_explained_variance(TEST)
    assert shorter.score(TEST) == pytest.approx(shares[1])
    assert model.score(TEST) == pytest.approx(shares[-1])
    assert len(shorter.get_feature_names_out()) == 2
    assert len(shorter.explained_variance_ratio_) == 2


def test_truncating_twice_is_truncating_once(model):
    np.testing.assert_array_equal(
        model.truncated(4).truncated(2).transform(TEST), model.truncated(2).transform(TEST)
    )
    np.testing.assert_array_equal(model.truncated(6).transform(TEST), model.transform(TEST))


def test_truncated_reports_its_own_figures_and_leaves_the_original_alone(model):
    before = model.transform(TEST)
    shorter = model.truncated(2)
    assert shorter.validation_score_ == model.cumulative_explained_variance_[1]
    assert shorter.pca_score_ == model.pca_cumulative_explained_variance_[1]
    assert shorter.validation_scores_[shorter.best_iter_] == pytest.approx(shorter.validation_score_)
    np.testing.assert_array_equal(model.transform(TEST), before)


def test_truncated_can_be_pickled_and_cloned_and_keeps_the_dtype(model):
    shorter = model.truncated(3)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(shorter)).transform(TEST), shorter.transform(TEST)
    )
    assert clone(shorter).get_params()["n_components"] == 3
    assert shorter.transform(TEST.astype(np.float32)).dtype == np.float32
    assert shorter.encoder_ is not model.encoder_


def test_one_row_alone_is_coded_as_among_others(model):
    shorter = model.truncated(3)
    np.testing.assert_allclose(shorter.transform(TEST[:1]), shorter.transform(TEST)[:1], rtol=1e-12)


def test_read_outs_of_variants_are_cut_too():
    variational = skae.VariationalAutoencoderTransformer(4, ordered=True, max_iter=5, random_state=0).fit(
        TRAIN
    )
    shorter = variational.truncated(2)
    assert shorter.sample(3, random_state=0).shape == (3, 64)
    assert shorter.score_samples(TEST[:3]).shape == (3,)
    assert shorter.kl_per_component_.shape == (2,)
    assert (shorter.active_components_ < 2).all()
    assert [part.shape for part in shorter.transform(TEST[:3], return_std=True)] == [(3, 2), (3, 2)]
    adversarial = skae.AdversarialAutoencoderTransformer(4, ordered=True, max_iter=5, random_state=0).fit(
        TRAIN
    )
    shorter = adversarial.truncated(1)
    assert shorter.sample(3, random_state=0).shape == (3, 64)
    assert shorter.noise_variance_.sum() > adversarial.noise_variance_.sum()
    sparse = skae.SparseAutoencoderTransformer(9, ordered=True, n_active=3, max_iter=3, random_state=0).fit(
        TRAIN
    )
    shorter = sparse.truncated(4)
    assert shorter.components_.shape == (4, 64)
    assert shorter.n_active_ == pytest.approx(sparse.activation_frequency_[:4].sum())
    assert sparse.truncated(4).set_params(inference="omp").transform(TEST[:3]).shape == (3, 4)


def test_contraction_is_that_of_the_components_kept():
    settings = {"ordered": True, "max_iter": 3, "random_state": 0}
    for layers in ((), 8, (8, 4)):
        model = skae.ContractiveAutoencoderTransformer(3, hidden_layer_sizes=layers, **settings).fit(TRAIN)
        shorter, step = model.truncated(2), 1e-5
        moved = TEST[:1] + step * np.eye(64)
        slopes = (shorter.transform(moved) - shorter.transform(TEST[:1])) / step
        np.testing.assert_allclose(shorter.contraction(TEST[:1]), np.linalg.norm(slopes), rtol=1e-3)


def test_all_hidden_layers_of_a_truncated_denoiser_hold_the_components_kept():
    model = skae.DenoisingAutoencoderTransformer(4, ordered=True, features="all", max_iter=2, random_state=0)
    shorter = model.fit(TRAIN).truncated(2)
    features = shorter.transform(TEST[:5])
    assert features.shape[1] == len(shorter.get_feature_names_out()) == model.transform(TEST[:5]).shape[1] - 2
    np.testing.assert_allclose(shorter.inverse_transform(features), shorter.reconstruct(TEST[:5]))


@pytest.mark.parametrize("rows", [TRAIN[:12], TRAIN[:100]])
def test_small_tables_have_ordered_components_too(rows):
    model = skae.AutoencoderTransformer(3, ordered=True, max_iter=3, random_state=0).fit(rows)
    assert model.explained_variance_ratio_.shape == (3,)
    assert (model.cumulative_explained_variance_ >= model.pca_cumulative_explained_variance_ - 1e-3).all()


def test_without_held_out_rows_the_ratios_are_of_the_training_rows():
    model = skae.AutoencoderTransformer(
        3, ordered=True, early_stopping=False, max_iter=3, random_state=0
    ).fit(TRAIN)
    assert model.validation_score_ is None
    assert model.explained_variance_ratio_.sum() == pytest.approx(model.score(TRAIN), abs=1e-5)
    pca = PCA(3).fit(TRAIN)
    np.testing.assert_allclose(
        model.pca_cumulative_explained_variance_, pca.explained_variance_ratio_.cumsum(), rtol=1e-4
    )
    assert model.truncated(2).validation_score_ is None


def test_more_components_than_are_judged_are_interpolated_in_folds():
    model = skae.AutoencoderTransformer(40, ordered=True, max_iter=2, random_state=0).fit(TRAIN[:200])
    assert model.cumulative_explained_variance_.shape == (40,)
    assert np.isfinite(model.explained_variance_ratio_).all()
    judged = model.objective_.judged_sizes
    missing = next(size for size in range(1, 40) if size not in judged)
    assert model.truncated(missing).validation_scores_ is None


def test_as_many_components_as_columns():
    X = load_iris().data
    model = skae.AutoencoderTransformer(4, ordered=True, max_iter=20, random_state=0).fit(X)
    assert model.pca_cumulative_explained_variance_[-1] == pytest.approx(1.0)
    assert model.score(X) > 0.99


def test_gaps_weights_text_and_partial_fit():
    pandas = pytest.importorskip("pandas")
    X = load_iris().data.copy()
    X[::7, 1] = np.nan
    frame = pandas.DataFrame(X, columns=list("abcd")).assign(
        kind=np.array(["x", "y", "z"])[load_iris().target]
    )
    model = skae.AutoencoderTransformer(3, ordered=True, max_iter=3, random_state=0)
    model.fit(frame, sample_weight=np.arange(150) % 2 + 1)
    assert list(model.truncated(1).reconstruct(frame).columns) == [*"abcd", "kind"]
    again = clone(model).partial_fit(X).partial_fit(X)
    assert again.truncated(2).transform(X).shape == (150, 2)
    assert not hasattr(again, "explained_variance_ratio_")


@pytest.mark.parametrize("n_components", [3, 0.5, "elbow"])
def test_what_a_fit_measured_by_size_is_dropped_when_training_goes_on(n_components):
    X = load_iris().data
    model = skae.AutoencoderTransformer(n_components, ordered=True, max_iter=2, random_state=0).fit(X)
    names = [name for name in vars(model) if "explained_variance" in name]
    assert len(names) == 4
    with pytest.warns(skae.DriftWarning, match="in 4 columns: 0 \\(mean 5.84, now 17.5\\)"):
        model.partial_fit(X * 3)
    for name in names:
        with pytest.raises(AttributeError, match="partial_fit, which drops it"):
            getattr(model, name)
    assert model.validation_score_ is None
    assert not hasattr(model, "fit_time_")
    assert model.truncated(1).transform(X).shape == (150, 1)
    assert len(model.cumulative_explained_variance(X)) == model.n_components_
    assert len(model.fit(X).explained_variance_) == model.n_components_


# ------------------------------------------------------------ size by what it explains


def test_a_share_keeps_the_fewest_components_that_explain_it():
    model = skae.AutoencoderTransformer(0.7, max_iter=60, random_state=0).fit(TRAIN)
    assert model.validation_score_ >= 0.7
    assert model.n_components_ < PCA(0.7).fit(TRAIN).n_components_
    assert model.transform(TEST).shape[1] == model.n_components_ == len(model.explained_variance_ratio_)
    assert model.get_params()["n_components"] == 0.7
    *before, last = model.cumulative_explained_variance_
    assert max(before) < 0.7 <= last
    assert clone(model).n_components == 0.7


def test_a_share_out_of_reach_keeps_all_and_warns():
    X = np.random.default_rng(0).standard_normal((60, 4))
    with pytest.warns(ConvergenceWarning, match="the 4 components"):
        model = skae.AutoencoderTransformer(
            0.999999, max_iter=2, loss="huber", init="random", random_state=0
        ).fit(X)
    assert model.n_components_ == 4


@pytest.mark.parametrize(
    ("curve", "size"), [([0.9, 0.91, 0.92], 1), ([0.3, 0.6, 0.9, 0.91, 0.92, 0.93], 3), ([0.5], 1)]
)
def test_the_knee_is_where_the_curve_is_farthest_above_its_chord(curve, size):
    assert knee(np.array(curve)) == chosen_size("elbow", np.array(curve)) == size


def test_the_knee_of_a_fit():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((10, 2)))[0].T
    X = rng.standard_normal((300, 2)) @ axes + 0.05 * rng.standard_normal((300, 10))
    model = skae.AutoencoderTransformer("elbow", max_iter=3, random_state=0).fit(X)
    assert model.n_components_ == 2


def test_a_search_chooses_among_shares_and_numbers():
    search = GridSearchCV(
        skae.AutoencoderTransformer(max_iter=2, random_state=0), {"n_components": [2, 0.8, 1]}, cv=2
    ).fit(TRAIN[:300])
    two, share, one = search.cv_results_["mean_test_score"]
    # A little less of new rows than of those that the number of components was chosen by.
    assert one < two < 0.75 < share < 0.9
    assert search.best_params_ == {"n_components": 0.8}
    assert 2 < search.best_estimator_.n_components_ < 64


class Halved(torch.nn.Module):
    """A network of two columns whose codes are rows, and which gives them back as PCA does, or half of it."""

    def __init__(self):
        super().__init__()
        self.bottleneck = Bottleneck()
        self.factor = 1.0

    def filled(self, rows):
        return rows, None

    def pre_code(self, rows):
        return rows

    def decode(self, code, kept=None):
        return self.factor * (code if kept is None else code * kept)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "charges"),
    [
        (skae.AutoencoderTransformer(2), True),
        (skae.AutoencoderTransformer("elbow"), True),
        (skae.DenoisingAutoencoderTransformer(2), True),
        # Neither starts as PCA, which would say what may be expected of a size.
        (skae.AutoencoderTransformer(2, init="random"), False),
        (skae.AutoencoderTransformer(2, loss="huber"), False),
    ],
    ids=["number", "elbow", "denoising", "random", "huber"],
)
def test_an_epoch_is_charged_where_sizes_are_worse_than_pca(model, charges):
    model.set_params(ordered=True, max_iter=1, random_state=0).fit(TRAIN[:100, 20:22])
    rows, network = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), Halved()
    held_out = HeldOut(network, model.objective_, rows)
    held_out()
    network.factor = 0.5
    validation = held_out()
    uncharged = model.objective_.evaluate(network, Batch(rows, rows)).loss.mean()
    # A quarter of what was explained is missed more: of 4 in 5 at the first size, of all at the second.
    assert validation.loss - float(uncharged) == pytest.approx(3 * 0.25 if charges else 0.0, abs=1e-5)


# ------------------------------------------------------------ errors


def test_what_has_no_order_says_so():
    model = skae.AutoencoderTransformer(2, max_iter=2, random_state=0)
    with pytest.raises(NotFittedError):
        model.truncated(1)
    model.fit(TRAIN)
    for call in (lambda: model.truncated(1), lambda: model.cumulative_explained_variance(TEST)):
        with pytest.raises(ValueError, match="ordered=True"):
            call()
    with pytest.raises(ValueError, match="1 columns"):
        model.inverse_transform(np.zeros((2, 1)))


@pytest.mark.parametrize("size", [0, 7, 2.0, "2", True])
def test_sizes_that_are_not_there_are_refused(model, size):
    with pytest.raises(ValueError, match="n_components must be a whole number in 1 to 6"):
        model.truncated(size)
    with pytest.raises(ValueError, match="7 columns"):
        model.inverse_transform(np.zeros((2, 7)))


def test_what_was_cut_is_not_trained_further(model):
    shorter = model.truncated(3)
    with pytest.raises(ValueError, match="cut after 3 of its 6"):
        shorter.partial_fit(TRAIN)
    with pytest.raises(ValueError, match="cut after 3 of its 6"):
        shorter.set_params(warm_start=True).fit(TRAIN)
    refitted = shorter.set_params(warm_start=False, max_iter=2).fit(TRAIN)
    assert refitted.network_.n_kept is None


def test_in_parts_a_share_gives_as_many_as_the_first_call_trains():
    model = skae.AutoencoderTransformer(0.5, random_state=0).partial_fit(TRAIN[:400])
    size = model.n_components_
    assert PCA(0.5).fit(TRAIN[:400]).n_components_ <= size < 64
    assert model.partial_fit(TRAIN[400:]).transform(TEST).shape[1] == model.n_components_ == size
    assert model.truncated(2).transform(TEST).shape[1] == 2


@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VariationalAutoencoderTransformer])
def test_after_a_fit_with_a_share_as_many_go_on(kind):
    model = kind(0.5, max_iter=20, random_state=0).fit(TRAIN)
    size, before = model.n_components_, model.score(TEST)
    assert size < model.network_.n_components
    for _ in range(3):
        model.partial_fit(TRAIN)
    assert model.transform(TEST).shape[1] == model.n_components_ == size
    assert model.score(TEST) != before
    assert model.truncated(1).transform(TEST).shape[1] == 1
    with pytest.raises(ValueError, match="cannot be trained further"):
        model.set_params(warm_start=True).fit(TRAIN)


@pytest.mark.parametrize("n_components", [0, 1.0, 1.5, -0.5, "knee", True])
def test_other_sizes_are_refused(n_components):
    with pytest.raises(ValueError, match="n_components"):
        skae.AutoencoderTransformer(n_components).fit(TRAIN)


def test_kinds_without_an_order_refuse_it():
    with pytest.raises(ValueError, match="real numbers"):
        skae.BinaryAutoencoderTransformer(ordered=True).fit(TRAIN)
    with pytest.raises(ValueError, match="objective='elbo'"):
        skae.VariationalAutoencoderTransformer(ordered=True, objective="iwae").fit(TRAIN)
    with pytest.raises(ValueError, match="recirculation"):
        skae.AutoencoderTransformer(ordered=True, solver="recirculation", hidden_layer_sizes=()).fit(TRAIN)
    for kind in (skae.BinaryAutoencoderTransformer, skae.SparseAutoencoderTransformer):
        with pytest.raises(ValueError, match="n_components"):
            kind(0.9).fit(TRAIN)


def test_a_warning_names_the_size_at_which_pca_is_ahead():
    settings = {
        "init": "random",
        "linear_path": False,
        "max_iter": 2,
        "solver": "sgd",
        "learning_rate_init": 1e-4,
    }
    with pytest.warns(ConvergenceWarning, match=r"The first \d ordered components explain"):
        skae.AutoencoderTransformer(3, ordered=True, random_state=0, **settings).fit(TRAIN)


def files_of(call):
    """Return the names of the files of skae that a call passes through."""
    found = set()

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and "skae" in path.parts:
            found.add(f"{path.parent.name}/{path.name}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found


ORDER = {"estimators/_ordered.py", "objectives/nested.py", "training/fitted.py"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("n_rows", "n_components"), [(10, None), (40, 2), (1000, None)], ids=["none held out", "folds", "split"]
)
def test_fits_without_order_do_not_enter_its_modules(n_rows, n_components):
    X = np.random.default_rng(0).standard_normal((n_rows, 5))
    model = skae.AutoencoderTransformer(n_components, hidden_layer_sizes=4, max_iter=1, random_state=0)
    assert not files_of(lambda: model.fit(X)) & ORDER
    assert not files_of(lambda: model.partial_fit(X)) & ORDER
    assert not files_of(lambda: model.set_params(warm_start=True).fit(X)) & ORDER
    assert not files_of(lambda: model.inverse_transform(model.transform(X))) & ORDER
    assert files_of(lambda: clone(model).set_params(ordered=True, n_components=2).fit(X)) >= ORDER


def test_no_pca_is_run_before_all_parameters_are_checked(monkeypatch):
    def fail(*arguments):
        raise AssertionError("too early")

    monkeypatch.setattr(skae.estimators._ordered, "principal_axes", fail)
    with pytest.raises(ValueError, match="relu"):
        skae.AutoencoderTransformer(0.5, loss="poisson", output_activation="relu").fit(TRAIN)
    with pytest.raises(AssertionError, match="too early"):
        skae.AutoencoderTransformer(0.5).fit(TRAIN)

"""What a user of SparseAutoencoderTransformer may rely on."""

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import SparseAutoencoderTransformer
from skae.metrics import variance_explained
from skae.networks import Dense, Dictionary

BRIEF = {"max_iter": 10, "random_state": 0}
DEEP = Dense((16,))
PENALTIES = ["topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl"]


@pytest.fixture(scope="module")
def mixtures():
    """1,500 rows of 20 columns, each a sum of 3 of 30 hidden atoms, and the atoms."""
    random = np.random.RandomState(0)
    atoms = random.standard_normal((30, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((1500, 30))
    for row in codes:
        row[random.choice(30, 3, replace=False)] = random.uniform(1, 2, 3)
    return codes @ atoms + 0.01 * random.standard_normal((1500, 20)), atoms


def test_the_atoms_of_mixtures_are_found(mixtures):
    X, atoms = mixtures
    model = SparseAutoencoderTransformer(60, n_active=4, inference="omp", random_state=0).fit(X)
    found = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)
    closest = (found @ atoms.T).max(axis=0)
    assert np.mean(closest > 0.9) > 0.5
    # as many active codes as PCA has components
    assert model.score(X) > variance_explained(PCA(4).fit(X), X) + 0.2


@pytest.mark.parametrize("penalty", PENALTIES)
def test_what_is_told_of_the_codes_is_so(mixtures, penalty):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, penalty=penalty, early_stopping=False, **BRIEF).fit(X)
    active = model.transform(X) > (0.5 if penalty == "kl" else 0)
    np.testing.assert_allclose(active.mean(axis=0), model.activation_frequency_, atol=1e-3)
    assert active.sum(axis=1).mean() == pytest.approx(model.n_active_, rel=1e-2)
    assert set(model.dead_components_) == set(np.flatnonzero(model.activation_frequency_ == 0))
    assert model.components_.shape == (40, 20)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{}, {"network": DEEP}], ids=["atoms", "deep"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_folds_of_few_rows_are_trained_with_every_penalty(mixtures, penalty, settings):
    if penalty == "gated" and settings:
        pytest.skip("gates belong to atoms")
    X = mixtures[0][:60]
    model = SparseAutoencoderTransformer(12, penalty=penalty, max_iter=3, random_state=0, **settings)
    # What the folds leave behind is a network like any other.
    assert np.isfinite(model.fit(X).transform(X)).all()
    assert model.validation_scores_[-1] == pytest.approx(model.validation_scores_[0], abs=1)


def test_rows_are_sums_of_atoms(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, **BRIEF).fit(X)
    Z = model.transform(X)
    constant = model.inverse_transform(np.zeros((1, 40)))
    np.testing.assert_allclose(model.inverse_transform(Z), Z @ model.components_ + constant, atol=1e-5)


def test_topk_keeps_at_most_so_many(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, n_active=3, **BRIEF).fit(X)
    assert (model.transform(X) != 0).sum(axis=1).max() == 3


def test_more_codes_than_training_kept_may_be_read(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, n_active=3, **BRIEF).fit(X)
    few = model.transform(X)
    more = model.set_params(n_active=6).transform(X)
    assert 3 < (more != 0).sum(axis=1).max() <= 6
    np.testing.assert_array_equal(more[few != 0], few[few != 0])  # those are kept as they are
    assert (model.set_params(n_active=1000).transform(X) >= more).all()


def test_a_code_of_batch_topk_does_not_depend_on_its_neighbours(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, penalty="batch_topk", n_active=3, **BRIEF).fit(X)
    together = model.transform(X[:50])
    np.testing.assert_allclose(together[7], model.transform(X[7:8])[0], rtol=1e-12)
    assert model.n_active_ == pytest.approx(3, abs=1)


@pytest.mark.parametrize("penalty", ["l1", "l2", "gated"])
def test_more_alpha_makes_codes_smaller(mixtures, penalty):
    X, _ = mixtures
    sizes = [
        np.abs(
            SparseAutoencoderTransformer(40, penalty=penalty, alpha=alpha, max_iter=15, random_state=0)
            .fit(X)
            .transform(X)
        ).sum()
        for alpha in (1e-3, 1e-1)
    ]
    assert sizes[1] < 0.8 * sizes[0]


def test_kl_moves_the_frequency_to_its_target(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, penalty="kl", alpha=10.0, sparsity_target=0.1, random_state=0)
    assert model.fit(X).transform(X).mean(axis=0) == pytest.approx(np.full(40, 0.1), abs=0.05)


@pytest.mark.slow
def test_alpha_means_the_same_for_any_batch(mixtures):
    X, _ = mixtures
    sizes = [
        np.abs(
            SparseAutoencoderTransformer(
                40, penalty="l1", alpha=0.03, batch_size=size, max_iter=100, random_state=0
            )
            .fit(X)
            .transform(X)
        )
        .sum(axis=1)
        .mean()
        for size in (64, 256)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.15)


def test_sparse_output_and_back(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, **BRIEF).fit(X)
    dense = model.transform(X)
    codes = model.set_params(sparse_output=True).transform(X)
    assert issparse(codes)
    assert codes.format == "csr"
    np.testing.assert_array_equal(codes.toarray(), dense)
    np.testing.assert_array_equal(model.inverse_transform(codes), model.inverse_transform(dense))


@pytest.mark.parametrize("inference", ["omp", "lasso"])
def test_searched_codes_fit_better_than_the_encoder(mixtures, inference):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, n_active=4, alpha=0.02, **BRIEF).fit(X)
    by_encoder = model.score(X[:200])
    assert model.set_params(inference=inference).score(X[:200]) > by_encoder
    assert model.transform(X[:5].astype(np.float32)).dtype == np.float32


def test_matching_pursuit_of_more_atoms_than_columns_gives_all_back(mixtures):
    X = mixtures[0][:, :4]
    model = SparseAutoencoderTransformer(40, n_active=10, inference="omp", **BRIEF).fit(X)
    assert model.score(X[:100]) == pytest.approx(1.0)
    assert (model.transform(X[:100]) != 0).sum(axis=1).max() <= 4


def test_debias_undoes_the_shrinking_of_l1(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, penalty="l1", alpha=0.1, random_state=0, max_iter=60).fit(X)
    shrunk, before = model.transform(X), model.score(X)
    refitted = model.set_params(debias=True).transform(X)
    np.testing.assert_array_equal(refitted != 0, shrunk != 0)
    assert model.score(X) > before


def test_the_most_excited_rows_come_first(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, **BRIEF).fit(X)
    component = int(model.activation_frequency_.argmax())
    rows = model.top_activating(X, component, n=5)
    codes = model.transform(X)[:, component]
    np.testing.assert_array_equal(codes[rows], np.sort(codes)[::-1][:5])
    with pytest.raises(ValueError, match="component must be a whole number in 0 to 39"):
        model.top_activating(X, 40)


@pytest.mark.slow
def test_revival_leaves_fewer_dead(digits):
    dead = {
        revival: len(
            SparseAutoencoderTransformer(
                256, n_active=4, revival=revival, learning_rate_init=0.05, max_iter=40, random_state=0
            )
            .fit(digits)
            .dead_components_
        )
        for revival in ("resample", "auxiliary", None)
    }
    assert dead["resample"] < dead[None] / 4
    assert dead["auxiliary"] < dead[None]


@pytest.mark.parametrize("penalty", ["jumprelu", "gated"])
def test_more_alpha_leaves_fewer_active(mixtures, penalty):
    X, _ = mixtures
    models = [
        SparseAutoencoderTransformer(40, penalty=penalty, alpha=alpha, max_iter=15, random_state=0).fit(X)
        for alpha in (1e-2, 3e-1)
    ]
    assert models[1].n_active_ < 0.8 * models[0].n_active_


@pytest.mark.slow
def test_codes_that_jump_shrink_less_than_those_of_l1(mixtures):
    X, _ = mixtures
    slopes = {}
    for penalty in ("jumprelu", "gated", "l1"):
        model = SparseAutoencoderTransformer(40, penalty=penalty, alpha=0.3, max_iter=40, random_state=0).fit(
            X
        )
        X_back = model.reconstruct(X)
        slopes[penalty] = (X * X_back).sum() / (X * X).sum()
    assert slopes["l1"] < slopes["gated"]
    assert slopes["l1"] < slopes["jumprelu"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"linear_path": True}, "linear_path=True would write a part of each row beside the atoms"),
        ({"linear_path": True, "network": Dictionary((8,))}, "linear_path=True would write a part"),
        ({"tied_weights": True}, "tied_weights=True is not for a dictionary"),
        (
            {"network": DEEP, "penalty": "gated"},
            "penalty='gated' needs the atoms .* network is Dense. Use one of",
        ),
        ({"network": DEEP, "revival": "auxiliary"}, "revival='auxiliary' needs the atoms"),
        ({"network": DEEP, "inference": "omp"}, "inference='omp' needs the atoms of a dictionary"),
        ({"network": DEEP, "inference": "lasso"}, "inference='lasso' needs the atoms of a dictionary"),
        ({"network": DEEP, "debias": True}, "debias=True needs the atoms of a dictionary"),
        ({"revival": "all"}, "'revival' parameter"),
        ({"penalty": "l0"}, "'penalty' parameter"),
        ({"n_active": 0}, "'n_active' parameter"),
        ({"sparsity_target": 1.0}, "'sparsity_target' parameter"),
    ],
)
def test_bad_settings_are_told_before_training(mixtures, settings, message):
    model = SparseAutoencoderTransformer(8, **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(mixtures[0])
    assert not hasattr(model, "network_")


@pytest.mark.slow
def test_a_search_over_size_and_penalty(mixtures):
    X = mixtures[0][:600]
    y = X[:, 0] > 0
    model = SparseAutoencoderTransformer(validation_fraction=0.2, **BRIEF)
    pipe = make_pipeline(StandardScaler(), model, LogisticRegression())
    name = "sparseautoencodertransformer__"
    grid = {f"{name}n_components": [8, 30], f"{name}penalty": ["l1", "kl", "topk"]}
    search = GridSearchCV(pipe, grid, cv=2, scoring="roc_auc", error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("settings", [{"inference": "omp"}, {"debias": True}])
def test_sums_of_atoms_are_not_searched_behind_a_link(digits, settings):
    model = SparseAutoencoderTransformer(16, loss="binary_crossentropy", **BRIEF).fit(digits)
    assert model.transform(digits).shape == (1797, 16)
    with pytest.raises(ValueError, match="passes through a link"):
        model.set_params(**settings).transform(digits)


def test_partial_fit_pushes_with_the_whole_penalty(mixtures):
    X, _ = mixtures
    sizes = []
    for alpha in (0.0, 1.0):
        model = SparseAutoencoderTransformer(30, penalty="l1", alpha=alpha, random_state=0)
        for _ in range(60):
            model.partial_fit(X[:300])
        sizes.append(np.abs(model.transform(X)).sum())
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize(("inference", "settings"), [("lasso", {"alpha": 1e-6}), ("omp", {"n_active": 8})])
def test_searches_warn_once_and_leave_the_global_generator_alone(inference, settings):
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 2)) @ random.normal(size=(2, 8))
    settings = {"inference": inference, "max_iter": 3, "random_state": 0, **settings}
    model = SparseAutoencoderTransformer(30, **settings).fit(X)
    if inference == "omp":
        # Collinear atoms: after the first one nothing can be added.
        model.network_.decoder.directions[:, 1:] = model.network_.decoder.directions[:, :1]
    before = np.random.get_state()
    with pytest.warns(ConvergenceWarning, match=f"inference='{inference}' ended early for") as caught:
        codes = model.transform(X)
    assert len(caught) == 1
    assert np.isfinite(codes).all()
    after = np.random.get_state()
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])


DEEP_PENALTIES = [penalty for penalty in PENALTIES if penalty != "gated"]


@pytest.mark.slow
@pytest.mark.parametrize("penalty", DEEP_PENALTIES)
def test_a_deep_one_codes_rows_by_few_components(mixtures, penalty):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, network=DEEP, penalty=penalty, n_active=6, random_state=0)
    model.set_params(max_iter=30).fit(X)
    codes = model.transform(X)
    active = codes > (0.5 if penalty == "kl" else 0)
    assert codes.min() >= 0
    assert 0 < active.sum(axis=1).mean() < 30
    assert active.sum(axis=1).mean() == pytest.approx(model.n_active_, rel=0.05)
    assert model.score(X) > 0.1
    assert model.objective_.revival is None
    assert set(model.top_activating(X, int(model.activation_frequency_.argmax()), n=3)) <= set(range(len(X)))


def test_a_deep_one_has_no_atoms_and_says_so(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(40, **BRIEF).fit(X)
    assert model.components_.shape == (40, 20)
    model.set_params(network=DEEP).fit(X)
    assert not hasattr(model, "components_")
    with pytest.raises(AttributeError, match="of other networks have no atoms: decoder_ maps codes to rows"):
        _ = model.components_
    for settings in ({"inference": "omp"}, {"debias": True}):
        with pytest.raises(ValueError, match="Sparse.* has none. Use inference='encoder'"):
            clone(model).fit(X).set_params(**settings).transform(X)


def test_thresholds_of_a_deep_one_start_where_so_many_codes_are_above(mixtures):
    X, _ = mixtures
    for penalty in ("jumprelu", "batch_topk"):
        model = SparseAutoencoderTransformer(40, network=DEEP, penalty=penalty, n_active=5, random_state=0)
        # One tiny step: what the network starts at.
        model.set_params(max_iter=1, batch_size=1500, learning_rate_init=1e-9, early_stopping=False).fit(X)
        assert model.n_active_ == pytest.approx(5, abs=0.5)


def test_a_linear_path_may_run_beside_a_deep_one(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(20, network=DEEP, linear_path=True, n_active=6, **BRIEF).fit(X)
    assert (model.transform(X) != 0).sum(axis=1).max() <= 6
    assert model.network_.linear_encoder is not None
    # The best affine decoder for codes of PCA that are cut explains something before the first step.
    assert 0.1 < model.validation_scores_[0] < model.validation_score_


def test_a_deep_one_may_be_ordered(mixtures):
    X, _ = mixtures
    model = SparseAutoencoderTransformer(12, network=DEEP, ordered=True, n_active=4, **BRIEF).fit(X)
    shorter = model.truncated(5)
    np.testing.assert_array_equal(shorter.transform(X), model.transform(X)[:, :5])
    assert shorter.activation_frequency_.shape == (5,)


@pytest.mark.parametrize("settings", [{"dropout": 0.5}, {"batch_norm": True}])
def test_hidden_layers_of_a_dictionary_may_drop_units_and_be_normalised(mixtures, settings):
    X, _ = mixtures
    plain = SparseAutoencoderTransformer(30, hidden_layer_sizes=16, **BRIEF).fit(X)
    other = clone(plain).set_params(**settings).fit(X)
    assert other.score(X) > 0.1
    assert not np.allclose(other.transform(X), plain.transform(X))
    np.testing.assert_allclose(other.transform(X[:5]), other.transform(X)[:5], rtol=1e-6, atol=1e-6)


def test_a_network_given_says_itself_whether_its_weights_are_tied(mixtures):
    X, _ = mixtures
    tied = Dense((8,), tied_weights=True)
    model = SparseAutoencoderTransformer(10, network=tied, tied_weights=True, **BRIEF).fit(X)
    assert model.score(X) > 0


def test_a_number_of_active_components_set_after_the_fit_is_checked():
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = SparseAutoencoderTransformer(8, max_iter=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="n_active"):
        model.set_params(n_active=-3).transform(X)

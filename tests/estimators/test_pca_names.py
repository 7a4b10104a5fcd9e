import copy
import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

import skae
from skae import AutoencoderTransformer, SparseAutoencoderTransformer, VariationalAutoencoderTransformer
from skae.estimators._checks import Interval
from skae.tasks import AutoencoderOutlierDetector

FAMILY = [getattr(skae, name) for name in skae.__all__ if name.endswith("Transformer")]
READ = [name for name in vars(PCA(2).fit(np.eye(4))) if name.endswith("_") and not name.startswith("_")]


def quick(n_components=None, **params):
    return AutoencoderTransformer(n_components, max_iter=2, random_state=0, **params)


@pytest.mark.parametrize("name", sorted({*READ, "get_covariance", "get_precision"}))
@pytest.mark.parametrize("Estimator", FAMILY)
def test_what_pca_has_is_there_or_says_what_to_use(Estimator, name, wine):
    model = Estimator(2, max_iter=2, random_state=0, device="cpu")
    model.partial_fit(wine)
    if hasattr(model, name):
        assert getattr(model, name) is not None
        return
    with pytest.raises(
        AttributeError, match=rf"{Estimator.__name__}. object has no attribute '{name}': .{{30,}}"
    ):
        getattr(model, name)


@pytest.mark.parametrize("name", ["explained_variance_ratio_", "explained_variance_"])
def test_shares_of_components_name_the_parameter_that_gives_them(name, wine):
    for model in (quick(2), quick(2).fit(wine)):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match="ordered=True"):
            getattr(model, name)
    assert len(getattr(quick(2, ordered=True).fit(wine), name)) == 2


def test_shares_of_an_earlier_fit_are_forgotten(wine):
    model = quick(2, ordered=True).fit(wine).set_params(ordered=False).fit(wine)
    assert not hasattr(model, "explained_variance_ratio_")
    assert not hasattr(model, "explained_variance_")


def test_explained_variance_is_in_units_of_the_data(wine):
    X = wine * np.arange(1, 14)
    model = quick(4, ordered=True).fit(X)
    total = np.var(X, axis=0, ddof=1).sum()
    np.testing.assert_allclose(model.explained_variance_, model.explained_variance_ratio_ * total)
    np.testing.assert_allclose(model.explained_variance_, PCA(4).fit(X).explained_variance_, rtol=0.2)
    assert len(model.truncated(2).explained_variance_) == 2
    np.testing.assert_array_equal(quick(2, ordered=True).fit(np.full((30, 3), 7.3)).explained_variance_, 0)


def test_number_of_samples(wine):
    weight = np.ones(len(wine))
    weight[:8] = 0
    assert quick(2).fit(wine).n_samples_ == 178
    assert quick(2).fit(wine, sample_weight=weight).n_samples_ == 170
    assert quick(2).partial_fit(wine[:100]).partial_fit(wine[100:]).n_samples_ == 178
    in_parts = quick(2).partial_fit(wine, sample_weight=weight)
    assert in_parts.n_samples_ == 170
    assert in_parts.partial_fit(wine, sample_weight=weight).n_samples_ == 340


@pytest.mark.parametrize("parameter", sorted(set(inspect.signature(PCA).parameters)))
@pytest.mark.parametrize("Estimator", FAMILY)
def test_parameters_of_pca_are_there_or_say_what_to_do(Estimator, parameter):
    value = getattr(PCA(2), parameter)
    if parameter in inspect.signature(Estimator).parameters:
        Estimator(**{parameter: value})
        return
    with pytest.raises(TypeError, match=f"unexpected keyword argument {parameter!r}: .* leave it out"):
        Estimator(**{parameter: value})
    assert not hasattr(Estimator(), parameter)


def test_other_mistakes_are_those_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'whitening'$"):
        AutoencoderTransformer(whitening=True)


def test_a_subclass_may_have_such_a_parameter():
    class Whitened(AutoencoderTransformer):
        """One that has it."""

        whiten: bool = False

    assert Whitened(whiten=True).whiten is True
    assert Whitened().whiten is False
    assert clone(Whitened(whiten=True)).get_params()["whiten"] is True


def test_names_that_are_elsewhere_do_not_get_in_the_way(wine):
    model = quick(2).fit(wine)
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.transform(wine), model.transform(wine))
    assert "whiten" not in model.get_params()
    assert "singular_values_" not in model._repr_html_()


def test_variants_say_that_fit_sets_what_they_have(wine):
    with pytest.raises(AttributeError, match="components_.: fit sets it"):
        SparseAutoencoderTransformer().components_  # noqa: B018
    with pytest.raises(AttributeError, match="noise_variance_.: fit sets it"):
        VariationalAutoencoderTransformer().noise_variance_  # noqa: B018


@pytest.mark.parametrize("Estimator", FAMILY)
def test_no_number_of_components_is_all_of_them(Estimator, wine):
    model = Estimator(None, max_iter=2, random_state=0)
    assert model.partial_fit(wine).n_components_ == 13
    assert clone(model).partial_fit(wine[:5]).n_components_ == 5
    assert model.partial_fit(wine[:1]).n_components_ == 13


def test_all_components_count_rows_that_are_held_out(wine):
    model = quick(validation_fraction=0.5).fit(wine[:24, :13])
    assert model.n_components_ == 13
    assert quick().fit(wine[:7]).n_components_ == PCA().fit(wine[:7]).n_components_ == 7
    assert quick().fit(wine).score(wine) == pytest.approx(1)
    assert len(quick(ordered=True).fit(wine).explained_variance_ratio_) == 13


def test_a_warm_start_keeps_all_components(wine):
    model = quick(warm_start=True).fit(wine)
    assert model.fit(wine[:6]).n_components_ == 13


@pytest.mark.parametrize("n_components", [np.int64(3), np.uint8(3)])
def test_integers_of_numpy_are_numbers_of_components(n_components, wine):
    model = quick(n_components).fit(wine)
    assert model.n_components_ == 3
    assert type(model.n_components_) is int


NUMBERS = [
    (Estimator, name)
    for Estimator in (*FAMILY, AutoencoderOutlierDetector)
    for name, constraints in Estimator._parameter_constraints.items()
    if any(isinstance(constraint, Interval) for constraint in constraints)
]


@pytest.mark.parametrize(("Estimator", "name"), NUMBERS)
def test_truth_values_are_no_numbers(Estimator, name, wine):
    for value in (True, False):
        model = Estimator(**{name: value})
        with pytest.raises((ValueError, TypeError), match=name):
            model.fit(wine)
        assert not hasattr(model, "n_features_in_")

import pytest
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, BinaryAutoencoderTransformer

X = load_iris().data


def test_a_fitted_estimator_shows_its_figures_beside_what_scikit_learn_shows():
    model = AutoencoderTransformer(2, ordered=True, max_iter=3, random_state=0).fit(X)
    page = model._repr_html_()
    for score in (model.validation_score_, model.pca_score_):
        assert f"{score:.4f}" in page
    assert "2, ordered" in page
    assert f"{model.fit_time_:.2g} s" in page
    # scikit-learn's own: parameters and fitted attributes.
    assert "max_iter" in page
    assert "Fitted attributes" in page
    assert page.count("PCA with as many components") == 1


def test_figures_are_shown_within_a_pipeline():
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_iter=3, random_state=0)).fit(X)
    assert f"{pipe[-1].validation_score_:.4f}" in pipe._repr_html_()


def test_before_a_fit_there_are_none():
    assert "PCA with as many" not in AutoencoderTransformer()._repr_html_()


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, early_stopping=False, max_iter=2, random_state=0).fit(X),
        AutoencoderTransformer(2, random_state=0).partial_fit(X),
        BinaryAutoencoderTransformer(4, max_iter=2, random_state=0).fit(X),
    ],
    ids=["nothing held out", "partial_fit", "bits"],
)
def test_figures_that_are_not_known_are_left_out(model):
    page = model._repr_html_()
    assert "Epochs" in page
    assert ("PCA with as many" in page) == (model.validation_score_ is not None)
    assert (">Time<" in page) == hasattr(model, "fit_time_")


def test_text_stays_text_where_diagrams_are_off():
    model = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert set(model._repr_mimebundle_()) == {"text/plain"}

"""mlflow: models are logged with defaults and loaded again, by both of its doors."""

import re
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer, VariationalAutoencoderTransformer
from skae.tasks import AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Its own, of what it calls itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store on disk; to make one takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'runs.db'}")
    return folder


@pytest.fixture(autouse=True)
def experiment(store, request, monkeypatch):
    """An experiment for each test, and no process that finds out which packages a model needs."""
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")
    mlflow.create_experiment(request.node.name, artifact_location=(store / "artifacts").as_uri())
    mlflow.set_experiment(request.node.name)
    yield
    mlflow.sklearn.autolog(disable=True)
    while mlflow.active_run():
        mlflow.end_run()


# Its default format makes nothing that is not scikit-learn's or named here.
TRUSTED = [
    "skae.estimators.autoencoder.AutoencoderTransformer",
    "skae.estimators.denoising.DenoisingAutoencoderTransformer",
    "skae.estimators.variational.VariationalAutoencoderTransformer",
    "skae.tasks.imputation.AutoencoderImputer",
    "skae.tasks.outliers.AutoencoderOutlierDetector",
]


def logged(model, skops_trusted_types=TRUSTED, **settings):
    with mlflow.start_run():
        return mlflow.sklearn.log_model(
            model,
            name="model",
            pip_requirements=["skae"],
            skops_trusted_types=skops_trusted_types,
            **settings,
        ).model_uri


def test_a_file_without_code_is_an_artifact(iris):
    """For models that come from elsewhere: what skops may make, mlflow reads from the model itself."""
    X, _ = iris
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        skae.save(model, Path(folder) / "model.skae")
        mlflow.log_artifact(Path(folder) / "model.skae")
    back = skae.load(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model.skae"))
    np.testing.assert_array_equal(back.transform(X), model.transform(X))


def test_types_that_are_not_trusted_are_named(iris):
    model = AutoencoderTransformer(2, **BRIEF).fit(iris[0])
    # No other than the class itself.
    with pytest.raises(mlflow.MlflowException, match=rf"skops_trusted_types.*\['{re.escape(TRUSTED[0])}'\]"):
        logged(model, skops_trusted_types=None)


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, **BRIEF),
        DenoisingAutoencoderTransformer(2, **BRIEF),
        VariationalAutoencoderTransformer(2, **BRIEF),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_on_codes_comes_back_by_both_doors(iris, model):
    X, y = iris
    pipe = make_pipeline(StandardScaler(), model, LogisticRegression()).fit(X, y)
    uri = logged(pipe, signature=infer_signature(X, pipe.predict(X)))
    np.testing.assert_array_equal(mlflow.sklearn.load_model(uri).predict_proba(X), pipe.predict_proba(X))
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(uri).predict(X), pipe.predict(X))


def test_a_reducer_alone_comes_back(iris):
    X, _ = iris
    model = AutoencoderTransformer(2, ordered=True, scaling="standard", **BRIEF).fit(X)
    # Its other door knows predictions only, and so no reducers.
    back = mlflow.sklearn.load_model(logged(model))
    np.testing.assert_array_equal(back.transform(X), model.transform(X))
    np.testing.assert_array_equal(
        back.inverse_transform(back.transform(X)), model.inverse_transform(model.transform(X))
    )


def test_a_model_of_a_mixed_table_comes_back(mixed):
    X, y = mixed
    pipe = make_pipeline(AutoencoderTransformer(3, scaling="standard", **BRIEF), LogisticRegression()).fit(
        X, y
    )
    back = mlflow.sklearn.load_model(logged(pipe))
    np.testing.assert_array_equal(back.predict_proba(X), pipe.predict_proba(X))


def test_an_outlier_detector_comes_back(iris):
    X, _ = iris
    model = AutoencoderOutlierDetector(
        AutoencoderTransformer(2, **BRIEF), n_estimators=2, random_state=0
    ).fit(X)
    uri = logged(model, input_example=X[:2])
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(uri).predict(X), model.predict(X))
    np.testing.assert_array_equal(mlflow.sklearn.load_model(uri).score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("serialization_format", ["skops", "cloudpickle"])
def test_formats_that_are_asked_for(iris, serialization_format):
    X, _ = iris
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    back = mlflow.sklearn.load_model(logged(model, serialization_format=serialization_format))
    np.testing.assert_array_equal(back.transform(X), model.transform(X))


def test_autolog_of_a_fit(iris):
    X, _ = iris
    # Its own default format is cloudpickle, which needs no list of types.
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        # It watches the estimators of scikit-learn, Pipeline among them.
        model = make_pipeline(AutoencoderTransformer(2, **BRIEF)).fit(X)
    data = mlflow.get_run(run.info.run_id).data
    assert data.params["autoencodertransformer__n_components"] == "2"
    assert data.params["autoencodertransformer__max_iter"] == "3"
    models = mlflow.search_logged_models(output_format="list")
    assert len(models) == 1
    back = mlflow.sklearn.load_model(models[0].model_uri)
    np.testing.assert_array_equal(back.transform(X), model.transform(X))


def test_autolog_of_a_search(iris):
    X, y = iris
    mlflow.sklearn.autolog(max_tuning_runs=2)
    pipe = make_pipeline(AutoencoderTransformer(2, **BRIEF), LogisticRegression(max_iter=1000))
    with mlflow.start_run() as run:
        search = GridSearchCV(pipe, {"autoencodertransformer__n_components": [1, 2]}, cv=2).fit(X, y)
    data = mlflow.get_run(run.info.run_id).data
    assert data.metrics["best_cv_score"] == pytest.approx(search.best_score_)
    assert data.params["best_autoencodertransformer__n_components"] in ("1", "2")
    children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert len(children) == 2


def test_curves_are_logged_as_metrics(iris):
    X, _ = iris
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    with mlflow.start_run() as run:
        for epoch, loss in enumerate(model.loss_curve_):
            mlflow.log_metric("loss", loss, step=epoch)
        mlflow.log_params(model.get_params())
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.value for point in history] == model.loss_curve_

"""How scikit-learn's searches are entered, and which estimators are understood."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.selection._fits import Failure, take_over
from skae.selection._places import places, signatures, unfitted
from skae.selection._tasks import are_understood, replace_parallel

CODER = AutoencoderTransformer()


def test_what_runs_tasks_is_replaced_for_one_search():
    def search():
        parallel = sum

        def evaluate(numbers):
            return parallel(numbers)

        return evaluate

    one, other = search(), search()
    replace_parallel(one, lambda parallel: lambda numbers: -parallel(numbers))
    assert (one([1, 2]), other([1, 2])) == (-3, 3)


def test_functions_of_another_make_are_left_as_they_are():
    replace_parallel(test_what_runs_tasks_is_replaced_for_one_search, lambda parallel: pytest.fail("called"))
    assert not are_understood([(print, (1, 2), {})])
    assert not are_understood([(print, (1, 2, 3), {"parameters": {}})])


def paths(estimator):
    return ["/".join(place.path) + ("*" if place.is_coder else "") for place in places(estimator)]


def test_places_are_those_up_to_the_last_autoencoder():
    assert paths(CODER) == ["*"]
    assert paths(PCA()) == []
    steps = [("scale", StandardScaler()), ("none", None), ("codes", CODER), ("y", LinearRegression())]
    assert paths(Pipeline(steps)) == ["scale", "codes*"]
    union = FeatureUnion([("pipe", Pipeline(steps[:3])), ("drop", "drop"), ("pca", PCA())])
    columns = ColumnTransformer([("union", union, [0]), ("on", "passthrough", [1])], remainder=PCA())
    assert paths(Pipeline([("a", PCA()), ("columns", columns), ("b", PCA())])) == [
        "a",
        "columns/union/pipe/scale",
        "columns/union/pipe/codes*",
        "columns/union/pca",
        "columns/remainder",
    ]


def test_an_autoencoder_that_is_out_of_reach_is_part_of_a_step():
    voting = VotingRegressor([("one", Pipeline([("codes", CODER), ("y", LinearRegression())]))])
    assert paths(voting) == []
    assert paths(Pipeline([("codes", CODER), ("y", voting)])) == ["codes*"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("a__n_components", "a columns/coded columns/plain"),
        ("a", "a columns/coded columns/plain"),
        ("columns__coded__n_components", "columns/coded"),
        ("columns__plain", "columns/plain"),
        ("columns__sparse_threshold", "columns/coded columns/plain"),
        ("b__n_components", ""),
        ("memory", "a columns/coded columns/plain"),
    ],
)
def test_parameters_tell_apart_what_they_have_a_say_in(name, changed):
    columns = ColumnTransformer([("coded", CODER, [0]), ("plain", PCA(), [1])])
    pipe = Pipeline([("a", PCA()), ("columns", columns), ("b", PCA())])
    told = signatures(pipe, places(pipe), {name: 1})
    assert " ".join("/".join(path) for path, signature in told.items() if signature) == changed


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (True, 1, False),
        ("a", "a", True),
        ((1, 2), (1, 2), True),
        ((1, True), (1, 1), False),
        ([1], (1,), False),
        (None, None, True),
        (PCA(), PCA(), False),
        ({"a": 1}, {"a": 1}, False),
    ],
)
def test_values_are_the_same_setting(one, other, is_same):
    told = [signatures(CODER, places(CODER), {"n_components": value}) for value in (one, other)]
    assert (told[0] == told[1]) == is_same


def test_methods_are_hidden_once():
    pipe = Pipeline([("scale", StandardScaler()), ("codes", AutoencoderTransformer())])
    take_over(pipe, lambda place, method, X, y, params: (place.path, method, X))
    assert pipe["codes"].fit([1]) == (("codes",), "fit", [1])
    assert pipe["scale"].fit_transform([2]) == (("scale",), "fit_transform", [2])
    assert not {"fit", "fit_transform", "__sklearn_clone__"} & vars(pipe["scale"]).keys()
    assert isinstance(unfitted(pipe["scale"]), StandardScaler)


def test_an_error_is_raised_again_from_where_it_came():
    def failing():
        raise RuntimeError("no such luck")

    try:
        failing()
    except RuntimeError as error:
        failure = Failure(error)
    depths = []
    for _ in range(3):
        with pytest.raises(RuntimeError, match="no such luck") as caught:
            failure.raise_again()
        depths.append(len(caught.traceback))
        assert caught.traceback[-1].name == "failing"
    assert len(set(depths)) == 1


def test_clones_of_another_class_are_refused():
    class Odd(BaseEstimator):
        def __sklearn_clone__(self):
            return PCA()

    with pytest.raises(TypeError, match=r"clone of a Odd is a PCA\. Return"):
        unfitted(Odd())

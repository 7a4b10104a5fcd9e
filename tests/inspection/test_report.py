"""The page of a report: what it says, what it holds, and what it must never do with texts of the user's."""

import base64
import hashlib
import html
import importlib
import json
import os
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, BinaryAutoencoderTransformer, SparseAutoencoderTransformer
from skae.inspection._report import report, rows
from skae.networks import Convolutional, Dense
from skae.tasks import AutoencoderOutlierDetector

pytest.importorskip("plotly")
HOSTILE = "<script>alert(1)</script>"


def read(path):
    """Give the page without its scripts, and what it draws."""
    page = Path(path).read_text(encoding="utf-8")
    drawn = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.S)
    return re.sub(r"<script.*?</script>", "", page, flags=re.S), json.loads(drawn[1])


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def autoencoder(iris):
    return AutoencoderTransformer(2, max_iter=5, random_state=0).fit(iris[0])


@pytest.fixture(scope="module")
def page(autoencoder, iris, tmp_path_factory):
    return report(autoencoder, *iris, tmp_path_factory.mktemp("report") / "iris.html")


@pytest.fixture(scope="module")
def table():
    """200 rows with numbers, whole numbers, text, categories, truth values and gaps."""
    random = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "size": random.standard_normal(200),
            "count": random.randint(0, 9, 200),
            "town": random.choice(["here", "there", "far off"], 200),
            "kind": pd.Categorical(random.choice(["a", "b"], 200)),
            "is new": random.random(200) < 0.5,
        },
        index=[f"row {k}" for k in range(200)],
    )
    frame.loc[frame.index[:20], "size"] = np.nan
    frame.loc[frame.index[10:40], "town"] = None
    return frame


@pytest.fixture(scope="module")
def table_model(table):
    return AutoencoderTransformer(2, max_iter=5, random_state=0).fit(table)


def test_sections_stand_in_order(page, autoencoder):
    text, _ = read(page)
    places = [
        text.index(f'id="{name}"')
        for name in (
            "fitted",
            "against",
            "training",
            "loadings",
            "codes",
            "worst",
            "columns",
            "settings",
        )
    ]
    assert places == sorted(places)
    assert 'id="cumulative"' not in text
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>Report of an AutoencoderTransformer</title>" in text
    result = html.unescape(re.search(r'class="result">(.*?)</p>', text)[1])
    assert result.startswith("2 components explain ")
    assert f"{100 * autoencoder.validation_score_:.1f} %" in result


def test_the_path_is_given_back(page):
    assert isinstance(page, Path)
    assert page.name == "iris.html"


def test_what_is_drawn_is_what_the_estimator_says(page, autoencoder, iris):
    X, y = iris
    _, drawn = read(page)
    Z = autoencoder.transform(X)
    assert [part["name"] for part in drawn["components"]] == ["component 0", "component 1"]
    np.testing.assert_allclose(drawn["components"][1]["values"], Z[:, 1], rtol=1e-3)
    np.testing.assert_allclose(drawn["errors"], autoencoder.reconstruction_error(X), rtol=1e-3)
    np.testing.assert_allclose(drawn["columns"][2]["values"], X[:, 2], rtol=1e-3)
    assert drawn["rows"] == list(range(150))
    assert [drawn["y"]["levels"][code] for code in drawn["y"]["codes"]] == [str(value) for value in y]
    worst = np.argsort(-autoencoder.reconstruction_error(X), kind="stable")[:20]
    assert drawn["worst"] == worst.tolist()
    assert drawn["training"]["kept"] == autoencoder.best_iter_
    assert len(drawn["training"]["scores"]) == len(drawn["training"]["loss"]) + 1


def test_the_score_and_the_errors_of_columns_are_those_of_the_estimator(page, autoencoder, iris):
    X = iris[0]
    text, _ = read(page)
    assert f"{100 * autoencoder.score(X):.1f} %" in text
    missed = autoencoder.reconstruction_error(X, per_feature=True).sum(axis=0)
    left = missed / ((X - autoencoder.mean_) ** 2).sum(axis=0)
    section = text[text.index('id="columns"') :]
    for j in range(4):
        assert re.search(rf"column {j}</th>.*?>{100 * left[j]:.1f} %<", section, re.S)


def test_components_are_said_to_be_made_of_columns(page, autoencoder, iris):
    X = iris[0]
    text, _ = read(page)
    section = html.unescape(text[text.index('id="loadings"') : text.index('id="codes"')])
    slopes = autoencoder.components_ * X.std(axis=0) / autoencoder.transform(X).std(axis=0)[:, None]
    for component, line in enumerate(slopes):
        largest = abs(line).argmax()
        first = rf"component {component}</th>.*?<td>column {largest} {re.escape(f'{line[largest]:+.2f}')}, "
        assert re.search(first, section)
    shares = [int(share) for share in re.findall(r">(\d+) %<", section)]
    np.testing.assert_allclose(shares, 100 * autoencoder.linearity_, atol=1)


def test_components_of_text_are_not_said_to_be_linear(table_model, table, tmp_path):
    text, _ = read(report(table_model, table, path=tmp_path / "table.html"))
    assert 'id="loadings"' not in text


def test_settings_that_differ_from_the_defaults_are_marked(page):
    text, _ = read(page)
    changed = re.findall(r'<tr class=changed><th scope="row">(\w+)</th>', text)
    assert {"max_iter", "random_state"} <= set(changed) <= {"max_iter", "n_components", "random_state"}
    assert "hidden_layer_sizes" in text
    assert re.search(r"skae \d.*torch \d.*scikit-learn \d.*numpy \d.*Python \d", text)


def test_nothing_is_loaded_from_anywhere(page):
    text, _ = read(page)
    assert not re.search(r"https?://|//[a-z]+\.[a-z]+/", text)
    assert re.findall(r"\bsrc=", text) == []
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', text))
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_only_the_two_scripts_of_the_page_may_run(page):
    whole = page.read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", whole, re.S)
    assert len(scripts) == 2
    for script in scripts:
        found = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{found}'" in whole
    assert re.search(r"script-src ([^;]*);", whole)[1].count("unsafe-inline") == 0


def test_texts_of_the_user_stay_text(tmp_path):
    random = np.random.RandomState(0)
    X = pd.DataFrame(random.standard_normal((60, 3)), columns=[HOSTILE, "a & b", 'c" onload="x'])
    X["text"] = random.choice(["</script><img src=x onerror=alert(1)>", "\u2028\u2029", "{{ data }}"], 60)
    X.index = [f"</script>{k}" for k in range(60)]
    y = pd.Series(random.choice(["</script>", "<!--"], 60), name="<b>y</b>")
    model = AutoencoderTransformer(1, max_iter=5, random_state=0).fit(X)
    path = report(model, X, y, tmp_path / "hostile.html", title="<script>title</script> {{ style }}")
    whole = path.read_text(encoding="utf-8")
    # The scripts of the page itself, and no more.
    assert len(re.findall(r"<script", re.sub(r"<script>.*?</script>", "<script>", whole, flags=re.S))) == 3
    text, drawn = read(path)
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert html.escape(HOSTILE) in text
    assert HOSTILE not in text
    assert 'onload="' not in text
    assert "&lt;script&gt;title&lt;/script&gt; {{ style }}" in text
    raw = re.search(r'id="report-data">(.*?)</script>', whole, re.S)[1]
    assert not set("<>&\u2028\u2029") & set(raw)
    assert drawn["columns"][0]["name"] == HOSTILE
    assert set(drawn["y"]["levels"]) == {"</script>", "<!--"}
    assert drawn["y"]["name"] == "<b>y</b>"


def test_names_that_cannot_be_encoded_do_not_break_the_page(tmp_path):
    X = pd.DataFrame(load_iris().data[:40], columns=pd.Index(["a", "\ud800", "\x00", ""], dtype=object))
    model = AutoencoderTransformer(1, max_iter=2, random_state=0).fit(X)
    assert report(model, X, path=tmp_path / "odd.html").stat().st_size


def test_few_of_many_rows_are_drawn_and_the_page_says_so(tmp_path, iris):
    X = np.tile(iris[0], (4, 1))
    model = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    text, drawn = read(report(model, X, path=tmp_path / "few.html", max_points=50))
    assert 50 <= len(drawn["rows"]) <= 70
    assert "about all 600 rows" in text
    assert f"{len(drawn['rows'])} are drawn: chosen at random (random_state=0)" in text
    assert len(drawn["worst"]) == 20
    again = read(report(model, X, path=tmp_path / "again.html", max_points=50))[1]
    assert again["rows"] == drawn["rows"]
    other = read(report(model, X, path=tmp_path / "other.html", max_points=50, random_state=1))[1]
    assert other["rows"] != drawn["rows"]


def test_many_rows_are_measured_in_part_and_the_page_says_so(tmp_path, iris, autoencoder, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ROWS", 100)
    text, drawn = read(report(autoencoder, *iris, tmp_path / "part.html"))
    assert "about 100 of the 150 rows, chosen at random" in text
    assert "All 100 are drawn" in text
    assert len(drawn["rows"]) == len(set(drawn["rows"])) == 100


def test_wide_tables_show_some_columns_and_the_page_says_so(tmp_path):
    X, y = load_digits(return_X_y=True)
    model = SparseAutoencoderTransformer(40, max_iter=2, random_state=0, sparse_output=True).fit(X[:200])
    path = report(model, X[:200], y[:200], tmp_path / "wide.html")
    text, drawn = read(path)
    assert len(drawn["columns"]) == 30
    assert len(drawn["components"]) == 30
    assert "Of the 64 columns, the 30 with most error and most variance" in text
    assert "Of the 40 components, the 30 that vary most" in text
    assert "The 40 of " in text
    assert "without any variance are left out" in text
    assert path.stat().st_size < 6e6


def test_gaps_text_and_categories(tmp_path, table, table_model):
    text, drawn = read(report(table_model, table, path=tmp_path / "table.html"))
    kinds = {column["name"]: column["kind"] for column in drawn["columns"]}
    assert kinds == {
        "size": "number",
        "count": "number",
        "town": "category",
        "kind": "category",
        "is new": "category",
    }
    by_name = {column["name"]: column for column in drawn["columns"]}
    assert by_name["size"]["values"][:20] == [None] * 20
    assert set(by_name["town"]["codes"][10:40]) == {-1}
    assert drawn["rows"][0] == "row 0"
    assert "Missing cells" in text
    assert "5.0 %" in text
    assert "numeric columns inside" in text


def test_what_came_back_of_the_worst_row_is_told(tmp_path, table, table_model):
    text, _ = read(report(table_model, table, path=tmp_path / "table.html"))
    errors = table_model.reconstruction_error(table, per_feature=True)
    worst = int(np.argmax(table_model.reconstruction_error(table)))
    first = int(np.nanargmax(errors[worst]))
    back = table_model.reconstruct(table).iloc[worst, first]
    line = re.search(rf'aria-label="Show row row {worst} in.*?</tr>', text, re.S)[0]
    values = re.search(r'class="name">(.*?)</span>.*?<b>(.*?)</b> → (.*?) <', line)
    assert values[1] == table.columns[first]
    value = table.iloc[worst, first]
    if isinstance(value, str):
        assert (values[2], values[3]) == (value, back)
    else:
        assert (float(values[2]), float(values[3])) == pytest.approx((value, back), rel=1e-3)


def test_a_pipeline_shows_the_columns_of_x(tmp_path, iris):
    X = pd.DataFrame(iris[0] * 1000, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_iter=2, random_state=0)).fit(X)
    text, drawn = read(report(pipe, X, path=tmp_path / "pipe.html"))
    np.testing.assert_allclose(drawn["columns"][0]["values"], X["a"], rtol=1e-3)
    assert [column["name"] for column in drawn["columns"]] == list("abcd")
    assert "StandardScaler" in text
    assert f"{100 * pipe.score(X):.1f} %" in text
    worst = drawn["worst"][0]
    first = re.search(r'class="name">(.)</span>.*?<b>(.*?)</b> → (.*?) <', text)
    back = pipe[:-1].inverse_transform(pipe[-1].reconstruct(pipe[:-1].transform(X)))
    assert float(first[2]) == pytest.approx(X.iloc[worst][first[1]], rel=1e-3)
    assert float(first[3]) == pytest.approx(back[worst][X.columns.get_loc(first[1])], rel=1e-3)


@pytest.mark.parametrize("n_columns", [3, 4])
def test_a_pipeline_that_makes_other_columns_shows_these(tmp_path, iris, n_columns):
    pipe = make_pipeline(PCA(n_columns), AutoencoderTransformer(2, max_iter=2, random_state=0)).fit(iris[0])
    text, drawn = read(report(pipe, iris[0], path=tmp_path / "pipe.html"))
    assert [column["name"] for column in drawn["columns"]] == [f"pca{j}" for j in range(n_columns)]
    assert "Values are those that reach the autoencoder" in text


def test_images_go_the_way_of_the_architecture(tmp_path):
    X = load_digits().images[:120]
    network = Convolutional(image_shape=(8, 8))
    model = AutoencoderTransformer(2, network=network, max_iter=1, random_state=0).fit(X)
    _, drawn = read(report(model, X, path=tmp_path / "images.html"))
    assert drawn["columns"][0]["name"].startswith("cell ")
    row, column = map(int, drawn["columns"][3]["name"].removeprefix("cell ").split(", "))
    np.testing.assert_array_equal(drawn["columns"][3]["values"], X[:, row, column])


def test_images_for_a_dense_network_are_refused(tmp_path, autoencoder):
    with pytest.raises(ValueError, match=r"X\.reshape\(len\(X\), -1\)"):
        report(autoencoder, np.ones((10, 2, 2)), path=tmp_path / "images.html")
    assert not list(tmp_path.iterdir())


def test_few_sparse_rows_are_made_dense_and_many_are_refused(tmp_path, monkeypatch):
    X = scipy.sparse.random_array((80, 400), density=0.05, format="csc", random_state=0)
    model = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    _, drawn = read(report(model, X, path=tmp_path / "sparse.html"))
    np.testing.assert_allclose(drawn["errors"], model.reconstruction_error(X), rtol=1e-3)
    monkeypatch.setattr(rows, "MOST_CELLS", 20_000)
    with pytest.raises(ValueError, match="X is sparse, and its 80 x 400 cells are too many"):
        report(model, X, path=tmp_path / "more.html")


def test_bits_are_marked_to_be_drawn_apart(tmp_path):
    X = load_digits().data[:100]
    model = BinaryAutoencoderTransformer(8, max_iter=1, random_state=0).fit(X)
    _, drawn = read(report(model, X, path=tmp_path / "bits.html"))
    assert all(part["few"] for part in drawn["components"])


def test_without_held_out_rows_the_page_says_so(tmp_path, iris):
    model = AutoencoderTransformer(2, max_iter=2, early_stopping=False, random_state=0).fit(iris[0])
    text, drawn = read(report(model, iris[0], path=tmp_path / "all.html"))
    assert "No rows were held out" in text
    assert drawn["training"]["scores"] is None


def test_variance_by_number_of_components_where_the_estimator_knows_it(tmp_path, iris):
    model = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(iris[0])
    model.cumulative_explained_variance_ = np.array([0.9, 0.95])
    model.pca_cumulative_explained_variance_ = None
    text, drawn = read(report(model, iris[0], path=tmp_path / "ordered.html"))
    assert text.index('id="training"') < text.index('id="cumulative"') < text.index('id="codes"')
    assert drawn["cumulative"] == {"own": [0.9, 0.95], "pca": None}


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.repeat([0.0, 1.0, np.nan], 50), "category"),
        (np.linspace(0, 1, 150), "number"),
        (np.arange(150)[:, None], "number"),
        (np.repeat(["a", "b", None], 50), "category"),
        (np.repeat([True, False], 75), "category"),
        (np.repeat(np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ns]"), 75), "category"),
        (np.repeat([0.0, np.inf], 75), "number"),
        (pd.Series(pd.Categorical(["a", "b"] * 75)), "category"),
    ],
)
def test_y_of_classes_and_of_numbers(tmp_path, autoencoder, iris, y, kind):
    _, drawn = read(report(autoencoder, iris[0], y, tmp_path / "y.html"))
    assert drawn["y"]["kind"] == kind
    if kind == "category":
        assert len(drawn["y"]["levels"]) == 2


def test_a_page_that_is_there_is_replaced_at_once_or_not_at_all(tmp_path, autoencoder, iris, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    page = importlib.import_module("skae.inspection._report.page")

    def fail(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(page.os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            report(autoencoder, iris[0], path=path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert report(autoencoder, iris[0], path=str(path)) == path
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o400


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": np.zeros(3)}, ValueError, "one value for each of the 150 rows"),
        ({"y": np.zeros((150, 2))}, ValueError, "one value for each of the 150 rows"),
        ({"path": "there/is/none.html"}, ValueError, "does not exist"),
        ({"path": "."}, ValueError, "is a folder"),
        ({"path": ""}, ValueError, "must name a file"),
        ({"path": None}, ValueError, "must name a file"),
        ({"max_points": 5}, ValueError, "max_points must be a whole number from 10 to 10,000"),
        ({"max_points": 1e3}, ValueError, "max_points"),
        ({"max_points": True}, ValueError, "max_points"),
        ({"title": 3}, ValueError, "title must be"),
        ({"random_state": "no"}, ValueError, "no"),
        ({"X": np.zeros((1, 4))}, ValueError, "at least 2 rows"),
        ({"X": np.zeros(4)}, ValueError, "table of rows and columns"),
        ({"X": pd.Series(np.zeros(4))}, ValueError, "one column"),
        ({"X": np.zeros((5, 3))}, ValueError, "features"),
        ({"estimator": AutoencoderTransformer()}, NotFittedError, "not fitted"),
        (
            {"estimator": make_pipeline(StandardScaler(), AutoencoderTransformer())},
            NotFittedError,
            "not fitted",
        ),
        ({"estimator": PCA()}, TypeError, "autoencoder of skae"),
        ({"estimator": AutoencoderOutlierDetector()}, TypeError, "estimators_"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(
    tmp_path, autoencoder, iris, monkeypatch, change, error, words
):
    monkeypatch.chdir(tmp_path)
    given = {"estimator": autoencoder, "X": iris[0], **change}
    with pytest.raises(error, match=words):
        report(**given)
    assert not list(tmp_path.iterdir())


needs_posix = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")


@needs_posix
def test_a_link_is_followed_and_stays_one(tmp_path, autoencoder, iris):
    target, link = tmp_path / "folder" / "target.html", tmp_path / "link.html"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    assert report(autoencoder, iris[0], path=link) == link
    assert link.is_symlink()
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert list(target.parent.iterdir()) == [target]


@needs_posix
def test_what_is_no_file_is_refused_and_left_as_it_was(tmp_path, autoencoder, iris):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "to the pipe").symlink_to(tmp_path / "pipe")
    kinds = {path.name: stat.S_IFMT(path.lstat().st_mode) for path in tmp_path.iterdir()}
    for path in [*tmp_path.iterdir(), tmp_path / "zero\0byte"]:
        with pytest.raises(ValueError, match="path"):
            report(autoencoder, iris[0], path=path)
    assert kinds == {path.name: stat.S_IFMT(path.lstat().st_mode) for path in tmp_path.iterdir()}


@needs_posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_of_a_page_that_is_there_are_kept(tmp_path, autoencoder, iris, mode):
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(mode)
    report(autoencoder, iris[0], path=path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_page_may_have_the_longest_name_of_a_file(tmp_path, autoencoder, iris):
    assert report(autoencoder, iris[0], path=tmp_path / (250 * "a" + ".html")).stat().st_size


def test_long_names_and_texts_are_cut(tmp_path):
    random = np.random.RandomState(0)
    X = pd.DataFrame(
        random.standard_normal((3000, 6)), columns=[f"{j} " + 10**5 * "\N{SNOWMAN}" for j in range(6)]
    )
    for name in "ab":
        X[name] = [f"{row} " + 1000 * "\N{SNOWMAN}" for row in range(3000)]
    X.index = [f"{row} " + 1000 * "\N{SNOWMAN}" for row in range(3000)]
    y = pd.Series(random.standard_normal(3000), name=10**6 * "y")
    network = type("Long" * 10**5, (Dense,), {"__module__": __name__})((4,))
    model = AutoencoderTransformer(1, network=network, max_iter=1, random_state=0).fit(X.iloc[:40])
    path = report(model, X, y, tmp_path / "long.html", title=10**6 * "t")
    assert path.stat().st_size < 8e6


def test_a_search_is_reported_on_by_what_it_found(tmp_path, iris):
    model = AutoencoderTransformer(2, max_iter=2, random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2).fit(iris[0])
    inside = make_pipeline(StandardScaler(), search).fit(iris[0])
    outside = GridSearchCV(make_pipeline(StandardScaler(), model), {}, cv=2).fit(iris[0])
    for name, estimator in {"a": search, "b": inside, "c": outside}.items():
        text, _ = read(report(estimator, iris[0], path=tmp_path / name))
        assert "Report of an AutoencoderTransformer" in text
        assert ("StandardScaler" in text) == (name != "a")
    with pytest.raises(NotFittedError):
        report(GridSearchCV(model, {}), iris[0], path=tmp_path / "d")
    with pytest.raises(ValueError, match="refit=False, so that there is no fitted estimator"):
        report(GridSearchCV(model, {}, cv=2, refit=False).fit(iris[0]), iris[0], path=tmp_path / "d")


def test_without_plotly_a_sentence_says_what_to_install(tmp_path, autoencoder, iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r'report needs plotly.*pip install "skae\[report\]"'):
        report(autoencoder, iris[0], path=tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_the_estimator_and_the_rows_stay_as_they_are(tmp_path, table, table_model):
    before, names = table.copy(), set(vars(table_model))
    report(table_model, table, path=tmp_path / "table.html")
    pd.testing.assert_frame_equal(table, before)
    assert set(vars(table_model)) == names

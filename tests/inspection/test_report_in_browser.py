"""The page of a report in a browser: it loads nothing, shows texts as texts, heeds the mouse and the keys."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skae import AutoencoderTransformer
from skae.inspection._report import report

pytest.importorskip("plotly")
playwright = pytest.importorskip("playwright.sync_api")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
QUIETLY = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MINUS = "\N{MINUS SIGN}"
HOSTILE = "<script>alert(1)</script><b>"


class Seen:
    """A page, and all that the browser said of it."""

    def __init__(self, browser, path):
        self.page = browser.new_page(viewport={"width": 1366, "height": 900})
        self.said, self.asked, self.dialogs = [], [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._dismiss)
        self.address = path.as_uri()
        self.page.goto(self.address)
        self.page.wait_for_selector("#codes-figure .points path")

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def colours(self):
        """Give the colours of the points as they are drawn."""
        script = "points => points.map(point => point.style.fill)"
        return self.page.eval_on_selector_all("#codes-figure .points path", script)

    def cells(self, place):
        """Give the texts of a table."""
        script = "rows => rows.map(row => Array.from(row.children, cell => cell.textContent))"
        return self.page.eval_on_selector_all(f"{place} tbody tr", script)

    def at(self, x, y):
        """Give where a place of the drawing, in parts of its size, is on the screen."""
        self.page.locator("#codes-figure").scroll_into_view_if_needed()
        box = self.page.locator("#codes-figure .nsewdrag").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def is_quiet(self):
        """Tell whether nothing was loaded but the page, and nothing was complained of."""
        return (self.said, self.asked, self.dialogs) == ([], [self.address], [])


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        found = play.chromium.launch(executable_path=BROWSER, args=QUIETLY)
        yield found
        found.close()


@pytest.fixture(scope="module")
def table():
    """Iris, with texts that would like to be more than texts."""
    iris = load_iris()
    X = pd.DataFrame(iris.data, columns=[HOSTILE, "width", "length", "breadth"])
    X["town"] = np.where(X["length"] > 3, "</script><img src=x onerror=alert(2)>", "%{x} & $a$")
    X.index = [f"flower {k}" for k in range(150)]
    return X, pd.Series(iris.target_names[iris.target], name="<i>class</i>")


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    X, y = table
    model = AutoencoderTransformer(3, max_iter=5, random_state=0).fit(X)
    return report(model, X, y, tmp_path_factory.mktemp("report") / "page.html", title=HOSTILE)


@pytest.fixture
def seen(browser, path):
    seen = Seen(browser, path)
    yield seen
    seen.page.close()


def test_the_page_loads_nothing_and_complains_of_nothing(seen):
    seen.page.wait_for_timeout(300)
    assert seen.is_quiet()
    for name in ("loss-figure", "score-figure", "codes-figure"):
        assert seen.page.locator(f"#{name} svg.main-svg").count() > 0
    assert len(seen.colours()) == 150
    titles = seen.page.eval_on_selector_all(".modebar-btn", "all => all.map(one => one.dataset.title)")
    assert not [title for title in titles if "hare" in title or "loud" in title or "dit" in title]
    # No sideways scrolling in a narrow window.
    seen.page.set_viewport_size({"width": 700, "height": 800})
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 700


@pytest.mark.slow
def test_menus_change_colours_and_places_and_texts_stay_texts(seen):
    page = seen.page
    by_class = seen.colours()
    assert len(set(by_class)) == 3
    assert page.inner_text("h1") == page.title() == HOSTILE
    options = page.eval_on_selector_all("#colour option", "all => all.map(one => one.textContent)")
    expected = ["<i>class</i>", "reconstruction error", HOSTILE, "width", "length", "breadth", "town"]
    assert options == expected
    page.select_option("#colour", label=HOSTILE)
    assert HOSTILE in page.locator("#codes-figure .colorbar").text_content()
    assert len(set(seen.colours())) > 10
    page.select_option("#colour", label="town")
    assert len(set(seen.colours())) == 2
    assert "</script><img src=x onerror=alert(2)>" in page.inner_text("#groups")
    places = "all => all.map(one => one.getAttribute('transform'))"
    before = page.eval_on_selector_all("#codes-figure .points path", places)
    page.select_option("#across", label="component 2")
    assert page.eval_on_selector_all("#codes-figure .points path", places) != before
    page.select_option("#up", label="reconstruction error")
    assert page.locator("#codes-figure .ytitle").text_content() == "reconstruction error"
    page.locator("button.row").first.click()
    assert HOSTILE in page.inner_text("#row-table")
    assert HOSTILE in page.inner_text("#columns")
    assert page.locator("img").count() == 0
    assert seen.is_quiet()


@pytest.mark.slow
def test_pointing_at_a_row_shows_its_values(seen, table):
    X, y = table
    page = seen.page
    seen.at(0.5, 0.5)
    boxes = page.eval_on_selector_all(
        "#codes-figure .points path",
        "all => all.map(one => one.getBoundingClientRect())"
        ".map(box => [box.x + box.width / 2, box.y + box.height / 2])",
    )
    centres = np.array(boxes)
    # One that has no close neighbour, so that it is surely the one pointed at.
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + 1e6 * np.eye(len(centres))
    row = int(apart.min(axis=1).argmax())
    page.mouse.move(*centres[row])
    page.wait_for_selector("#codes-figure .hoverlayer .hovertext")
    lines = page.eval_on_selector_all(
        "#codes-figure .hovertext .line", "all => all.map(one => one.textContent)"
    )
    assert lines[0] == f"row {X.index[row]}"
    assert f"<i>class</i>: {y[row]}" in lines
    assert f"width: {X['width'].iloc[row]:g}" in lines
    assert f"{HOSTILE}: {X[HOSTILE].iloc[row]:g}" in lines
    assert f"town: {X['town'].iloc[row]}" in lines
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#row-table td")
    assert ["breadth", f"{X['breadth'].iloc[row]:g}"] in seen.cells("#row-table")
    assert seen.is_quiet()


@pytest.mark.slow
def test_a_lasso_lists_what_sets_its_rows_apart(seen, table):
    X, _ = table
    page = seen.page
    page.mouse.move(*seen.at(0.02, 0.02))
    page.mouse.down()
    for place in ((0.5, 0.02), (0.5, 0.98), (0.02, 0.98), (0.02, 0.03)):
        page.mouse.move(*seen.at(*place), steps=3)
    page.mouse.up()
    page.wait_for_selector("#selected-table td")
    selected = page.evaluate("document.getElementById('codes-figure').data[0].selectedpoints")
    assert 10 < len(selected) < 140
    assert page.inner_text("#selected-count").startswith(f"{len(selected)} of 150 drawn rows are selected")
    inside = np.isin(np.arange(150), selected)
    column = X["width"]
    apart = (column[inside].mean() - column[~inside].mean()) / column.std(ddof=0)
    rows = {line[0]: line[1:] for line in seen.cells("#selected-table")}
    assert float(rows["width"][0].replace(MINUS, "-")) == pytest.approx(apart, abs=0.006)
    assert float(rows["width"][1]) == pytest.approx(column[inside].mean(), rel=1e-3)
    assert float(rows["width"][2]) == pytest.approx(column[~inside].mean(), rel=1e-3)
    assert any(name.startswith("town is ") for name in rows)
    sizes = [abs(float(line[1].replace(MINUS, "-"))) for line in seen.cells("#selected-table")]
    assert sizes == sorted(sizes, reverse=True)
    # Another colour keeps the selection.
    page.select_option("#colour", label="width")
    assert page.evaluate("document.getElementById('codes-figure').data[0].selectedpoints") == selected
    assert seen.is_quiet()


@pytest.mark.slow
def test_all_of_it_works_by_keyboard(seen, table):
    _, y = table
    page = seen.page
    page.locator("#groups button", has_text="virginica (50)").focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#selected-count").startswith("50 of 150")
    assert seen.cells("#selected-table")[0][0] == "<i>class</i> is virginica"
    page.locator("#groups button", has_text="none").focus()
    page.keyboard.press("Space")
    assert page.inner_text("#selected-count") == "No row is selected."
    page.locator("#find-text").focus()
    page.keyboard.type("flower 7")
    page.keyboard.press("Enter")
    assert page.inner_text("#row-name").startswith("Row flower 7, error ")
    assert ["<i>class</i>", y[7]] in seen.cells("#row-table")
    page.locator("#find-text").fill("flower 700")
    page.keyboard.press("Enter")
    assert page.inner_text("#find-answer") == "No such row among those drawn."
    button = page.locator("button.row").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#row-name").startswith(f"Row {button.inner_text()}, error ")
    ring = page.evaluate("document.getElementById('codes-figure').data[1]")
    assert ring["marker"]["symbol"] == "circle-open"
    limits = page.evaluate("document.getElementById('codes-figure').layout.xaxis.range")
    assert limits[0] <= ring["x"][0] <= limits[1]
    page.locator("#colour").focus()
    page.keyboard.press("ArrowDown")
    assert "highest tenth of reconstruction error" in page.inner_text("#groups")
    assert seen.is_quiet()

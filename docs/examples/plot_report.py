"""
=================
A report to share
=================

Numbers and plots of a fitted autoencoder, and of rows, on one page of HTML. It opens in any
browser, without Python and without network access.
"""

# %%
# Three numbers for a day's weather, fitted on a part of weatherAUS.
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.inspection import report

X, y = fetch_weather_aus(return_X_y=True, as_frame=True)
train, test, _, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(3, max_iter=10, random_state=0)).fit(train)

# %%
# The page shows days that were not trained on. Points are coloured by the rain of the next day, which the
# model does not know. Here the page goes to a temporary folder; ``report(pipe, test, y_test)`` would write
# ``report.html``.
folder = tempfile.TemporaryDirectory()
path = report(
    pipe, test, y_test, Path(folder.name) / "weather.html", title="A day's weather in three numbers"
)
print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {len(test):,} rows")


# %%
# Its headings, and its first sentence:
class Outline(HTMLParser):
    """Prints headings, and the sentence of the result."""

    depth = None

    def handle_starttag(self, tag, attrs):
        if tag in ("h1", "h2", "h3"):
            self.depth = int(tag[1])
        elif ("class", "result") in attrs:
            self.depth = 1

    def handle_endtag(self, tag):
        self.depth = None

    def handle_data(self, data):
        if self.depth:
            print("   " * (self.depth - 1) + data)


Outline().feed(path.read_text(encoding="utf-8").partition("<script")[0])

# %%
# In the plot of the codes, hover over a day to read its measurements, colour days by any of them, and draw a
# lasso around some: a table shows in which measurements these days differ from the others.
folder.cleanup()

"""Configuration of the documentation."""

import re
from pathlib import Path

import skae
from skae.datasets import get_data_home

project = "skae"
author = "The skae developers"
copyright = author
version = release = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "gallery/*.ipynb", "gallery/*.py"]
# Links to other projects' pages are spelt out where they are wanted: the build needs no network.
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"
# Methods are listed by the templates in `_templates`, once.
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
templates_path = ["_templates"]
myst_heading_anchors = 2

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
html_sidebars = {"index": [], "getting_started": [], "changelog": []}


def _is_at_hand(example: Path) -> bool:
    """Tell whether the data of an example is here; without it, the example is shown and not run."""
    needs_weather = "fetch_weather_aus" in example.read_text()
    return not needs_weather or any(Path(get_data_home()).glob("weatherAUS.csv*"))


EXAMPLES = Path(__file__).parent / "examples"
RUN = [re.escape(path.name) for path in sorted(EXAMPLES.glob("plot_*.py")) if _is_at_hand(path)]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": f"({'|'.join(RUN)})$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "default_thumb_file": str(Path(__file__).parent / "_static" / "thumbnail.png"),
}

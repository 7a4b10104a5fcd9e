"""skae inside other software, used as its own users do.

Each module needs what it is named after; the extra `clients` has all but sktime, see `test_sktime.py`::

    pip install -c constraints.txt -e ".[test,clients]" && pytest -m clients
"""

import re
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
import pytest
from borrowed_tests import REASONS
from sklearn.datasets import load_breast_cancer, load_iris


def pytest_ignore_collect(config):
    """Import clients only in a run that asks for their tests, or for all tests there are (``-m ""``)."""
    marks = config.option.markexpr
    # One more -m replaces that of addopts: `-m slow` says nothing of clients.
    return None if not marks or re.search(r"(?<!not )\bclients\b", marks) else True


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "thread_unsafe: is on some of scikit-learn's tests, and means nothing here"
    )


def pytest_collection_modifyitems(items):
    """Skip borrowed tests that their module leaves out."""
    for item in items:
        for pattern, reason in getattr(getattr(item, "module", None), REASONS, {}).items():
            # Brackets hold parameters, and are no set of characters.
            name, _, parameters = pattern.partition("[")
            wanted = fnmatchcase(item.name, f"{name}[[]{parameters}" if parameters else f"{name}*")
            if wanted and getattr(item, "originalname", None) == name:
                item.add_marker(pytest.mark.skip(reason=reason))


# What scikit-learn's conftest gives its tests.


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture
def global_dtype():
    return np.float64


# Tables of our own tests.


@pytest.fixture(scope="session")
def iris():
    """150 rows of 4 columns as a DataFrame, and the species."""
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="session")
def cancer():
    """300 rows of 30 columns and whether a tumour is benign."""
    X, y = load_breast_cancer(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture(scope="session")
def mixed():
    """A DataFrame of 200 rows with numbers, gaps, text and categories, and a target of two classes."""
    random = np.random.RandomState(0)
    latent = random.standard_normal(200)
    height = latent + 0.3 * random.standard_normal(200)
    height[random.uniform(size=200) < 0.1] = np.nan
    colour = pd.cut(latent + 0.3 * random.standard_normal(200), 3, labels=["red", "green", "blue"])
    X = pd.DataFrame(
        {
            "height": height,
            "width": latent * 2 + random.standard_normal(200),
            "rooms": random.randint(1, 6, 200).astype("int64"),
            "colour": colour.astype(str),
            "town": pd.Categorical(np.where(random.uniform(size=200) < 0.5, "Perth", "Cairns")),
        }
    )
    return X, (latent > 0).astype(int)

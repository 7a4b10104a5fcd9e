import numpy as np
import pandas as pd
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae


@pytest.fixture(autouse=True)
def no_pyplot():
    """No display leaves a figure open in pyplot."""
    yield
    assert not Gcf.figs


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4), layout="constrained").subplots()


@pytest.fixture(scope="session")
def iris():
    return load_iris(as_frame=True)


@pytest.fixture(scope="session")
def on_iris(iris):
    return skae.AutoencoderTransformer(2, max_iter=5, random_state=0).fit(iris.data)


@pytest.fixture(scope="session")
def few_digits():
    return load_digits().data[:300]


@pytest.fixture(scope="session")
def on_digits(few_digits):
    return skae.AutoencoderTransformer(4, max_iter=10, random_state=0).fit(few_digits)


@pytest.fixture(scope="session")
def sparse_on_digits(few_digits):
    return skae.SparseAutoencoderTransformer(50, n_active=5, max_iter=10, random_state=0).fit(few_digits)


@pytest.fixture(scope="session")
def wide():
    """100 rows of 300 named columns, about 1,000."""
    random = np.random.RandomState(0)
    X = random.standard_normal((100, 4)) @ random.standard_normal((4, 300))
    X += 0.3 * random.standard_normal(X.shape)
    return pd.DataFrame(1000 + X, columns=[f"measurement of sensor {j}" for j in range(300)])


@pytest.fixture(scope="session")
def on_wide(wide):
    """A Pipeline, so that rows come in other units than the autoencoder's."""
    model = skae.AutoencoderTransformer(3, max_iter=5, random_state=0)
    return make_pipeline(StandardScaler(), model).fit(wide)


@pytest.fixture(scope="session")
def mixed():
    random = np.random.RandomState(0)
    number = random.standard_normal(80)
    table = pd.DataFrame(
        {
            "number": number,
            "text": np.where(number > 0, "high", "low"),
            "other": 2 * number + 0.1 * random.standard_normal(80),
        }
    )
    table.loc[3, "number"] = np.nan
    table.loc[4, "text"] = None
    return table


@pytest.fixture(scope="session")
def on_mixed(mixed):
    return skae.AutoencoderTransformer(1, max_iter=5, random_state=0).fit(mixed)

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.preprocessing import StandardScaler

from skae.datasets import fetch_weather_aus


@pytest.fixture(scope="session")
def digits():
    """1,797 rows of 64 columns, three of them constant, in [0, 1]."""
    return load_digits().data / 16


@pytest.fixture(scope="session")
def wine():
    """178 standardised rows of 13 columns."""
    return StandardScaler().fit_transform(load_wine().data)


@pytest.fixture(scope="session")
def weather():
    """Complete rows of weatherAUS, standardised, or a skip where the file is not at hand."""
    try:
        X, y = fetch_weather_aus(return_X_y=True, download_if_missing=False)
    except OSError as error:
        pytest.skip(str(error))
    return StandardScaler().fit_transform(X), y


@pytest.fixture
def curve():
    """500 float64 rows of 6 columns on a curved surface of two dimensions, with a little noise."""
    random = np.random.RandomState(0)
    angle, height = random.uniform(0, 3, 500), random.uniform(-1, 1, 500)
    X = np.column_stack(
        [np.cos(angle), np.sin(angle), height, height**2, np.cos(angle) * height, angle * height]
    )
    return X + 0.01 * random.standard_normal(X.shape)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)

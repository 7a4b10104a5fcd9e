from fnmatch import fnmatchcase

import numpy as np
import pytest
from borrowed_tests import REASONS


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

"""pickle, cloudpickle and dill: what a notebook holds comes back, and another process gives the same."""

import pickle
import subprocess
import sys

import cloudpickle
import dill
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.parametrize("door", [cloudpickle, dill], ids=lambda door: door.__name__)
def test_what_is_written_in_a_notebook_comes_back(iris, door):
    """A class and a function that no module holds, as cells of notebooks do."""
    X = iris[0].to_numpy()

    class Wave(nn.Module):
        def forward(self, x):
            return x.sin()

    encoder = nn.Sequential(nn.Linear(4, 5), Wave(), nn.Linear(5, 2))
    decoder = nn.Sequential(nn.Linear(2, 5), Wave(), nn.Linear(5, 4))
    model = AutoencoderTransformer(2, network=(encoder, decoder), **BRIEF).fit(X)
    np.testing.assert_array_equal(door.loads(door.dumps(model)).transform(X), model.transform(X))
    noisy = DenoisingAutoencoderTransformer(2, corruption=lambda rows, generator: rows * 0.9, **BRIEF).fit(X)
    np.testing.assert_array_equal(door.loads(door.dumps(noisy)).transform(X), noisy.transform(X))


@pytest.mark.parametrize("door", [pickle, cloudpickle, dill], ids=lambda door: door.__name__)
def test_another_process_gives_the_same(iris, tmp_path, door):
    X = iris[0].to_numpy()
    pipe = make_pipeline(AutoencoderTransformer(2, **BRIEF), LogisticRegression(max_iter=1000)).fit(
        X, iris[1]
    )
    (tmp_path / "pipe").write_bytes(door.dumps(pipe))
    np.save(tmp_path / "rows.npy", X)
    script = (
        f"import numpy, {door.__name__} as door; pipe = door.load(open('pipe', 'rb'));"
        "numpy.save('found.npy', pipe.predict_proba(numpy.load('rows.npy')))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), pipe.predict_proba(X), rtol=1e-10, atol=1e-12)

"""Files of each version of the format, and of the state, stay loadable."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import skae
from skae._files.layout import VERSION
from skae.estimators import _state

GOLDEN = Path(__file__).parent / "golden"
SPECIFICATION = importlib.util.spec_from_file_location(
    "make_golden", Path(__file__).parent / "make_golden.py"
)
make_golden = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(make_golden)
NAMES = sorted(path.stem for path in (GOLDEN / "1").glob("*.skae"))


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_file_gives_the_numbers_that_it_gave(name):
    model, rows = skae.load(GOLDEN / "1" / f"{name}.skae"), make_golden.MODELS[name][1]
    with np.load(GOLDEN / "1" / "outputs.npz") as outputs:
        # Other processors and versions of torch differ in the last bits.
        np.testing.assert_allclose(
            make_golden.rows_and_outputs(model, rows)[1], outputs[name], rtol=1e-6, atol=1e-8
        )


def test_there_is_a_golden_file_of_every_variant_and_task():
    assert NAMES == sorted(make_golden.MODELS)
    found = {type(model) for model, _ in make_golden.MODELS.values()}
    inside = {"ImputingAutoencoder"}
    from skae.files.catalogue import ESTIMATORS

    assert {cls.__name__ for cls in found} == ESTIMATORS.keys() - inside


def test_a_new_version_comes_with_golden_files_of_its_own():
    assert (VERSION, _state.VERSION) == (1, 1), "write golden/2 with make_golden.py, and keep golden/1"

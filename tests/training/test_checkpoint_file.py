"""What tells whether a checkpoint is of the same fit."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.training.checkpoint_file import told


class Setting:
    """An object with attributes."""

    def __init__(self, value):
        self.value = value


def halve(X):
    return X / 2


def double(X):
    return 2 * X


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (0.1, "0.1"),
        (np.float64(0.5), "0.5"),
        ("relu", "'relu'"),
        ((64, 32), "(64, 32)"),
        ({"alpha": 0.1, "kind": "l1"}, "{'alpha': 0.1, 'kind': 'l1'}"),
        (Setting(3), "Setting {'value': 3}"),
    ],
)
def test_short_values_are_told_as_they_are(value, text):
    assert told(value) == text


def test_functions_are_told_by_their_names():
    assert told(halve).endswith("test_checkpoint_file.halve")
    assert told(halve) != told(double)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])),
        (np.array(["a", None], object), np.array(["a", "b"], object)),
        (Setting(np.zeros(3)), Setting(np.ones(3))),
    ],
    ids=["dtype", "shape", "cells", "objects", "attributes"],
)
def test_values_that_differ_are_told_apart(one, other):
    assert told(one) != told(other)


def test_modules_are_told_by_their_weights():
    torch.manual_seed(0)
    one = nn.Linear(3, 2)
    other = nn.Linear(3, 2)
    assert told(one) != told(other)
    other.load_state_dict(one.state_dict())
    assert told(one) == told(other)


def test_long_values_are_told_by_a_checksum():
    assert told(["a" * 1000]).startswith("#")
    assert told(["a" * 1000]) != told(["a" * 1001])

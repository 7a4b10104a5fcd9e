import numpy as np
import pytest
import torch

from skae._random import NAMES, Streams


def test_streams_repeat_and_differ():
    first = {name: Streams(3).seed(name) for name in NAMES}
    assert first == {name: Streams(3).seed(name) for name in NAMES}
    assert len(set(first.values())) == len(NAMES)
    assert Streams(4).seed("rows") != first["rows"]


def test_folds_have_streams_of_their_own():
    streams = Streams(0)
    assert len({streams.seed("weights", index) for index in range(6)}) == 6


def test_using_one_stream_leaves_the_others():
    streams = Streams(0)
    torch.rand(100, generator=streams.torch("noise"))
    again = streams.torch("rows")
    assert torch.rand(1, generator=again) == torch.rand(1, generator=Streams(0).torch("rows"))


def test_a_random_state_instance_moves_on():
    random = np.random.RandomState(0)
    assert Streams(random).entropy != Streams(random).entropy


def test_an_unknown_stream_is_an_error():
    with pytest.raises(ValueError, match="not in tuple"):
        Streams(0).seed("nosuch")

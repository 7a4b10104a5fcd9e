"""Losses by column: categories in groups of any width and order, in a time that grows with the columns."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skae.objectives.by_column import Mixed
from skae.objectives.likelihood import Likelihood

# Groups of three, one and two categories, taken apart, between columns of other kinds.
KINDS = ["categorical", "numeric", "categorical", "count", "categorical", "binary", *["categorical"] * 5]
GROUPS = [4, 1, 0, 2, 4, 3, 5, 0, 4, 5, 6]


class Cells(TorchDispatchMode):
    """Counts operations, and the cells that they give."""

    def __init__(self):
        super().__init__()
        self.n_operations = self.n_cells = 0

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        found = function(*arguments, **(settings or {}))
        self.n_operations += 1
        self.n_cells += sum(part.numel() for part in (found if isinstance(found, (list, tuple)) else [found]))
        return found


def mixed(kinds=KINDS, groups=GROUPS):
    return Mixed(kinds, groups, torch.ones(len(kinds)), "squared_error")


def work(n_groups):
    """Count what a loss of categorical columns, of two to four categories each, and its gradient take."""
    widths = [2 + index % 3 for index in range(n_groups)]
    groups = [index for index, width in enumerate(widths) for _ in range(width)]
    loss = mixed(["categorical"] * len(groups), groups)
    output = torch.zeros(3, len(groups), requires_grad=True)
    with Cells() as counted:
        loss.cells(output, torch.ones(3, len(groups))).sum().backward()
    return counted


def test_a_gradient_takes_as_many_operations_for_more_columns():
    few, many = work(6), work(60)
    assert many.n_operations == few.n_operations
    assert many.n_cells < 11 * few.n_cells


def test_each_group_is_a_softmax_of_its_own(generator):
    output = torch.randn(7, len(KINDS), generator=generator, dtype=torch.float64)
    target = torch.rand(7, len(KINDS), generator=generator, dtype=torch.float64)
    loss = mixed()
    mean, cells = loss.mean(output), loss.cells(output, target)
    for members in ([0, 4, 8], [2, 7], [6, 9], [10]):
        torch.testing.assert_close(mean[:, members], output[:, members].softmax(1))
        torch.testing.assert_close(cells[:, members], -target[:, members] * output[:, members].log_softmax(1))
    torch.testing.assert_close(mean[:, 1], output[:, 1])
    torch.testing.assert_close(mean[:, 5], output[:, 5].sigmoid())
    torch.testing.assert_close(mean[:, 3], torch.nn.functional.softplus(output[:, 3]))
    torch.testing.assert_close(cells[:, 1], (output - target)[:, 1].square())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_group_is_drawn_by_its_own_shares(dtype, generator):
    loss = mixed()
    shares = loss.mean(torch.randn(1, len(KINDS), generator=generator, dtype=dtype)).expand(20_000, -1)
    drawn = loss.sample(shares, generator)
    for members in ([0, 4, 8], [2, 7], [6, 9], [10]):
        assert (drawn[:, members].sum(1) == 1).all()
        torch.testing.assert_close(drawn[:, members].mean(0), shares[0, members], atol=0.02, rtol=0)
    # Groups are drawn apart.
    together = (drawn[:, 0] * drawn[:, 2]).mean()
    torch.testing.assert_close(together, shares[0, 0] * shares[0, 2], atol=0.02, rtol=0)


def test_columns_of_one_kind_are_not_moved():
    """Where nothing has to change places, no cell is copied: tables of numbers stay what they are."""
    output, target = torch.ones(2, 3), torch.zeros(2, 3)
    losses = [
        mixed(["numeric"] * 3, [0, 1, 2]),
        Likelihood(["gaussian"] * 3, [0, 1, 2], "identity", 1.0, False),
    ]
    for loss in losses:
        assert loss.mean(output).data_ptr() == output.data_ptr()
        assert loss.target(target) is target

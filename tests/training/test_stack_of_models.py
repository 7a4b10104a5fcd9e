"""What a stack does for its members beside steps: judging all at once, and keeping the weights of each."""

import copy

import pytest
import torch
from small_fits import ROWS, squared

from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import Batch, Objective
from skae.objectives.penalties import ActivityL2
from skae.training import HeldOut, Schedule, Validation
from skae.training import held_out as held_out_module
from skae.training.dense_gradient import can_differentiate
from skae.training.stack import StackedStep
from skae.training.steps import Pair, StepSettings

FLOAT32 = ROWS.float()


class JudgingL2(ActivityL2):
    """A penalty that held-out rows are judged by, too."""

    judges = True


def pairs_of(n_members, **objective):
    """Return members whose weights differ, in evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    pairs = [
        Pair(
            Blueprint(Dense((4,)), Bottleneck, 2).build(5, generator, None),
            Objective(squared(), **copy.deepcopy(objective)),
        )
        for _ in range(n_members)
    ]
    for pair in pairs:
        for parameter in pair.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return [pair.eval() for pair in pairs]


def stack_of(pairs):
    settings = StepSettings(Schedule(), 0.05, 0.1, 1.0, torch.Generator())
    by_hand = can_differentiate(pairs[0].network, pairs[0].objective)
    return StackedStep(pairs, [settings] * len(pairs), by_hand)


def step(steps):
    steps([Batch(FLOAT32, FLOAT32)] * len(steps.schedules), [0.0] * len(steps.schedules))


def judges_of(pairs, n_rows, weight=None, gaps=False, **options):
    """Return judges of some of the members with rows of their own, as many as `n_rows` says of each."""
    judges = []
    for index, (pair, count) in enumerate(zip(pairs, n_rows, strict=True)):
        rows = FLOAT32[index : index + count].clone()
        pair.objective.has_gaps = gaps
        target = rows.clone()
        if gaps:
            target[1, 2:] = target[3] = torch.nan
        weights = torch.arange(1.0, count + 1).unsqueeze(1) if weight else None
        inputs = rows + 0.1 if gaps else None
        judges.append(HeldOut(pair.network, pair.objective, target, inputs, weight=weights, **options))
    return judges


def assert_alike(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == pytest.approx(other[:2], rel=1e-5)


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("n_rows", [(8,), (8, 8, 8), (8, 9, 7)])
def test_judging_all_at_once_is_judging_one_after_the_other(n_rows, gaps, weight):
    pairs = pairs_of(len(n_rows))
    steps = stack_of(pairs)
    judges = judges_of(pairs, n_rows, weight, gaps)
    for _ in range(2):
        step(steps)
        assert_alike(steps.judge(judges), [judge() for judge in judges])


def test_errors_of_rows_are_kept_of_each_member():
    pairs = pairs_of(3)
    judges, alone = (judges_of(pairs, (8, 9, 7), keep_rows=True) for _ in range(2))
    steps = stack_of(pairs)
    for _ in range(2):
        step(steps)
        steps.judge(judges)
        for judge in alone:
            judge()
    for judge, other in zip(judges, alone, strict=True):
        assert len(judge.errors) == 2
        for errors, expected in zip(judge.errors, other.errors, strict=True):
            torch.testing.assert_close(errors.loss, expected.loss)
            torch.testing.assert_close(errors.squared, expected.squared)


def test_more_rows_than_go_through_at_once_are_all_judged(monkeypatch):
    monkeypatch.setattr(held_out_module, "_CHUNK", 3)
    pairs = pairs_of(2)
    judges = judges_of(pairs, (8, 7), keep_rows=True)
    assert_alike(stack_of(pairs).judge(judges), [judge() for judge in judges])
    assert [len(judge.errors[0].loss) for judge in judges] == [8, 7]


@pytest.mark.parametrize("without", [0, 1, 2])
def test_members_may_have_no_judge(without):
    pairs = pairs_of(3)
    judges = [None if index == without else judge for index, judge in enumerate(judges_of(pairs, (8, 9, 7)))]
    found = stack_of(pairs).judge(judges)
    assert found[without] is None
    assert_alike([one for one in found if one], [judge() for judge in judges if judge])


def test_any_other_judge_is_called():
    pairs = pairs_of(2)
    told = Validation(3.0, 0.5)
    judge = judges_of(pairs, (8, 9))[0]
    found = stack_of(pairs).judge([judge, lambda: told])
    assert found[1] == told
    assert_alike(found[:1], [judge()])


@pytest.mark.parametrize("objective", [{"emphasis": 0.8}, {"penalties": {"codes": ActivityL2(0.1)}}])
@pytest.mark.parametrize("n_rows", [(8, 9), (8, 8, 9, 9, 8)])
def test_what_is_more_than_squared_errors_is_judged_as_alone(n_rows, objective, monkeypatch):
    monkeypatch.setattr("skae.training.replayed._CALLS_BEFORE", 1)
    pairs = pairs_of(len(n_rows), **objective)
    steps = stack_of(pairs)
    judges = judges_of(pairs, n_rows)
    # The first time as it stands, then written down, compared and repeated.
    for _ in range(5):
        step(steps)
        assert_alike(steps.judge(judges), [judge() for judge in judges])


def test_neighbours_are_judged_by_settings_of_their_own(monkeypatch):
    monkeypatch.setattr("skae.training.replayed._CALLS_BEFORE", 1)
    pairs = pairs_of(4, penalties={"codes": JudgingL2(0.1)})
    for pair, coefficient in zip(pairs, (0.1, 0.1, 0.7, 0.7), strict=True):
        pair.objective.penalties["codes"].coefficient = coefficient
    steps = stack_of(pairs)
    judges = judges_of(pairs, (8, 8, 8, 8))
    for _ in range(4):
        assert_alike(steps.judge(judges), [judge() for judge in judges])


def test_rows_that_would_take_much_memory_are_judged_as_alone(monkeypatch):
    monkeypatch.setattr(held_out_module, "_MOST_JOINED", 10)
    pairs = pairs_of(2)
    judges = judges_of(pairs, (8, 9))
    assert stack_of(pairs).judge(judges) == [judge() for judge in judges]


def test_those_that_are_left_are_judged_by_their_own_rows():
    pairs = pairs_of(3)
    judges = judges_of(pairs, (8, 9, 7))
    steps = stack_of(pairs)
    steps.judge(judges)
    steps.keep([0, 2])
    step(steps)
    left = [judges[0], judges[2]]
    assert_alike(steps.judge(left), [judge() for judge in left])


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("later", ["step", "keep", "close"])
def test_weights_come_back_as_they_were_wherever_they_lie(by_hand, later):
    pairs = pairs_of(3, penalties=None if by_hand else {"codes": ActivityL2(0.1)})
    steps = stack_of(pairs)
    step(steps)
    expected, others = copy.deepcopy(pairs[1].state_dict()), copy.deepcopy(pairs[2].state_dict())
    restore = steps.remember(1)
    step(steps)
    if later == "keep":
        steps.keep([1, 2])
        step(steps)
    elif later == "close":
        steps.close()
    assert not torch.equal(
        pairs[1].state_dict()["network.linear_encoder.weight"], expected["network.linear_encoder.weight"]
    )
    moved = copy.deepcopy(pairs[2].state_dict())
    restore()
    for name, value in pairs[1].state_dict().items():
        assert torch.equal(value, expected[name]), name
    for name, value in pairs[2].state_dict().items():
        assert torch.equal(value, moved[name]), name
    assert not torch.equal(moved["network.linear_encoder.weight"], others["network.linear_encoder.weight"])


def test_steps_go_on_from_weights_that_came_back():
    pairs = pairs_of(2)
    steps = stack_of(pairs)
    restore = steps.remember(0)
    start = steps([Batch(FLOAT32, FLOAT32)] * 2, [0.0] * 2)["reconstruction"]
    restore()
    again = steps([Batch(FLOAT32, FLOAT32)] * 2, [0.0] * 2)["reconstruction"]
    assert again[0] == start[0]
    assert again[1] < start[1]


def test_lasting_buffers_come_back_with_the_weights():
    pairs = pairs_of(2, penalties={"codes": ActivityL2(0.1)})
    steps = stack_of(pairs)
    before = pairs[0].objective.reconstruction.centre.clone()
    restore = steps.remember(0)
    pairs[0].objective.reconstruction.centre += 1
    restore()
    assert torch.equal(pairs[0].objective.reconstruction.centre, before)

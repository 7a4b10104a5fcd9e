"""Functions whose operations are repeated: the same numbers, and what cannot be repeated is not."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from small_fits import BLUEPRINT, ROWS, squared

import skae
from skae.objectives import Batch, Objective
from skae.training import Schedule, operations, replayed
from skae.training.replayed import Replayed
from skae.training.stack import StackedStep
from skae.training.steps import Pair, StepSettings


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Let operations be written down at the second call."""
    monkeypatch.setattr(replayed, "_CALLS_BEFORE", 1)


GENERATOR = torch.Generator().manual_seed(0)


def rows(n_rows=4):
    return torch.randn(n_rows, 3, generator=GENERATOR)


class Counted:
    """A function, and how often it was called."""

    def __init__(self, function):
        self.function = function
        self.n_calls = 0

    def __call__(self, given):
        self.n_calls += 1
        return self.function(given)


def repeated(function, *lasting, n_calls=6, of=rows):
    """Compare a function with what is repeated of it; return how often it was called itself."""
    counted = Counted(function)
    replay = Replayed(counted, lasting)
    for _ in range(n_calls):
        batch = of()
        torch.testing.assert_close(replay(batch), function(batch), rtol=0, atol=0, equal_nan=True)
    return counted.n_calls


def test_a_function_is_called_three_times():
    assert repeated(lambda x: (x.sin() @ x.T).sum(0)) == 3


def test_few_calls_are_not_worth_it(monkeypatch):
    monkeypatch.setattr(replayed, "_CALLS_BEFORE", 4)
    assert repeated(lambda x: x.sin(), n_calls=5) == 5
    assert repeated(lambda x: x.sin(), n_calls=9) == 6


def test_large_tensors_are_not_kept_in_memory(monkeypatch):
    monkeypatch.setattr(replayed, "_MOST_NUMBERS", 15)
    assert repeated(lambda x: x.sin(), torch.zeros(3)) == 3
    assert repeated(lambda x: x.sin(), torch.zeros(4)) == 6


def test_lasting_tensors_may_change_in_place():
    weight = torch.randn(2, 3, generator=GENERATOR)
    replay = Replayed(lambda x: torch.nn.functional.linear(x, weight), [weight])
    for _ in range(6):
        batch = rows()
        torch.testing.assert_close(replay(batch), batch @ weight.T, rtol=0, atol=0)
        weight += 1


def test_gradients_under_vectorised_maps():
    weights = torch.randn(5, 2, 3, generator=GENERATOR).requires_grad_()

    def function(x):
        with torch.enable_grad():
            loss = torch.func.vmap(lambda weight: (x @ weight.T).tanh().square().sum())(weights)
        return {"loss": loss.detach(), "gradient": torch.autograd.grad(loss.sum(), weights)}

    assert repeated(function, weights) == 3


def test_each_shape_and_order_of_memory_is_a_case_of_its_own():
    sizes = iter([4, 5, 4, 5, 4, 5, 4, 4, 5, 6])
    assert repeated(lambda x: x.sum(0), n_calls=10, of=lambda: rows(next(sizes))) == 7
    turned = iter([True, False] * 5)
    assert repeated(lambda x: x.reshape(-1) * 2, n_calls=10, of=lambda: _turned(next(turned))) == 6


def _turned(is_turned):
    return rows(3).T if is_turned else rows(3)


def test_many_shapes_are_forgotten_and_found_again():
    sizes = iter([*range(1, 12)] * 3)
    repeated(lambda x: x.cumsum(0), n_calls=33, of=lambda: rows(next(sizes)))


def test_what_is_given_twice_is_told_from_two():
    def twice():
        first = rows()
        return {"inputs": first, "target": first if next(same) else rows()}

    same = iter([True, True, True, True, False, False, False, False])
    assert repeated(lambda x: (x["inputs"] - x["target"]).square(), n_calls=8, of=twice) == 6


# What takes two tensors of shape (4, 3) and returns another one, or a view.
PARTS = {
    "add": torch.add,
    "product": lambda x, y: (x @ y.T) @ x,
    "sum": lambda x, y: x.sum(0) + y,
    "turned": lambda x, y: x.T.reshape(4, 3) * y,
    "view": lambda x, y: x.view(-1).view(2, 6).view(4, 3),
    "rolled": lambda x, y: torch.cat([x[2:], y[:2]]),
    "picked": lambda x, y: x[torch.tensor([3, 1, 0, 2])],
    "largest": lambda x, y: torch.stack([*x.max(0), *y.min(0)]).view(4, 3),
    "changed": lambda x, y: x.clone().add_(y),
    "partly changed": lambda x, y: torch.zeros(4, 3).index_add_(0, torch.tensor([1, 3]), y[:2]),
    "filled": lambda x, y: torch.empty_like(x).fill_(2.0).mul_(y),
    "ones": lambda x, y: torch.ones_like(x),
    "two": lambda x, y: torch.aminmax(x, dim=0)[1] - y,
}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(PARTS)), *[st.integers(0)] * 2)))
def test_any_operations_are_repeated(parts):
    def function(x):
        found = [x, weight]
        for name, one, other in parts:
            found.append(PARTS[name](found[one % len(found)], found[other % len(found)]))
        return found[2:]

    weight = rows()
    assert repeated(function, weight) == 3


def test_what_is_returned_stays_as_it_is():
    replay = Replayed(lambda x: (x + 1, x), [])
    found = [(replay(batch := rows()), batch) for _ in range(6)]
    for returned, batch in found:
        torch.testing.assert_close(returned, (batch + 1, batch), rtol=0, atol=0)


def test_memory_is_used_again():
    replay = Replayed(lambda x: x.sin().cos().sin().cos().sin().cos(), [])
    for _ in range(4):
        replay(rows(100))
    (shape,) = replay.found.values()
    places = {
        tensor.data_ptr() for call in shape.replay.calls for tensor in [*call.args, *call.keywords.values()]
    }
    # What is given, what is returned, and two in turn.
    assert len(places) == 4
    replay.forget()
    assert not replay.found


def test_changes_of_own_tensors_are_repeated():
    def function(x):
        found = torch.zeros(3)
        found += x.sum(0)
        found[1:].mul_(2)
        return found, x.clone().add_(1)

    assert repeated(function) == 3


def test_what_is_given_may_come_back():
    assert repeated(lambda x: (x, x.T, 3, None)) == 3


def test_several_results_of_one_operation():
    assert repeated(lambda x: [*x.split(2), *x.max(0)]) == 3


def test_numbers_of_a_seeded_generator_are_constants():
    assert repeated(lambda x: x + torch.rand(3, generator=torch.Generator().manual_seed(0))) == 3


COUNTER = iter(range(10**6))
MEMORY = torch.zeros(3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * float(x.sum()),
        lambda x: x.sum() if x.sum() > 0 else x.prod(),
        lambda x: x[x > 0].sum(),
        lambda x: x.unique().sum(),
        lambda x: MEMORY.add_(x.sum(0)) * 0,
        lambda x: x.add_(1) * 0,
    ],
    ids=["value", "branch", "mask", "unique", "changes what is there", "changes what is given"],
)
def test_what_depends_on_values_is_called_as_ever(function):
    assert repeated(function) == 6


def test_what_is_not_the_same_in_each_call_is_called_as_ever():
    counted = Counted(lambda x: x + float(next(COUNTER)))
    replay = Replayed(counted, [])
    found = [float(replay(torch.zeros(1))) for _ in range(6)]
    assert (np.diff(found) == 1).all()
    generator = torch.Generator().manual_seed(0)
    counted = Counted(lambda x: x + torch.rand(3, generator=generator))
    replay = Replayed(counted, [])
    assert len({tuple(replay(torch.zeros(3)).tolist()) for _ in range(6)}) == 6
    with torch.random.fork_rng():
        replay = Replayed(lambda x: x + torch.rand(3), [])
        assert len({tuple(replay(torch.zeros(3)).tolist()) for _ in range(6)}) == 6


def test_numbers_that_are_drawn_and_changed_are_not_repeated():
    def function(x):
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(0))
        drawn += 1
        return x * drawn

    assert repeated(function) == 6
    assert repeated(lambda x: torch.empty(3).normal_(generator=torch.Generator().manual_seed(0)) + x) == 6


def test_what_is_not_finite_is_repeated_too():
    assert repeated(lambda x: torch.log(x) / 0) == 3


def test_results_have_no_graph():
    weight = torch.ones(3, requires_grad=True)
    replay = Replayed(lambda x: (x * weight).sum(), [weight])
    assert not any(replay(rows()).requires_grad for _ in range(5))


def test_while_another_thread_writes_down_it_is_called(monkeypatch):
    monkeypatch.setattr(replayed, "_RECORDING", lock := threading.Lock())
    counted = Counted(lambda x: x.exp())
    replay = Replayed(counted, [])
    with lock:
        for _ in range(4):
            batch = rows()
            torch.testing.assert_close(replay(batch), batch.exp(), rtol=0, atol=0)
    assert counted.n_calls == 4
    for _ in range(4):
        batch = rows()
        torch.testing.assert_close(replay(batch), batch.exp(), rtol=0, atol=0)
    assert counted.n_calls == 6


def plain(self, given):
    """Take the place of `Replayed.__call__`: the function itself."""
    return torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, self.function(given))


MODELS = [
    skae.VariationalAutoencoderTransformer(),
    skae.VariationalAutoencoderTransformer(objective="iwae", n_importance=3),
    skae.SparseAutoencoderTransformer(),
    skae.SparseAutoencoderTransformer(penalty="l1"),
    skae.ContractiveAutoencoderTransformer(),
    skae.AdversarialAutoencoderTransformer(),
    skae.BinaryAutoencoderTransformer(),
    skae.DenoisingAutoencoderTransformer(emphasis=0.7),
    skae.AutoencoderTransformer(loss="absolute_error"),
    skae.AutoencoderTransformer(ordered=True),
    skae.AutoencoderTransformer(target_weight=0.5),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "n_rows"),
    [
        pytest.param(model, n_rows, id=f"{kind}-{model!r}", marks=marks)
        for number, model in enumerate(MODELS)
        for kind, n_rows, marks in (
            ("folds", 48, ()),
            # One model, whose passes are those of the others: half of them by default.
            ("a split", 1001, pytest.mark.slow if number % 2 else ()),
        )
    ],
)
def test_fits_are_the_same_to_the_last_bit(model, n_rows, monkeypatch):
    base = np.random.RandomState(0).standard_normal((n_rows, 3))
    X, y = np.column_stack([base, base**2, base[:, :1] * base]), base[:, 0] + base[:, 1] ** 2
    X[::9, 2] = np.nan
    model = clone(model).set_params(n_components=2, max_iter=6, random_state=0)
    found = model.fit(X, y).transform(X), model.loss_curve_, model.validation_scores_
    monkeypatch.setattr(Replayed, "__call__", plain)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(found[0], again.transform(X))
    assert (found[1], found[2]) == (again.loss_curve_, again.validation_scores_)


def test_penalties_of_others_may_count_steps():
    class Ending(skae.objectives.penalties.Penalty):
        n_steps = 0

        def draw(self, rows, generator):
            self.n_steps += 1

        def forward(self, passed):
            return (1.0 if self.n_steps <= 20 else 0.0) * (1 + passed.code.square().sum(1))

    step = _step_with(Ending())
    found = [float(step()["own"][0]) for _ in range(30)]
    assert min(found[:20]) > 0
    assert found[20:] == [0.0] * 10


def test_passes_that_draw_are_refused_in_stacks():
    class Drawing(skae.objectives.penalties.Penalty):
        def forward(self, passed):
            return torch.rand_like(passed.code).sum(1)

    with pytest.raises(RuntimeError, match="random"):
        _step_with(Drawing(), n_members=2)()


def _step_with(penalty, n_members=1):
    """Return a step of members with a penalty, on the same rows each time."""
    pairs = [Pair(BLUEPRINT.build(5, GENERATOR, None), Objective(squared(), {"own": penalty})) for _ in "ab"]
    pairs = pairs[:n_members]
    settings = [StepSettings(Schedule(), 0.01, 0.0, None, torch.Generator()) for _ in pairs]
    steps, batch = StackedStep(pairs, settings), Batch(ROWS.float(), ROWS.float())
    return lambda: steps([batch] * n_members, [1.0] * n_members)


def test_recordings_of_sizes_that_do_not_come_back_end():
    counted = Counted(lambda x: x.cos())
    replay = Replayed(counted, [])
    for n_rows in range(1, 30):
        for _ in range(3):
            batch = rows(n_rows)
            torch.testing.assert_close(replay(batch), batch.cos(), rtol=0, atol=0)
    assert replay.n_written == replayed._MOST_WRITTEN


def test_what_lies_between_operations_is_bounded(monkeypatch):
    monkeypatch.setattr(operations, "_MOST_BETWEEN", 20)
    assert repeated(lambda x: x.sin()) == 3
    assert repeated(lambda x: x.sin().cos()) == 6

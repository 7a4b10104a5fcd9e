"""What torch is set to belongs to the user, and no fit may wait for threads that are not there."""

import inspect
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import skae
from skae import AutoencoderTransformer, _computing
from skae._computing import ONE_THREAD_BELOW, SideBySide, threads
from skae.networks import Convolutional, Dense, Recurrent, Recursive
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector
from skae.training.dense_gradient import DenseGradient

BRIEF = {"max_iter": 2, "random_state": 0, "validation_fraction": 0.3}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[True, False], ids=["native", "by torch"])
def setters(request, monkeypatch):
    """Threads set by torch's libraries, and where these hide their names by torch itself."""
    if not request.param:
        monkeypatch.setattr(_computing, "_native", None)


def in_new_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.usefixtures("two_threads", "setters")
class TestThreads:
    def test_little_work_gets_one_and_gives_the_number_back(self):
        with threads(ONE_THREAD_BELOW - 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2

    def test_much_work_gets_what_torch_is_set_to(self):
        with threads(ONE_THREAD_BELOW):
            assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        with threads(ONE_THREAD_BELOW):
            assert torch.get_num_threads() == 1

    def test_nested_work_goes_back_step_by_step(self):
        with threads(1):
            with threads(1):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_the_number_comes_back_after_errors(self, error):
        def fail():
            with threads(1):
                raise error

        with pytest.raises(error):
            fail()
        assert torch.get_num_threads() == 2

    def test_other_threads_keep_their_number(self):
        with threads(1):
            assert in_new_thread(torch.get_num_threads) == 2
        assert in_new_thread(torch.get_num_threads) == 2

    def test_an_interrupt_while_it_is_set_leaves_nothing_behind(self, monkeypatch):
        context, set_threads = threads(1), threads._set

        def interrupted(self, n_threads, others):
            set_threads(self, n_threads, others)
            if n_threads == 1:
                raise KeyboardInterrupt

        monkeypatch.setattr(threads, "_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            context.__enter__()
        assert torch.get_num_threads() == 2


def threads_seen(monkeypatch, run):
    """List the numbers of threads that layers and steps by hand computed with."""
    seen = set()

    def note(cls, name):
        method = getattr(cls, name)

        def noting(self, *arguments):
            seen.add(torch.get_num_threads())
            return method(self, *arguments)

        monkeypatch.setattr(cls, name, noting)

    note(nn.Linear, "forward")
    note(DenseGradient, "__call__")
    run()
    monkeypatch.undo()
    return seen


@pytest.mark.usefixtures("two_threads", "setters")
class TestSideBySide:
    @pytest.fixture
    def side_by_side(self):
        found = SideBySide()
        yield found
        found.close()

    def test_results_come_in_the_order_of_the_functions(self, side_by_side):
        assert side_by_side([lambda number=number: number for number in range(5)]) == [0, 1, 2, 3, 4]

    def test_each_function_has_one_thread_of_torchs_and_the_caller_its_number_back(self, side_by_side):
        # Each waits for the other one.
        barrier = threading.Barrier(2, timeout=60)

        def see():
            barrier.wait()
            return threading.get_ident(), torch.get_num_threads()

        seen = side_by_side([see, see])
        assert [number for _, number in seen] == [1, 1]
        assert seen[0][0] == threading.get_ident() != seen[1][0]
        assert torch.get_num_threads() == 2

    def test_what_no_thread_has_begun_is_done_by_the_caller(self, side_by_side):
        begun, may_end = threading.Event(), threading.Event()

        def occupy():
            begun.set()
            assert may_end.wait(60)

        assert side_by_side([int, int]) == [0, 0]
        busy = side_by_side.others.submit(occupy)
        assert begun.wait(60)
        seen = side_by_side([threading.get_ident, lambda: (threading.get_ident(), torch.get_num_threads())])
        may_end.set()
        busy.result()
        assert seen == [threading.get_ident(), (threading.get_ident(), 1)]

    def test_work_that_computes_with_one_thread_may_still_be_divided(self):
        with threads(1):
            assert SideBySide().n_threads == 2
            with threads(1):
                assert SideBySide().n_threads == 2
        assert in_new_thread(lambda: SideBySide().n_threads) == 2
        torch.set_num_threads(1)
        assert SideBySide().n_threads == 1

    @pytest.mark.parametrize("place", [0, 1])
    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_errors_come_to_the_caller_once_all_others_are_done(self, side_by_side, error, place):
        ended = []

        def fail():
            raise error("in the middle")

        def slow():
            time.sleep(0.05)
            ended.append(True)

        with pytest.raises(error):
            side_by_side([fail, slow] if place == 0 else [slow, fail])
        assert ended == [True]
        assert torch.get_num_threads() == 2
        assert side_by_side([int, int]) == [0, 0]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_forked_children_do_not_wait_for_threads_of_the_parent(self, side_by_side):
        assert side_by_side([int, int]) == [0, 0]
        pid = os.fork()
        if not pid:

            def fail():
                raise ValueError("in the child")

            status = 1
            try:
                assert side_by_side([int, int]) == [0, 0]
                side_by_side([fail, int])
            except ValueError:
                status = 0
            finally:
                os._exit(status)
        for _ in range(600):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.1)
        else:
            os.kill(pid, signal.SIGKILL)
        assert ended
        assert status == 0

    def test_it_goes_on_alone_where_there_are_no_more_threads(self, side_by_side):
        assert side_by_side([int, int]) == [0, 0]
        # As the interpreter does at its end.
        side_by_side.others.shutdown()
        assert side_by_side([int, int, int]) == [0, 0, 0]

    def test_it_may_be_used_again_after_its_threads_ended(self, side_by_side):
        for _ in range(2):
            assert side_by_side([int, int]) == [0, 0]
            side_by_side.close()


@pytest.mark.usefixtures("two_threads")
class TestThreadsOfEstimators:
    def test_small_networks_train_and_are_used_on_one(self, curve, monkeypatch):
        model = AutoencoderTransformer(2, **BRIEF)
        assert threads_seen(monkeypatch, lambda: model.fit(curve)) == {1}
        assert threads_seen(monkeypatch, lambda: model.inverse_transform(model.transform(curve))) == {1}
        assert threads_seen(monkeypatch, lambda: model.partial_fit(curve)) == {1}
        assert torch.get_num_threads() == 2

    def test_large_networks_train_and_are_used_on_all(self, monkeypatch):
        X = np.random.RandomState(0).standard_normal((300, 400))
        model = AutoencoderTransformer(
            2, hidden_layer_sizes=(600,), batch_size=150, early_stopping=False, max_iter=1
        )
        seen = []
        method = DenseGradient.__call__
        # Half of the rows are computed in a thread of their own: each waits for the other one.
        barrier = threading.Barrier(2, timeout=60)

        def noting(*arguments):
            barrier.wait()
            seen.append((threading.get_ident(), torch.get_num_threads()))
            return method(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(DenseGradient, "__call__", noting)
            model.fit(X)
        assert {number for _, number in seen} == {1}
        assert len({thread for thread, _ in seen}) == 2
        assert threads_seen(monkeypatch, lambda: model.transform(X)) == {2}
        # One row is little work for any network.
        assert threads_seen(monkeypatch, lambda: model.transform(X[:1])) == {1}

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_failed_and_interrupted_fits_give_the_number_back(self, curve, monkeypatch, error):
        class Failing(nn.Linear):
            def forward(self, x):
                if self.training:
                    raise error("in the middle")
                return super().forward(x)

        model = AutoencoderTransformer(2, network=(Failing(6, 2), nn.Linear(2, 6)), **BRIEF)
        if error is KeyboardInterrupt:
            with pytest.warns(UserWarning, match="interrupted"):
                model.fit(curve)
        else:
            with pytest.raises(error):
                model.fit(curve)
        assert torch.get_num_threads() == 2

    def test_a_fit_does_not_depend_on_the_number_of_threads(self, curve):
        by_two = AutoencoderTransformer(2, **BRIEF).fit(curve)
        torch.set_num_threads(1)
        by_one = AutoencoderTransformer(2, **BRIEF).fit(curve)
        np.testing.assert_array_equal(by_two.transform(curve), by_one.transform(curve))

    def test_fits_in_threads_leave_each_other_alone(self, curve):
        expected = AutoencoderTransformer(2, **BRIEF).fit(curve).transform(curve)
        results, numbers = [], []

        def fit():
            results.append(AutoencoderTransformer(2, **BRIEF).fit(curve).transform(curve))
            numbers.append(torch.get_num_threads())

        running = [threading.Thread(target=fit) for _ in range(4)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert numbers == [2] * 4
        for result in results:
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "specification",
    [Dense((12, 7)), Convolutional((4, 3), channels=(5, 6)), Recurrent(4, hidden_size=5), Recursive(4)],
    ids=lambda specification: type(specification).__name__,
)
def test_the_work_of_a_row_is_that_of_the_largest_layer(specification, generator):
    """Counted by torch: twice the multiply-adds of the largest operation, at most twice of what was said."""
    from torch.utils.flop_counter import FlopCounterMode

    encoder, decoder = specification.build(12, 2, 2, generator)
    largest = 0

    class Largest(FlopCounterMode):
        def _count_flops(self, func, out, args, kwargs):
            nonlocal largest
            before = self.get_total_flops()
            result = super()._count_flops(func, out, args, kwargs)
            largest = max(largest, self.get_total_flops() - before)
            return result

    with Largest(display=False), torch.no_grad():
        for module, width in ((encoder, 12), (decoder, 2)):
            module.eval()(torch.zeros(8, width))
    said = specification.row_work(12, 2, 2)
    assert largest / 16 <= 2 * said
    assert said <= 4 * max(largest / 16, 24)


FORKS = """
import multiprocessing, os, pickle, signal, sys, time
import numpy as np, torch
from skae import AutoencoderTransformer, VariationalAutoencoderTransformer

torch.set_num_threads(2)
torch.randn(1500, 1500) @ torch.randn(1500, 1500)  # the threads of OpenMP's are there
X = np.random.RandomState(0).standard_normal((600, 784))
settings = dict(max_iter=1, random_state=0, hidden_layer_sizes=(64,), early_stopping=False)
model = AutoencoderTransformer(8, **settings).fit(X)
drawing = VariationalAutoencoderTransformer(2, **settings).fit(X)
Z, saved = model.transform(X), pickle.dumps(model)

def pool():
    with multiprocessing.get_context("fork").Pool(1) as workers:
        workers.map(model.transform, [X])

ways = {
    "transform": lambda: model.transform(X),
    "inverse_transform": lambda: model.inverse_transform(Z),
    "score_samples": lambda: model.score_samples(X),
    "warm start": lambda: model.set_params(warm_start=True).fit(X),
    "ordered": lambda: AutoencoderTransformer(0.1, **settings).fit(X),
    "sample": lambda: drawing.sample(3000),
    "encoder_": lambda: model.encoder_(torch.from_numpy(X)),
    "loaded": lambda: pickle.loads(saved).encoder_(torch.from_numpy(X)),
}
for name, use in [*ways.items(), ("pool", pool)]:
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that hangs
        use()
        os._exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

LATE = """
import os, pickle, signal, sys
import torch

torch.set_num_threads(2)
torch.randn(1500, 1500) @ torch.randn(1500, 1500)
with open(sys.argv[1], "rb") as file:
    saved = file.read()
import skae

row = [[0.0] * 784]
for use in (lambda model: model.encoder_(torch.zeros(600, 784)), lambda model: model.transform(row)):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        use(pickle.loads(saved))
        os._exit(0 if torch.get_num_threads() == 1 else 3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
child = os.fork()
if child == 0:
    os._exit(torch.get_num_threads())
print("does not use skae:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there are no forks on this system")
class TestForks:
    def test_children_of_a_process_that_has_computed_never_hang(self):
        assert [line.rpartition(" ")[2] for line in run(FORKS)] == ["0"] * 9

    @pytest.mark.slow
    def test_children_that_load_a_model_first_do_not_hang(self, tmp_path):
        import pickle

        X = np.random.RandomState(0).standard_normal((40, 784))
        model = AutoencoderTransformer(2, max_iter=1, early_stopping=False, hidden_layer_sizes=(64,)).fit(X)
        (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
        assert run(LATE, str(tmp_path / "model.pickle")) == ["0", "0", "does not use skae: 2"]


class Dropping(nn.Module):
    """An encoder whose dropout draws from torch's global generator."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x):
        return nn.functional.dropout(self.layer(x), 0.5, self.training)


def test_modules_that_draw_give_the_same_in_every_thread(curve):
    torch.manual_seed(7)
    pair = (Dropping(), nn.Linear(2, 6))
    torch.manual_seed(3)
    state, results = torch.get_rng_state(), []

    def fit():
        results.append(AutoencoderTransformer(2, network=pair, **BRIEF).fit(curve).transform(curve))

    running = [threading.Thread(target=fit) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert torch.equal(torch.get_rng_state(), state)


def no_grad():
    return torch.no_grad()


def inference():
    return torch.inference_mode()


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


class double:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *exception):
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        # What the user has set is given back, also after errors.
        assert dtype == torch.float64


class elsewhere:
    def __enter__(self):
        torch.set_default_device("meta")

    def __exit__(self, *exception):
        device = torch.get_default_device()
        torch.set_default_device(None)
        assert device.type == "meta"


SURROUNDINGS = [no_grad, inference, autocast, double, elsewhere]


def read_outs(model, X):
    """Return the results of all public methods of a fitted estimator that take rows, codes or nothing."""
    found = {}
    for name, method in inspect.getmembers(model, inspect.ismethod):
        if name.startswith(("_", "fit", "partial_fit", "get_", "set_", "truncated", "cumulative")):
            continue
        parameters = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is parameter.empty and parameter.kind != parameter.VAR_KEYWORD
        ]
        further = {"random_state": 0} if "random_state" in inspect.signature(method).parameters else {}
        if name == "inverse_transform":
            found[name] = method(model.transform(X))
        elif parameters == ["X"]:
            found[name] = method(X, **further)
        elif not parameters:
            found[name] = method(**further)
    return found


def small_estimators():
    brief = {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (8,)}
    transformers = [
        getattr(skae, name)(**brief)
        for name in skae.__all__
        if inspect.isclass(getattr(skae, name)) and name.endswith("Transformer")
    ]
    return [
        *transformers,
        AutoencoderTransformer(2, network=(nn.Linear(6, 2), nn.Linear(2, 6)), max_iter=2, random_state=0),
        AutoencoderImputer(AutoencoderTransformer(2, dropout=0.1, **brief), random_state=0),
        AutoencoderOutlierDetector(AutoencoderTransformer(2, **brief), n_estimators=1, random_state=0),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", small_estimators(), ids=lambda estimator: type(estimator).__name__)
def test_fits_and_read_outs_are_the_same_whatever_surrounds_them(estimator, curve):
    from sklearn.base import clone

    # More than 2,048 cells, so that it trains in float32: autocast leaves float64 alone.
    X = curve[:400].astype(np.float32)
    if isinstance(estimator, AutoencoderImputer):
        X[::5, 2] = np.nan
    expected = read_outs(clone(estimator).fit(X), X)
    assert len(expected) >= 2
    for surrounding in SURROUNDINGS:
        with surrounding():
            found = read_outs(clone(estimator).fit(X), X)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name} under {surrounding.__name__}")

"""Where skae computes, and what torch is set to meanwhile, which is given back afterwards.

Threads, gradients, the default dtype, the default device and autocast belong to the process of the user.
Nothing else in skae sets them. Knows no network and no estimator.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from skae import _forks

_Found = TypeVar("_Found")

# Multiply-adds of the largest operation of a step from which a second thread shortens it. Measured on two
# quiet cores (`benchmarks/beside.py --steps`): 8.4 million take 0.9 to 1.2 times as long on one thread as on
# two, 17 million 1.1 to 1.7, 26 million 1.5 to 1.6. Beside other work, small steps on two threads take many
# times as long: OpenMP's threads wait for each other at every operation.
ONE_THREAD_BELOW = 12_000_000


class _Native(NamedTuple):
    """Setters of the number of threads of the calling thread alone."""

    openmp: Callable[[int], None]
    mkl: Callable[[int], int] | None  # gives the number before, 0 where none was set


def _find_native() -> _Native | None:
    """Return what torch itself calls in `torch.set_num_threads`, for the calling thread alone.

    `torch.set_num_threads` also sets what threads begin with that have not computed yet, so that two fits in
    two threads would leave each other's number behind. None where the libraries hide their names (Windows).
    """
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(folder / name))
            # Not every build of torch has MKL.
            mkl = getattr(library, "MKL_Set_Num_Threads_Local", None)
            return _Native(library.omp_set_num_threads, mkl)
    return None


class _OfThread(threading.local):
    """What is known of the calling thread."""

    # Threads that may compute for it, where `threads` has set torch to one; 0 where it has not.
    n_allowed = 0


_native = _find_native()
_of_thread = _OfThread()
# Held for moments: by whoever changes what all threads share.
_settings = threading.RLock()
# Held as long as a fit takes that draws from torch's global generator.
_generator = threading.RLock()
# Whether there may be threads of OpenMP's in this process, and whether it was forked before that was known.
_has_computed = False
_is_forked = _forks.n_forks > 0


def _after_fork() -> None:
    global _settings, _generator, _is_forked
    # Another thread of the parent may have held them.
    _settings, _generator = threading.RLock(), threading.RLock()
    _is_forked = True
    _of_thread.n_allowed = 0
    _dtype.reset()
    if _has_computed:
        use_one_thread_after_fork()


def use_one_thread_after_fork() -> None:
    """Compute with one thread from now on if this process was forked from one with skae in it.

    The threads that OpenMP keeps do not survive a fork, but it waits for them: the first parallel loop in the
    child would hang for ever. Children of a process that has trained or loaded a network do so when
    they are born, whatever they do with it; others when they train or load their first one, so that
    children that do not use skae keep their threads.
    """
    global _has_computed, _is_forked
    _has_computed = True
    if _is_forked:
        torch.set_num_threads(1)
        _is_forked = False


def n_threads(work: int) -> int:
    """Return the number of threads that `threads` lets compute."""
    return torch.get_num_threads() if work >= ONE_THREAD_BELOW else 1


class threads:
    """Compute with one thread where several would not be quicker, else with as many as torch is set to.

    Only the calling thread is concerned, and has its number back afterwards.

    Parameters
    ----------
    work : int
        Multiply-adds of the largest operation: rows of a batch times inputs times outputs of a layer.
    """

    __slots__ = ("before", "mkl_before", "n_forks", "work")

    def __init__(self, work: int) -> None:
        self.work = work
        self.before = self.mkl_before = 0

    def __enter__(self) -> None:
        use_one_thread_after_fork()
        n_threads = torch.get_num_threads()
        if n_threads == 1 or self.work >= ONE_THREAD_BELOW:
            return
        # Noted before it is changed: an interrupt in between must find what to go back to.
        self.before, self.n_forks = n_threads, _forks.n_forks
        _of_thread.n_allowed = n_threads
        try:
            self._set(1, others=n_threads)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        # A child that was forked inside has one thread, and keeps it.
        if self.before and self.n_forks == _forks.n_forks:
            _of_thread.n_allowed = 0
            self._set(self.before, others=self.before)

    def _set(self, n_threads: int, others: int) -> None:
        if _native is None:
            _set_by_torch(n_threads, others)
            return
        _native.openmp(n_threads)
        if _native.mkl is not None:
            before = _native.mkl(1 if n_threads == 1 else self.mkl_before)
            self.mkl_before = before if n_threads == 1 else 0


def _set_by_torch(n_threads: int, others: int) -> None:
    """Set the number of threads of the calling thread, and what threads begin with that have not computed."""
    with _settings:
        torch.set_num_threads(n_threads)
        if n_threads != others:
            # What a call sets for threads to come can only be put right by a call in another thread.
            keeper = threading.Thread(target=torch.set_num_threads, args=(others,))
            keeper.start()
            keeper.join()


def _use_one_thread() -> None:
    """Let the calling thread compute alone as long as it lives."""
    threads(0).__enter__()


def n_allowed_threads() -> int:
    """Return the number of threads that torch is set to, outside of `threads`."""
    return _of_thread.n_allowed or torch.get_num_threads()


class SideBySide:
    """Calls functions at the same time, each in a thread of its own that torch computes with alone.

    Attributes
    ----------
    n_threads : int
        How many there may be, the calling one included: as many as torch is set to.
    """

    def __init__(self) -> None:
        self.n_threads = n_allowed_threads()
        self.n_forks = _forks.n_forks
        self.others: ThreadPoolExecutor | None = None

    def __call__(self, functions: Sequence[Callable[[], _Found]]) -> list[_Found]:
        """Return what functions return, in their order; raise what the first raised that did not.

        Parameters
        ----------
        functions : sequence of callable
            None of them writes to what another one reads. Some may be called twice.
        """
        if self.n_forks != _forks.n_forks:
            # The threads of a parent do not exist in its child, which would wait for them for ever.
            self.n_forks, self.n_threads, self.others = _forks.n_forks, 1, None
        if self.n_threads == 1:
            return [function() for function in functions]
        if self.others is None:
            self.others = ThreadPoolExecutor(self.n_threads - 1, "skae", _use_one_thread)
        own, *others = functions
        found: list[Future[_Found]] = []
        try:
            for function in others:
                found.append(self.others.submit(function))
        except RuntimeError:
            # There are no more threads to be had, as at the end of the interpreter.
            self.others.shutdown(cancel_futures=True)
            self.n_threads, self.others = 1, None
            return [function() for function in functions]
        except BaseException:
            wait(found)
            raise
        try:
            with threads(0):
                first = own()
                # What no thread has begun, as where other processes have the cores, is done here.
                rest = [
                    function() if future.cancel() else future.result()
                    for function, future in zip(others, found, strict=True)
                ]
            return [first, *rest]
        except BaseException:
            # Others may still write where the next call does.
            wait(found)
            raise

    def close(self) -> None:
        """End the threads, once they have nothing more to do."""
        if self.others is not None:
            self.others.shutdown()
            self.others = None


class _DefaultDtype:
    """Keep torch's default dtype at float32 while any thread of the process needs it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.n_users = 0
        self.before = torch.float32

    def __enter__(self) -> None:
        with _settings:
            if not self.n_users:
                self.before = torch.get_default_dtype()
            self.n_users += 1
            if self.before != torch.float32:
                torch.set_default_dtype(torch.float32)

    def __exit__(self, *exception: object) -> None:
        with _settings:
            self.n_users -= 1
            if not self.n_users and self.before != torch.float32:
                torch.set_default_dtype(self.before)


_dtype = _DefaultDtype()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def without_autocast() -> contextlib.AbstractContextManager[object]:
    """Compute in the dtype of the tensors; nothing where the caller has not turned autocast on."""
    stack = contextlib.ExitStack()
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
    return stack


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """Make new tensors what they are by torch's own defaults: float32, on the CPU, without autocast."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_dtype)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(without_autocast())
        yield


@contextlib.contextmanager
def learning() -> Iterator[None]:
    """Let gradients be computed, by torch's own defaults, wherever the caller has turned them off."""
    use_one_thread_after_fork()
    with torch.inference_mode(False), torch.enable_grad(), defaults():
        yield


@contextlib.contextmanager
def global_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block with a global state of torch's own, from a seed.

    Modules of the user's own draw from torch's global generator, which all threads share: fits with
    such modules take turns.

    Parameters
    ----------
    seed : int
    device : torch.device
        Whose generator is seeded beside that of the CPU.
    """
    with _generator, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def find_device(name: str) -> torch.device:
    """Return the device of a name; raise an error that lists the available ones if it does not exist.

    "auto" never picks mps: networks of this size are slower there than on the CPU.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available.append("cuda")
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return torch.device("cuda" if "cuda" in available else "cpu")
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    n_cuda = torch.cuda.device_count() if "cuda" in available else 0
    if (
        found is None
        or found.type not in available
        or (found.type == "cuda" and (found.index or 0) >= n_cuda)
    ):
        raise ValueError(
            f"device={name!r} is not there; this machine has {available}. "
            "Use one of these, or 'auto' to take what there is."
        )
    return found


def is_recorded() -> bool:
    """Whether what is computed is recorded, to be done again with other rows.

    A branch that looks at values would then be taken for ever as it was for the rows at hand.
    """
    # Public, and missing in what torch.jit says it exports.
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]

"""What is used of dask and its `distributed`, with types, of which they have few."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypedDict, TypeVar

from numpy.typing import ArrayLike

from skae._extras import import_extra

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_PURPOSE = "skae.dask"
dask = import_extra("dask", "dask", _PURPOSE)
arrays = import_extra("dask.array", "dask", _PURPOSE)
frames = import_extra("dask.dataframe", "dask", _PURPOSE)
distributed = import_extra("distributed", "dask", _PURPOSE)
_addressing = import_extra("distributed.comm.addressing", "dask", _PURPOSE)

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")


class Lazy(Protocol[Result_co]):
    """What is computed later."""

    def compute(self) -> Result_co:
        """Compute it."""
        ...


class Table(Protocol):
    """An array or a DataFrame of dask."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        ...

    @property
    def shape(self) -> Sequence[int]:
        """Length of each axis; that of rows may not be known."""
        ...

    def to_delayed(self) -> ArrayLike:
        """Return the partitions."""
        ...


class Array(Table, Protocol):
    """An array of dask."""

    @property
    def dtype(self) -> np.dtype:
        """Of the cells."""
        ...

    @property
    def numblocks(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        ...

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Lengths of the chunks along each axis; those of rows may not be known."""
        ...

    def rechunk(self, chunks: Mapping[int, int]) -> Array:
        """Cut it into other chunks."""
        ...

    def map_blocks(self, function: Callable[..., np.ndarray], *arguments: object, **options: object) -> Array:
        """Apply a function to each chunk."""
        ...


class Frame(Table, Protocol):
    """A DataFrame of dask."""

    @property
    def columns(self) -> pd.Index:
        """Names of the columns."""
        ...

    @property
    def dtypes(self) -> pd.Series:
        """Types of the columns."""
        ...

    @property
    def _meta(self) -> pd.DataFrame:
        """A table of the same kind without rows."""
        ...

    def map_partitions(
        self, function: Callable[..., pd.DataFrame], *arguments: object, **options: object
    ) -> Frame:
        """Apply a function to each partition."""
        ...


class Future(Protocol[Result_co]):
    """A result that is, or will be, on a worker."""

    @property
    def key(self) -> str:
        """Name of the task."""
        ...

    @property
    def status(self) -> str:
        """One of "pending", "finished", "error", "cancelled" and "lost"."""
        ...

    def done(self) -> bool:
        """Whether it is not pending."""
        ...

    def result(self, timeout: float | None = None) -> Result_co:
        """Wait for it, and return it."""
        ...

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the task has raised."""
        ...


class Machine(TypedDict):
    """What is installed on a machine."""

    packages: Mapping[str, str | None]  # versions, by name


class Versions(TypedDict):
    """The same of all machines."""

    client: Machine
    workers: Mapping[str, Machine]  # by address


class Client(Protocol):
    """A synchronous client."""

    @property
    def asynchronous(self) -> bool:
        """Whether its methods have to be awaited."""
        ...

    def submit(
        self, function: Callable[..., Result], *arguments: object, **options: object
    ) -> Future[Result]:
        """Run a task; futures among the arguments, also in lists, become what they are of."""
        ...

    def compute(self, collections: Sequence[Lazy[Result]]) -> list[Future[Result]]:
        """Compute what is lazy."""
        ...

    def gather(self, futures: Sequence[Future[Result]]) -> list[Result]:
        """Return results."""
        ...

    def get_versions(self, *, packages: Sequence[str]) -> Versions:
        """Return what is installed."""
        ...

    def nthreads(self) -> Mapping[str, int]:
        """Return the number of threads of each worker, by address."""
        ...

    def who_has(self, futures: Sequence[Future[object]]) -> Mapping[str, Sequence[str]]:
        """Return the addresses of the workers that hold results, by key."""
        ...

    def cancel(self, futures: Sequence[Future[object]]) -> None:
        """Cancel tasks, as far as they are not running."""
        ...


class Variable(Protocol, Generic[Result]):
    """A value that the scheduler keeps."""

    def get(self, timeout: float | None = None) -> Result:
        """Wait for it, and return it."""
        ...

    def set(self, value: Result) -> None:
        """Set it."""
        ...

    def delete(self) -> None:
        """Forget it."""
        ...


class Event(Protocol):
    """A flag that the scheduler keeps."""

    def is_set(self) -> bool:
        """Whether it is set."""
        ...

    def set(self) -> None:
        """Set it."""
        ...


def delayed(function: Callable[..., Result]) -> Callable[..., Lazy[Result]]:
    """Return a function whose call is a task to be computed."""
    found: Callable[..., Lazy[Result]] = dask.delayed(function, pure=False)
    return found


def client_at_hand() -> Client:
    """Return the client that was made last, or that of the worker that this runs on.

    Raises
    ------
    ValueError
        If there is none.
    """
    found: Client = distributed.get_client()
    return found


def address_kept(name: str, client: Client) -> Variable[list[str | int] | str]:
    """Return a host with a port, or a word, that the scheduler keeps under a name."""
    kept: Variable[list[str | int] | str] = distributed.Variable(name, client=client)
    return kept


def bytes_kept(name: str, client: Client) -> Variable[bytes]:
    """Return bytes that the scheduler keeps under a name."""
    kept: Variable[bytes] = distributed.Variable(name, client=client)
    return kept


def event(name: str, client: Client) -> Event:
    """Return a flag that the scheduler keeps under a name."""
    found: Event = distributed.Event(name, client=client)
    return found


def leave_slot() -> None:
    """Let the task that this runs in go on beside others, so that its worker begins with the next one."""
    distributed.secede()


def own_host() -> str:
    """Return the address of the machine of the worker that this runs on."""
    address: str = distributed.get_worker().address
    host: str = "127.0.0.1" if address.startswith("inproc") else _addressing.get_address_host(address)
    return host


def wait_for_one(futures: Collection[Future[object]], timeout: float) -> None:
    """Wait until one result is there, so many seconds at most.

    Raises
    ------
    TimeoutError
        If none is.
    distributed.CancelledError
        If a task was cancelled.
    """
    distributed.wait(list(futures), timeout=timeout, return_when="FIRST_COMPLETED")

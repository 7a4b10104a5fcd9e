"""Fits and transforms on several machines, on Dask's `distributed`. Knows estimators by what they do."""

from skae._extras import import_extra

for _name in ("dask.array", "dask.dataframe", "distributed"):
    import_extra(_name, "dask", "skae.dask")

from skae.dask.rounds import WorkerLostError  # noqa: E402
from skae.dask.transformer import DaskTransformer  # noqa: E402

__all__ = ["DaskTransformer", "WorkerLostError"]

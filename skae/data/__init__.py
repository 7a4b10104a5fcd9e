"""Rows of arrays on disk and of files, read block by block and never held as a whole. Knows no estimator."""

from skae.data.batches import BatchRows
from skae.data.parquet import ParquetRows
from skae.data.sources import ArrayRows, RowSource
from skae.data.writing import transform_to

__all__ = ["ArrayRows", "BatchRows", "ParquetRows", "RowSource", "transform_to"]

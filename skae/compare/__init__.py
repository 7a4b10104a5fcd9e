"""Comparison of reducers: what their codes keep, what they cost, and a plot of both.

Tables need pandas, pictures matplotlib; both are imported when they are needed.
"""

from skae.compare.comparison import compare_reducers
from skae.compare.display import ComparisonDisplay

__all__ = ["ComparisonDisplay", "compare_reducers"]

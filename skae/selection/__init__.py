"""Searches over parameters that train the networks of all candidates and folds together."""

from skae.selection.search import StackedGridSearchCV, StackedRandomizedSearchCV

__all__ = ["StackedGridSearchCV", "StackedRandomizedSearchCV"]

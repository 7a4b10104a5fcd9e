"""Searches over parameters that train the networks of all candidates and folds together."""

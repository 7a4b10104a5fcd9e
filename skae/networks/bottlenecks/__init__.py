"""Bottlenecks: what happens to a code, in training and in use."""

from skae.networks.bottlenecks.base import Bottleneck
from skae.networks.bottlenecks.rectified import Logistic, Rectified
from skae.networks.bottlenecks.top_k import BatchTopK, TopK

__all__ = ["BatchTopK", "Bottleneck", "Logistic", "Rectified", "TopK"]

"""Bottlenecks: what happens to a code, in training and in use."""

from skae.networks.bottlenecks.base import Bottleneck

__all__ = ["Bottleneck"]

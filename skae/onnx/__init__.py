"""Fitted estimators as models of ONNX, alone and as steps of Pipelines of scikit-learn."""

from skae.onnx._converters import register
from skae.onnx._exporting import to_onnx

__all__ = ["register", "to_onnx"]

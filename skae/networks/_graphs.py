"""Graphs that are recorded of a network, by `torch.export`, `torch.compile`, and exporters to ONNX."""

import torch


def is_recorded() -> bool:
    """Whether what is computed is recorded, to be done again with other rows.

    A branch that looks at values would then be taken for ever as it was for the rows at hand.
    """
    # Public, and missing in what torch.jit says it exports.
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]

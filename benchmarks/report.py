"""What every benchmark prints and keeps: a table, a JSON file and the versions it ran with."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Name the machine and the versions."""
    versions = {}
    for name in ("skae", "torch", "scikit-learn", "numpy", "skorch", "pyod", "onnxruntime", "skl2onnx"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "system": platform.system(),
        "torch threads": torch.get_num_threads(),
        "versions": versions,
    }


def print_table(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print rows with aligned columns; floats get four significant digits."""
    if title:
        print(f"\n{title}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_text(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for number, line in enumerate(cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def save(name: str, rows: list[dict[str, Any]], **extra: Any) -> Path:
    """Write rows, versions and machine as JSON."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**environment(), **extra, "rows": rows}, indent=1) + "\n")
    return path


def memory_mark() -> float:
    """Give the resident memory in MB, and let the peak be measured from here on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_memory() -> float:
    """Give the largest resident memory since `memory_mark`, in MB (Linux)."""
    return _status("VmHWM")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

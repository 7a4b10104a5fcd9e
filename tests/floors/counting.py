"""What can be counted about the structure of the package: files, ways through them, probes, texts.

`benchmarks/structure.py` prints it, and `test_structure.py` holds it.
"""

import ast
import math
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

import skae
from skae.training import stack

ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Lower rooms may be imported by higher ones, never the other way round.
FLOORS = {
    "_counts": 0,
    "_docstrings": 0,
    "_extras": 0,
    "_files": 0,
    "_forks": -1,
    "_plain": 0,
    "_computing": 0,
    "_quiet": 0,
    "_random": 0,
    "_spelling": 0,
    "_typing": 0,
    "numpy": 1,
    "_containers": 1,
    "_sparse_coding": 1,
    "_parameters": 1,
    "networks": 2,
    "objectives": 2,
    "training": 3,
    "metrics": 2,
    "tables": 3,
    "datasets": 3,
    "dask": 7,
    "data": 4,
    "estimators": 5,
    "selection": 6,
    "tasks": 6,
    "inspection": 6,
    "compare": 7,
    "files": 7,
    "onnx": 7,
    "__init__": 9,
}


def room(path: Path) -> str:
    """Return the first folder below the package, or the file that lies beside the folders."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def code_lines(node: ast.AST, source: list[str]) -> int:
    """Count the lines that hold code: neither blank, nor comment, nor docstring."""
    strings = {
        line
        for inner in ast.walk(node)
        if isinstance(inner, ast.Expr)
        and isinstance(inner.value, ast.Constant)
        and isinstance(inner.value.value, str)
        for line in range(inner.lineno, inner.end_lineno + 1)
    }
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or len(source)
    return sum(
        1
        for number in range(first, last + 1)
        if number not in strings
        and source[number - 1].strip()
        and not source[number - 1].strip().startswith("#")
    )


# ---------------------------------------------------------------------- imports


def imported_rooms(tree: ast.AST) -> Iterator[str]:
    """Yield the rooms that a module imports from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "skae":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


def arrows_up() -> list[str]:
    """List the imports of rooms that do not lie below."""
    return [
        f"{path.relative_to(ROOT)} -> {name}"
        for path in FILES
        for name in imported_rooms(ast.parse(path.read_text()))
        if name != room(path) and FLOORS[name] >= FLOORS[room(path)]
    ]


def module_name(path: Path) -> str:
    """Return the name that a file is imported by."""
    parts = ("skae", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of the package that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            # A package that is only named on the way to one of its modules is not what is meant.
            if not all(f"{node.module}.{alias.name}" in modules for alias in node.names):
                found.add(node.module)
    return found & modules - {module_name(path)}


def circles() -> list[list[str]]:
    """List the groups of modules that import one another."""
    modules = {module_name(path): path for path in FILES}
    arrows = {name: imported_modules(path, set(modules)) for name, path in modules.items()}

    def reached(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            new = arrows[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    ways = {name: reached(name) for name in modules}
    groups = {frozenset(other for other in ways[name] if name in ways[other]) for name in modules}
    return [sorted(group) for group in groups if group]


# ---------------------------------------------------------------------- the way of a fit


class Way(NamedTuple):
    """Which files of the package a call passes through, and how often it changes from one to another."""

    n_files: int
    n_changes: int


def way_of_fit(**settings: object) -> Way:
    """Follow `AutoencoderTransformer.fit` over one epoch of one batch.

    Counted are calls of functions that are defined in the package; a change is a call whose file is not
    that of the counted call before. Rows are split, as for every table of 1,000 rows or more,
    and threads share no step, as up to 10,000 rows.
    """
    X = np.random.default_rng(0).standard_normal((1200, 8))
    model = skae.AutoencoderTransformer(
        2, max_iter=1, batch_size=len(X), random_state=0, **{"n_iter_no_change": None, **settings}
    )
    files: list[str] = []

    def note(frame, event, argument) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            files.append(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with mock.patch.object(stack, "ROWS_FROM", math.inf):
            model.fit(X)
    finally:
        sys.setprofile(before)
    return Way(len(set(files)), sum(one != following for one, following in pairwise(files)))


# ---------------------------------------------------------------------- probes of parts

# Rooms whose classes are parts: what an estimator is built of. Penalties and bottlenecks are rooms of their
# own, and so are the modules in which tables stood before they had one.
PART_ROOMS = (
    "networks.bottlenecks",
    "networks",
    "objectives.penalties",
    "objectives",
    "training",
    "tables",
    "_parameters",
    "estimators._tables",
    "estimators._sparse",
    "estimators._columns",
    "estimators._kinds",
)
# What parts are called where they are used. An estimator is no part, and neither are the user's tables.
PARTS = (
    *("network", "specification", "_specification", "architecture", "encoder", "decoder", "layer"),
    *("bottleneck", "objective", "objective_", "reconstruction", "penalty", "penalties", "part", "revival"),
    *("corruption", "gaps", "_table", "columns", "_columns", "network_", "encoder_", "decoder_"),
)
# Attributes of an estimator that hold a part which may not be there.
SEATS = ("_table", "_columns", "network")
# Probes that stay, with the reason of each.
ALLOWED = {
    "inspection/_rows.py: getattr(model, 'network', None)": (
        "Displays take reducers of any library, which have no architecture."
    ),
    "objectives/objective.py: isinstance(penalty, Penalty)": (
        "What is no penalty is refused where it is added, so that nothing has to be asked of it later."
    ),
}


class Probe(NamedTuple):
    """A question about what a part is or can do, asked outside of its room."""

    file: str
    line: int
    text: str


def part_room(module: str) -> str | None:
    """Return the room of parts that a module of the package belongs to."""
    inside = module.removeprefix("skae.")
    return next((name for name in PART_ROOMS if inside == name or inside.startswith(name + ".")), None)


def imported_parts(tree: ast.AST) -> dict[str, str]:
    """Return the rooms of the names that a module imports from rooms of parts, or from `torch.nn`."""
    rooms = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("skae"):
            for alias in node.names:
                # A class or a module of a package: `networks.Dense` is found by the module.
                found = part_room(f"{node.module}.{alias.name}") or part_room(node.module)
                if found:
                    rooms[alias.asname or alias.name] = found
    return rooms


def asked_classes(node: ast.expr) -> list[ast.expr]:
    """Return the classes that the second argument of `isinstance` names."""
    if isinstance(node, ast.Tuple):
        return [inner for part in node.elts for inner in asked_classes(part)]
    return [node]


def is_foreign_layer(text: str) -> bool:
    """Return whether a class is a layer of torch; `nn.Module` is the type of every part and tells nothing."""
    return text.startswith(("nn.", "torch.nn.")) and not text.endswith(".Module")


def subject(node: ast.expr) -> str:
    """Return the last name of what is asked: "encoder" for ``self.network.encoder``."""
    if isinstance(node, ast.Call):
        if subject(node.func) == "getattr":
            return str(getattr(node.args[1], "value", ""))
        return subject(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def probes() -> list[Probe]:
    """List what is asked of parts: their class outside of their room, and what they have anywhere.

    A class is asked for by `isinstance` or `issubclass` with a class of another room of parts, or with a
    layer of torch outside of `networks`. What a part has is asked for by `hasattr`, or by `getattr` with a
    default, of anything that is called as parts are, or of an estimator for the seat of a part.
    """
    found = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        parts, own = imported_parts(tree), part_room(module_name(path))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            name, arguments = node.func.id, node.args
            if name in ("isinstance", "issubclass") and len(arguments) == 2:
                classes = [ast.unparse(one) for one in asked_classes(arguments[1])]
                rooms = [parts.get(text.split(".")[0], own) for text in classes]
                is_probe = any(other != own for other in rooms) or (
                    own != "networks" and any(map(is_foreign_layer, classes))
                )
            elif name == "hasattr" or (name == "getattr" and len(arguments) == 3):
                asked = getattr(arguments[1], "value", None)
                is_probe = subject(arguments[0]) in PARTS or asked in SEATS
            else:
                continue
            if is_probe:
                found.append(Probe(str(path.relative_to(ROOT)), node.lineno, ast.unparse(node)))
    return sorted(found)


# ---------------------------------------------------------------------- types and texts


def count_calls(name: str) -> int:
    """Count the calls of a function by its name."""
    return sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
    )


def count_annotations(name: str) -> int:
    """Count where annotations of parameters, results and variables use a name."""
    annotations = [
        annotation
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
    ]
    return sum(
        isinstance(inner, ast.Name) and inner.id == name
        for annotation in annotations
        for inner in ast.walk(annotation)
    )


def docstrings_that_begin_with(*words: str) -> list[str]:
    """List the docstrings whose first word is one of those."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = (ast.get_docstring(node) or " ").split()
                if text and text[0].rstrip(",.:;") in words:
                    found.append(f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}")
    return found


def estimator_files() -> dict[str, int]:
    """Return the number of lines of each file of `estimators/`."""
    return {path.name: len(path.read_text().splitlines()) for path in FILES if room(path) == "estimators"}


def counts() -> dict[str, int]:
    """Return all counts by name."""
    files, way, whole = estimator_files(), way_of_fit(), way_of_fit(early_stopping=False)
    asked = probes()
    return {
        "files of estimators/": len(files),
        "lines of the largest file of estimators/": max(files.values()),
        "files that a fit passes through": way.n_files,
        "changes of file in a fit": way.n_changes,
        "files that a fit without held-out rows passes through": whole.n_files,
        "changes of file in a fit without held-out rows": whole.n_changes,
        "probes of parts": len(asked),
        "circles of imports": len(circles()),
        "imports that run up": len(arrows_up()),
        "Any in annotations": count_annotations("Any"),
        "casts": count_calls("cast"),
        'docstrings that begin with "Give" or "Tell"': len(
            docstrings_that_begin_with("Give", "Gives", "Tell", "Tells")
        ),
    }


def probe_key(probe: Probe) -> str:
    """Return what a probe is allowed by: its file and its text, since lines move."""
    return f"{probe.file}: {probe.text}"

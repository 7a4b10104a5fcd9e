"""Damaged and hostile files: load a hundred thousand of them, and count what comes of it.

Small files of several estimators are changed at random and loaded: bits, bytes and lengths, as accidents do;
and, with a checksum that was repaired, fields of the JSON, names of classes, references, tensors that change
places, sizes that would fill the memory, as somebody does who wants harm. A file is loaded wrong if

- without a repaired checksum, an estimator comes back that is not the one that was saved;
- with one, an estimator comes back that fails otherwise than with a `ValueError`, or gives codes of another
  shape.

Every refusal must be a `skae.FileError`. Python's audit hook counts code: what is compiled, executed,
imported, unpickled or started while a file is loaded. Memory is the highest that the process has had in a
load, less what it had before.

Usage: python benchmarks/damaged_files.py [--n 100000] [--seed 0] [--n-jobs 2]
"""

import argparse
import contextlib
import copy
import hashlib
import json
import random
import re
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from report import memory_mark, peak_memory, print_table, save

import skae
from skae.networks import Convolutional, Recurrent
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

CODE = {
    "exec",
    "compile",
    "import",
    "marshal.loads",
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
}
CODE |= {"subprocess.Popen", "ctypes.dlopen", "socket.connect", "code.__new__", "os.posix_spawn"}
ODD = [
    None,
    True,
    False,
    -1,
    0,
    1,
    3,
    10**6,
    2**31,
    2**62,
    0.5,
    -1e308,
    1e308,
    "",
    "a",
    "os.system",
    [],
    {},
    [[]],
]
ODD += [
    {"$array": 0},
    {"$array": 10**6},
    {"$float": "nan"},
    {"$float": "inf"},
    {"$tuple": [1]},
    {"skae.object": 0},
]
ODD += [
    {"skae.object": 5},
    {"skae.object": -1},
    {"skae.object": 10**9},
    {"$objects": [[2], [1, 2]]},
    [0] * 100,
]
ODD += ["torch.Linear", "builtins.eval", "__class__", "cuda:99", "float64", "meta", "F64"]
# Shares of all files: changed as accidents do, and with a checksum that was repaired.
ACCIDENTS = 0.7


def models():
    """Return fitted estimators, and rows for each."""
    source = np.random.RandomState(0)
    X = np.sin(source.uniform(0, 6, (60, 1)) + np.arange(6)) + 0.1 * source.standard_normal((60, 6))
    frame = pd.DataFrame({"a": X[:, 0], "b": ["x", "y", "z"] * 20, "c": np.arange(60) % 5})
    brief = {"max_iter": 1, "random_state": 0}
    narrow = {**brief, "hidden_layer_sizes": (4,)}
    found = [
        (skae.AutoencoderTransformer(2, **narrow), X),
        (skae.AutoencoderTransformer(2, network=Convolutional((2, 3), channels=(2,)), **brief), X),
        (skae.AutoencoderTransformer(2, network=Recurrent(3, hidden_size=3), **brief), X),
        (skae.DenoisingAutoencoderTransformer(2, **narrow), frame),
        (skae.SparseAutoencoderTransformer(4, n_active=2, **brief), X),
        (skae.VariationalAutoencoderTransformer(2, **narrow), X),
        (skae.BinaryAutoencoderTransformer(4, **narrow), X),
        (AutoencoderImputer(skae.AutoencoderTransformer(2, **narrow)), np.where(X > 1, np.nan, X)),
        (AutoencoderOutlierDetector(skae.AutoencoderTransformer(2, **narrow), n_estimators=2, n_refits=0), X),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(model.fit(rows), rows[:3]) for model, rows in found]


# ---------------------------------------------------------------------- changing files


def parts(data):
    """Return header, content and tensors of the bytes of a file."""
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    begin, end = header["content"]["data_offsets"]
    return header, json.loads(zlib.decompress(rest[begin:end])), bytearray(rest[:begin])


def joined(header, content, rest):
    """Return the bytes of a file whose checksum fits."""
    deflated = content if isinstance(content, bytes) else zlib.compress(json.dumps(content).encode(), 1)
    place = [len(rest), len(rest) + len(deflated)]
    header["content"] = {"dtype": "U8", "shape": [len(deflated)], "data_offsets": place}
    header["__metadata__"]["sha256"] = "0" * 64
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    length = len(encoded).to_bytes(8, "little")
    digest = hashlib.sha256(length + encoded + rest + deflated).hexdigest().encode()
    return length + re.sub(b"0{64}", digest, encoded, count=1) + rest + deflated


def accident(data, source):
    """Return the bytes of a file with bits flipped, bytes changed, cut off, inserted or doubled."""
    data, kind = bytearray(data), source.randrange(6)
    place = source.randrange(len(data))
    if kind == 0:
        for _ in range(source.choice([1, 1, 1, 2, 8, 64])):
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    elif kind == 1:
        data[place : place + source.randrange(1, 16)] = source.randbytes(source.randrange(16))
    elif kind == 2:
        del data[place:]
    elif kind == 3:
        data[:8] = source.choice([0, 1, 8, 2**31, 2**63 - 1, len(data), source.randrange(2**16)]).to_bytes(
            8, "little"
        )
    elif kind == 4:
        other = source.randrange(len(data))
        data[place : place + 32], data[other : other + 32] = (
            data[other : other + 32],
            data[place : place + 32],
        )
    else:
        data += data[place:]
    return bytes(data)


def places(value, found):
    """List all containers within a value."""
    if isinstance(value, (list, dict)) and value:
        found.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            places(item, found)
    return found


def change_field(source, header, content, rest):
    """Change, delete, rename, double or swap fields of the content, or of the header."""
    inside = places(source.choice([content, content, content, header]), [])
    holder = source.choice(inside)
    key = source.choice(list(holder)) if isinstance(holder, dict) else source.randrange(len(holder))
    kind = source.randrange(6)
    if kind <= 2:
        holder[key] = source.choice(ODD)
    elif kind == 3:
        del holder[key]
    elif kind == 4 and isinstance(holder, dict):
        holder[source.choice(["x", "forward", "__class__", "transform", "$array", "skae.object"])] = (
            holder.pop(key)
        )
    else:
        other = source.choice(inside)
        place = source.choice(list(other)) if isinstance(other, dict) else source.randrange(len(other))
        holder[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(holder[key])
    return header, content, rest


def change_number(source, header, content, rest):
    """Change a whole number, as of a width, a count or a reference."""
    inside = [
        (holder, key) for holder in places(content, []) for key, item in pairs(holder) if type(item) is int
    ]
    holder, key = source.choice(inside)
    holder[key] = source.choice(
        [holder[key] + 1, holder[key] - 1, -holder[key], 2 * holder[key], 10**5, 2**40]
    )
    return header, content, rest


def change_class(source, header, content, rest):
    """Let an object be one of another class."""
    named = [one for one in content["objects"] if "class" in one]
    source.choice(named)["class"] = source.choice([*named, {"class": "os.system"}, {"class": "dict"}])[
        "class"
    ]
    return header, content, rest


def swap_tensors(source, header, content, rest):
    """Let two tensors, or two references to tensors, change places."""
    if source.random() < 0.5:
        one, other = source.sample([name for name in header if name.isdigit()], 2)
        header[one], header[other] = header[other], header[one]
    else:
        held = [holder for holder in places(content, []) if isinstance(holder, dict) and "$array" in holder]
        one, other = source.choice(held), source.choice(held)
        one["$array"], other["$array"] = other["$array"], one["$array"]
    return header, content, rest


def change_tensor(source, header, content, rest):
    """Change the shape or dtype of a tensor, or its numbers."""
    entry = header[source.choice([name for name in header if name.isdigit()])]
    kind = source.randrange(4)
    if kind == 0:
        entry["shape"] = source.choice([entry["shape"][::-1], [*entry["shape"], 1], [2**40], [0], [-1], []])
    elif kind == 1:
        entry["dtype"] = source.choice(["F32", "I64", "F64", "U8", "BOOL", "BF16", "X"])
    elif kind == 2:
        entry["data_offsets"] = source.choice(
            [[0, 8], [2**40, 2**41], entry["data_offsets"][::-1], [0, len(rest)]]
        )
    elif rest:
        place = source.randrange(max(len(rest) // 8, 1)) * 8
        rest[place : place + 8] = np.float64(source.choice([np.nan, np.inf, 1e308, -1e30, 0.0])).tobytes()
    return header, content, rest


def bomb(source, header, content, rest):
    """Say much with little."""
    many = source.choice([10**4, 10**6])
    text = source.choice(
        [b'{"a":"' + b" " * 20 * many + b'"}', b"[" * many, b'{"a":[' + b"[]," * many + b"0]}"]
    )
    if source.random() < 0.3:
        content["objects"] += [{"class": "torch.Identity", "state": {}}] * (many // 100)
        return header, content, rest
    return header, zlib.compress(text, 1), rest


def pairs(holder):
    return list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))


HOSTILE = (
    [change_field] * 8 + [change_number] * 4 + [change_class] * 3 + [swap_tensors] * 2 + [change_tensor] * 3
)


# ---------------------------------------------------------------------- loading them


class Watch:
    """Counts code that runs while a file is loaded."""

    def __init__(self):
        self.is_on, self.seen = False, Counter()
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.is_on and event in CODE:
            self.seen[f"{event} {str(arguments)[:60]}"] += 1

    def load(self, path):
        """Return what a file gives: an estimator or an exception."""
        self.is_on = True
        try:
            return skae.load(path)
        except Exception as error:
            return error
        finally:
            self.is_on = False


def used(model, rows):
    """Return the shapes of what an estimator computes of rows; "refused" for a `ValueError`."""
    try:
        found = model.transform(rows) if hasattr(model, "transform") else model.score_samples(rows)
        return np.shape(found)
    except ValueError:
        return "refused"


def judge(result, was_repaired, model, rows, original, path):
    """Return what has come of a file."""
    if isinstance(result, skae.FileError):
        return "refused"
    if isinstance(result, Exception):
        return f"WRONG: {type(result).__name__}: {result}"[:200]
    if not was_repaired:
        skae.save(result, path)
        return "equal" if Path(path).read_bytes() == original else "WRONG: another estimator"
    try:
        shape = used(result, rows)
    except Exception as error:
        return f"WRONG in use: {type(error).__name__}: {error}"[:200]
    wanted = used(model, rows)
    # Another `n_components_` and the like would be another model; what it says of itself must hold.
    return "loaded as it says" if shape in (wanted, "refused") else f"WRONG: {shape} instead of {wanted}"


def load_many(n, seed):
    """Load n changed files; return counts, code that ran, memory (MB) and the largest file (bytes)."""
    torch.set_num_threads(1)
    source, watch, counts = random.Random(seed), Watch(), Counter()
    folder = Path(tempfile.mkdtemp())
    files = []
    # What the libraries import when they first need it, for some errors: no file has a part in it.
    for name in ("sklearn.utils._pprint", "torch._subclasses.schema_check_mode"):
        import_module(name)
    for place, (model, rows) in enumerate(models()):
        skae.save(model, folder / str(place))
        used(skae.load(folder / str(place)), rows)
        files.append((model, rows, (folder / str(place)).read_bytes()))
    largest = max(len(data) for _, _, data in files)
    path, other, memory = folder / "changed", folder / "again", 0.0
    warnings.simplefilter("ignore")
    for number in range(n):
        model, rows, data = source.choice(files)
        was_repaired, change, changed = changed_bytes(data, source)
        largest = max(largest, len(changed))
        path.write_bytes(changed)
        marked = memory_mark()
        result = watch.load(path)
        memory = max(memory, peak_memory() - marked)
        verdict = judge(result, was_repaired, model, rows, data, other)
        counts[change.__name__, verdict] += 1
        if verdict.startswith("WRONG"):
            print(seed, number, type(model).__name__, change.__name__, verdict, flush=True)
            (Path(tempfile.gettempdir()) / f"wrong_{seed}_{number}.skae").write_bytes(changed)
    return counts, watch.seen, memory, largest


def changed_bytes(data, source):
    """Return whether a checksum was repaired, what was done, and the bytes."""
    if source.random() >= ACCIDENTS:
        change = bomb if source.random() < 0.01 else source.choice(HOSTILE)
        # Where the header is none any more, an accident takes its place.
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            return True, change, joined(*change(source, *parts(data)))
    return False, accident, accident(data, source)


def main(n, seed, n_jobs):
    """Load n changed files in several processes, print counts, and write them."""
    began, outcomes = time.time(), Counter()
    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(load_many, [n // n_jobs] * n_jobs, range(seed, seed + n_jobs)))
    seen: Counter[str] = Counter()
    for counts, code, _, _ in found:
        seen.update(code)
        for (change, verdict), count in counts.items():
            outcomes[change, verdict.split(":")[0]] += count
    memory, largest = max(part[2] for part in found), max(part[3] for part in found)
    rows = [
        {"change": change, "outcome": verdict, "files": count}
        for (change, verdict), count in sorted(outcomes.items())
    ]
    print_table(rows, "damaged files")
    n = sum(row["files"] for row in rows)
    wrong = sum(row["files"] for row in rows if row["outcome"].startswith("WRONG"))
    print(
        f"\n{n} files in {time.time() - began:.0f} s: {wrong} loaded wrong, {sum(seen.values())} times code"
    )
    for event, count in seen.most_common(10):
        print("  ", event, count)
    print(f"memory of a load: at most {memory:.0f} MB; bound 3 x {largest / 1e6:.2f} MB + 50 MB")
    save(
        "damaged_files",
        rows,
        n=n,
        seed=seed,
        loaded_wrong=wrong,
        code_run=sum(seen.values()),
        code=dict(seen.most_common(20)),
        memory_of_a_load=round(memory, 1),
        largest_file=round(largest / 1e6, 2),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.n, arguments.seed, arguments.n_jobs)

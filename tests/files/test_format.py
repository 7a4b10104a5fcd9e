"""Plain data in files: what comes back, what is refused, and what reading takes."""

import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skae import _files
from skae._files import FileError

EVERYTHING = {
    "numbers": [0, -1, 10**30, 2.5, -0.0, 1e-320, float("inf"), float("-inf"), True, False, None],
    "texts": ["", "a", "ü", "\ud800", "\x00", "$array", "\U0001d4b3"],
    "tuple": (1, (2, []), {}),
    "$dollar": {"$array": 0, "plain": 1},
    "bytes": [b"", b"\x00\xff"],
    "long lists": [[float(i) for i in range(100)], [str(i) * (i % 5) for i in range(100)]],
    "long tuples": (tuple(float("nan") for _ in range(64)), tuple("ü" for _ in range(64))),
    "scalars": [np.float32(0.1), np.float64("nan"), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True)],
    "dtypes": [np.arange(5).astype(dtype) for dtype in "?bhilBHILefd"],
    "shapes": [np.zeros(()), np.zeros((0, 3)), np.ones((2, 3, 4))],
    "bytes of numpy": [
        np.array(["ab", "ü"]),
        np.array([b"x"]),
        np.array([1 + 2j]),
        np.array(["2020-01-01"], "M8[ns]"),
    ],
    "objects": [np.array(["a", None, 3, (1, 2)], dtype=object).reshape(2, 2), np.array([], dtype=object)],
    "not finite": np.array([np.nan, np.inf, 1.0]),
}


def there_and_back(content, path):
    _files.write(path, "test", content)
    return _files.read(path, "test")


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.flags.f_contiguous == other.flags.f_contiguous
        if one.dtype == object:
            assert_same(one.ravel().tolist(), other.ravel().tolist())
        else:
            np.testing.assert_array_equal(
                one.view(np.uint8) if one.ndim else one, other.view(np.uint8) if other.ndim else other
            )
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert repr(one) == repr(other)


@pytest.mark.parametrize("name", EVERYTHING)
def test_everything_plain_comes_back_as_it_was(name, tmp_path):
    assert_same(there_and_back({name: EVERYTHING[name]}, tmp_path / "x"), {name: EVERYTHING[name]})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
)
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes().filter(
        lambda dtype: (
            dtype.itemsize <= 16 and dtype.isnative and dtype != np.longdouble and dtype != np.clongdouble
        )
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
CONTENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        SCALARS | ARRAYS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(content=CONTENTS)
@settings(max_examples=60, deadline=None)
def test_any_plain_data_comes_back(tmp_path_factory, content):
    assert_same(there_and_back(content, tmp_path_factory.mktemp("any") / "x"), content)


def test_arrays_keep_their_order_in_memory_and_are_shared_again(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    found = there_and_back(
        {"a": array, "b": [array], "f": np.asfortranarray(array), "step": array[::2, ::2]}, tmp_path / "x"
    )
    assert found["a"] is found["b"][0]
    assert found["f"].flags.f_contiguous
    assert found["a"].flags.writeable
    np.testing.assert_array_equal(found["step"], array[::2, ::2])
    assert all(found[name].flags.aligned for name in ("a", "f", "step"))


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        _files.write(tmp_path / name, "test", EVERYTHING)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.clients
def test_the_package_safetensors_reads_the_tensors(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(3, dtype=np.int32), "c": np.array([True])}
    _files.write(tmp_path / "x", "test", arrays)
    found = load_file(tmp_path / "x")
    for place, array in enumerate(arrays.values()):
        np.testing.assert_array_equal(found[str(place)], array)
        assert found[str(place)].dtype == array.dtype
    assert json.loads(zlib.decompress(found["content"])) == {
        name: {"$array": place} for place, name in enumerate("abc")
    }
    with safe_open(tmp_path / "x", "np") as file:
        assert file.metadata().keys() == {"sha256", "format", "version"}


# ---------------------------------------------------------------------- what cannot be written


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: 0, r"content\['x'\]\[0\] is a builtins.function"),
        (Text("a"), "Text"),
        ({1: 2}, "has the key 1"),
        ({1, 2}, "builtins.set"),
        (np.zeros(2, dtype="f4,i4"), "array of"),
        (np.array([object()]), "builtins.object"),
        (np.ma.masked_array([1]), "MaskedArray"),
        (10**50, "digits"),
        (1 + 2j, "complex"),
    ],
)
def test_what_is_not_plain_is_named_and_nothing_is_written(value, words, tmp_path):
    with pytest.raises((TypeError, ValueError), match=words):
        _files.write(tmp_path / "x", "test", {"x": [value]})
    assert os.listdir(tmp_path) == []


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    nested = []
    for _ in range(200):
        nested = [nested]
    with pytest.raises(ValueError, match="more than 100 levels"):
        _files.write(tmp_path / "x", "test", {"x": nested})
    with pytest.raises(ValueError, match="too large to be read again safely"):
        _files.write(tmp_path / "x", "test", {"x": [[] for _ in range(300_000)]})
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------- what cannot be read


def parts(data):
    """Return header, content and the tensors before it of the bytes of a file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    begin, end = header["content"]["data_offsets"]
    rest = data[8 + length :]
    return header, json.loads(zlib.decompress(rest[begin:end])), rest[:begin]


def joined(header, text, rest, content=None):
    """Return the bytes of a file whose checksum fits."""
    if content is None:
        content = zlib.compress(text if isinstance(text, bytes) else json.dumps(text).encode())
        if "content" in header:
            header["content"] = {
                "dtype": "U8",
                "shape": [len(content)],
                "data_offsets": [len(rest), len(rest) + len(content)],
            }
    encoded = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    blank = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"' + b"0" * 64 + b'"', encoded, count=1)
    length = len(encoded).to_bytes(8, "little")
    digest = hashlib.sha256(length + blank + rest + content).hexdigest().encode()
    return length + blank.replace(b"0" * 64, digest, 1) + rest + content


@pytest.fixture
def whole(tmp_path):
    """Return the bytes of a file, and what refuses other bytes."""
    path = tmp_path / "x"
    _files.write(
        path,
        "test",
        {"a": np.arange(3.0), "b": np.arange(4, dtype=np.float32), "c": [1, "two"], "d": np.array([True])},
    )
    data = path.read_bytes()

    def refused(other, words):
        path.write_bytes(other)
        with pytest.raises(FileError, match=words) as caught:
            _files.read(path, "test")
        assert str(caught.value).startswith(f"{path} cannot be loaded: ")

    return data, refused


def test_a_file_that_was_joined_again_is_read(whole, tmp_path):
    _, content, _ = parts(whole[0])
    (tmp_path / "y").write_bytes(joined(*parts(whole[0])))
    assert _files.read(tmp_path / "y", "test")["c"] == content["c"]


def test_each_flipped_bit_and_each_cut_is_noticed(whole):
    data, refused = whole
    for place in range(len(data)):
        refused(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :], "cannot be loaded")
    for end in range(len(data)):
        refused(data[:end], "cannot be loaded")
    refused(data + b"\0", "damaged")


def changed_header(**changes):
    def change(header, content, rest):
        for name, change in changes.items():
            header[name] = {**header[name], **change}
        return joined(header, content, rest, None)

    return change


def changed_content(text):
    return lambda header, content, rest: joined(header, text, rest)


HUGE = 2**62


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_header(__metadata__={"version": "2"}), "version '2' of the format.*reads version 1"),
        (changed_header(__metadata__={"format": "skae.other"}), "kind 'skae.other'.*'skae.test' is wanted"),
        (changed_header(__metadata__={"more": "x"}), "metadata"),
        (changed_header(__metadata__={"version": 1}), "version ''"),
        (changed_header(**{"0": {"shape": [4]}}), "another size than its shape"),
        (changed_header(**{"0": {"shape": [-3]}}), "no shape"),
        (changed_header(**{"0": {"shape": [3.0]}}), "no shape"),
        (changed_header(**{"0": {"shape": [HUGE, HUGE]}}), "another size"),
        (changed_header(**{"0": {"shape": [1] * 40 + [3]}}), "no shape"),
        (changed_header(**{"0": {"dtype": "F32"}}), "another size"),
        (changed_header(**{"0": {"dtype": "C64"}}), "unknown dtype"),
        (changed_header(**{"0": {"data_offsets": [8, 32]}}), "wrong place"),
        (
            changed_header(**{"0": {"data_offsets": [0, HUGE], "shape": [HUGE // 8]}}),
            "wrong place|has .* for them",
        ),
        (changed_header(**{"1": {"data_offsets": [0, 16]}}), "wrong place"),
        (changed_header(**{"1": {"more": 1}}), "other entries"),
        (changed_content(b'{"a":{"$array":0},"a":1}'), "key twice"),
        (changed_content(b'{"a":NaN}'), "NaN is no JSON"),
        (changed_content(b'{"a":1e999}'), "too large"),
        (changed_content(b'{"a":' + b"9" * 5000 + b"}"), "digits"),
        (changed_content(b"[" * 50_000), "nested|damaged|recursion"),
        (changed_content(b'{"a":' + b"[" * 150 + b"]" * 150 + b"}"), "levels"),
        (changed_content(b"[1]"), "no dict"),
        (changed_content(b'{"a":'), "damaged"),
        (changed_content(b'{"a":"\xc3\xbc"}'), "damaged"),
        (changed_content({"a": {"$array": 99}}), "not there"),
        (changed_content({"a": {"$array": -1}}), "not there"),
        (changed_content({"a": {"$array": 0, "dtype": "O"}}), "dtype that does not fit"),
        (changed_content({"a": {"$array": 0, "dtype": "<U6"}}), "dtype that does not fit"),
        (changed_content({"a": {"$array": 0, "x": 1}}), "unknown entries"),
        (changed_content({"a": {"$call": 0}}), "'\\$call', which is not known"),
        (changed_content({"a": {"b": 1, "$array": 0}}), "begins with"),
        (changed_content({"a": {"$float": "1"}}), "is none"),
        (changed_content({"a": {"$tuple": 1}}), "no list"),
        (changed_content({"a": {"$dict": [1]}}), "pairs"),
        (changed_content({"a": {"$scalar": ["<f4", 1e300]}}), "too large"),
        (changed_content({"a": {"$scalar": ["|i1", 300]}}), "too large"),
        (changed_content({"a": {"$scalar": ["<i4", "1"]}}), "no int32"),
        (changed_content({"a": {"$texts": [0, 1]}}), "another dtype"),
        (changed_content({"a": {"$objects": [[3], [1]]}}), "another size"),
        (changed_content({"c": 1}), "does not mention"),
    ],
)
def test_what_does_not_fit_is_refused_though_its_checksum_fits(change, words, whole):
    data, refused = whole
    refused(change(*parts(data)), words)


def test_tensors_that_are_not_what_they_should_be_are_refused(whole):
    data, refused = whole
    header, content, rest = parts(data)
    refused(joined(header, content, np.full(3, np.nan).tobytes() + rest[24:]), "NaN or infinite")
    refused(joined(header, content, rest[:-1] + b"\2"), "neither true nor false")
    doubled = json.dumps(header, separators=(",", ":")).encode().replace(b'"1":{', b'"0":{')
    refused(joined(doubled, content, rest, data[-header["content"]["shape"][0] :]), "key twice")
    del header["1"]
    refused(joined(header, content, rest), "damaged|wrong place|numbered")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        _files.read(tmp_path / "none", "test")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(FileError, match="no regular file"):
            _files.read(path, "test")
    (tmp_path / "pickle").write_bytes(b"\x80\x04cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(FileError, match=r"not a file of skae\.save"):
        _files.read(tmp_path / "pickle", "test")


def peak(path):
    tracemalloc.start()
    try:
        _files.read(path, "test")
    except FileError:
        pass
    finally:
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found


BOMBS = {
    "zeros": b'{"a":"' + b" " * 50_000_000 + b'"}',
    "lists": b'{"a":[' + b"[]," * 2_000_000 + b"0]}",
    "dicts": b'{"a":[' + b'{"b":0},' * 1_000_000 + b"0]}",
    "numbers": b'{"a":[' + b"1.5," * 2_000_000 + b"0]}",
    "long texts": b'{"a":"' + b"x" * 9_000_000 + b'\\ud835\\udcb3"}',
    "texts": b'{"a":[' + b'"abc",' * 1_000_000 + b"0]}",
    "tuples": b'{"a":[' + b'{"$tuple":[]},' * 500_000 + b"0]}",
    "deep": b"[" * 5_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_little_that_says_much_takes_no_memory(name, whole, tmp_path):
    header, _, rest = parts(whole[0])
    (tmp_path / "x").write_bytes(joined(header, BOMBS[name], rest))
    assert peak(tmp_path / "x") <= 3 * (tmp_path / "x").stat().st_size + 50e6


def test_a_long_header_takes_no_memory(whole, tmp_path):
    data = whole[0]
    for many in (b'"0":{},' * 1_500_000, b" " * 10_000_000, b"[" * 10_000_000):
        length = int.from_bytes(data[:8], "little")
        encoded = data[8 : 8 + length].rstrip()[:-1] + b"," + many + b"}"
        encoded += b" " * (-len(encoded) % 8)
        (tmp_path / "x").write_bytes(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])
        assert peak(tmp_path / "x") <= 3 * (tmp_path / "x").stat().st_size + 50e6


def test_large_arrays_are_read_once_and_not_copied(tmp_path):
    _files.write(tmp_path / "x", "test", {"a": np.ones(4_000_000), "b": np.ones((1000, 1000), np.float32)})
    assert peak(tmp_path / "x") <= 1.2 * (tmp_path / "x").stat().st_size


# ---------------------------------------------------------------------- what is on the disk


def test_an_old_file_stays_whole_when_the_disk_is_full(tmp_path):
    """A limit on the size of files stands for a disk without room."""
    path = tmp_path / "x"
    _files.write(path, "test", {"old": 1})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"could not be written: .*What was there before is unchanged"):
            _files.write(path, "test", {"new": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_folders_that_are_gone_and_files_that_may_not_be_written_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="Check that the folder exists"):
        _files.write(tmp_path / "gone" / "x", "test", {})
    for path in (tmp_path, "/dev/full"):
        with pytest.raises(OSError, match="could not be written"):
            _files.write(path, "test", {})
    assert os.listdir(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk of 64 KB, and what makes it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    # Only root may, and not everywhere.
    if not sys.platform.startswith("linux") or os.geteuid() or mount("-t", "tmpfs", "-o", "size=64k", folder):
        pytest.skip("no file system can be mounted here")
    yield folder, lambda: mount("-o", "remount,ro", folder)
    subprocess.run(["umount", folder], check=True)


def mount(*arguments):
    """Return the exit code of `mount`."""
    return subprocess.run(["mount", *arguments[:-1], "tmpfs", arguments[-1]], check=False).returncode


def test_a_disk_that_is_full_keeps_the_old_file_and_nothing_else(small_disk):
    path = small_disk[0] / "x"
    _files.write(path, "test", {"old": 1})
    with pytest.raises(
        OSError, match=r"could not be written: No space left on device\. What was there before"
    ):
        _files.write(path, "test", {"new": np.zeros(100_000)})
    assert _files.read(path, "test") == {"old": 1}
    assert os.listdir(small_disk[0]) == ["x"]
    # Room again: it is written.
    _files.write(path, "test", {"new": 1})
    assert _files.read(path, "test") == {"new": 1}


def test_a_disk_that_is_read_only_is_left_alone(small_disk):
    folder, make_read_only = small_disk
    _files.write(folder / "x", "test", {"old": 1})
    assert make_read_only() == 0
    for name in ("x", "y"):
        with pytest.raises(OSError, match=r"could not be written: .*[Cc]heck that the folder"):
            _files.write(folder / name, "test", {"new": 1})
    assert _files.read(folder / "x", "test") == {"old": 1}


# Root may write everywhere, and becomes nobody.
WRITER = """
    import os, sys
    from skae import _files
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        _files.write(sys.argv[1], "test", {"new": 1})
    except PermissionError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have other rights on Windows")
@pytest.mark.parametrize("rights", [(0o444, 0o777), (0o666, 0o555)], ids=["file", "folder"])
def test_a_read_only_file_or_folder_is_left_alone(rights):
    # Not below `tmp_path`, where nobody may go.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        _files.write(path, "test", {"old": 1})
        path.chmod(rights[0])
        os.chmod(folder, rights[1])
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        os.chmod(folder, 0o755)
        assert "could not be written: Permission denied. What was there before is unchanged." in said
        assert _files.read(path, "test") == {"old": 1}
        assert os.listdir(folder) == ["x"]


def test_an_interrupt_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def interrupted():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _files.write_atomically(path, interrupted())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_links_stay_links_and_rights_stay_rights(tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    _files.write(path, "test", {"old": 1})
    path.chmod(0o640)
    link.symlink_to(path)
    _files.write(link, "test", {"new": 1})
    assert link.is_symlink()
    assert _files.read(path, "test") == {"new": 1}
    assert path.stat().st_mode & 0o777 == 0o640


def test_files_are_read_without_torch(tmp_path):
    _files.write(tmp_path / "x", "test", {"a": np.arange(3.0)})
    code = (
        "import sys; from skae import _files; "
        f"print(_files.read({os.fspath(tmp_path / 'x')!r}, 'test')['a'].sum(), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["3.0", "False"]


KILLED = """
import itertools, sys
import numpy as np
from skae import _files

for number in itertools.count():
    _files.write(sys.argv[1], "test", {"number": number, "array": np.full(500_000, float(number))})
    print(number, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills otherwise")
def test_a_file_is_whole_when_its_writer_is_killed(tmp_path):
    path, source = tmp_path / "x", random.Random(0)
    for _ in range(int(os.environ.get("SKAE_KILLS", "3"))):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True
        ) as writer:
            written = int(writer.stdout.readline())
            time.sleep(source.uniform(0, 0.1))
            writer.kill()
            written = [written, *map(int, writer.stdout.read().split())][-1]
        found = _files.read(path, "test")
        # The last one that was reported, or the next, which was in its place but not reported yet.
        assert found["number"] in (written, written + 1)
        assert (found["array"] == found["number"]).all()
    assert all(
        name == "x" or (name.startswith(".x.") and name.endswith(".part")) for name in os.listdir(tmp_path)
    )

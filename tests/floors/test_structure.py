"""The structure in numbers, none of which may get worse: `benchmarks/structure.py` prints them."""

import ast
from types import SimpleNamespace

import counting
import pytest

# What each count may be at most. A change that lowers a count lowers its number here, too.
AT_MOST = {
    "files of estimators/": 17,
    "lines of the largest file of estimators/": 400,
    "files that a fit passes through": 25,
    "changes of file in a fit": 195,
    "files that a fit without held-out rows passes through": 25,
    "changes of file in a fit without held-out rows": 194,
    "probes of parts": 2,
    "circles of imports": 0,
    "imports that run up": 0,
    "Any in annotations": 243,
    "casts": 19,
    'docstrings that begin with "Give" or "Tell"': 0,
}


@pytest.fixture(scope="module")
def counts():
    return counting.counts()


def test_every_count_has_a_bar(counts):
    assert counts.keys() == AT_MOST.keys()


@pytest.mark.parametrize("name", AT_MOST)
def test_no_count_gets_worse(counts, name):
    assert counts[name] <= AT_MOST[name]


def test_each_probe_of_a_part_has_a_reason():
    assert {counting.probe_key(probe) for probe in counting.probes()} == counting.ALLOWED.keys()


# ---------------------------------------------------------------------- the counting itself


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Let files be counted that a test writes."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(counting, "ROOT", tmp_path)
        monkeypatch.setattr(counting, "FILES", sorted(tmp_path.rglob("*.py")))

    return write


@pytest.mark.parametrize(
    ("text", "is_probe"),
    [
        ("isinstance(network, Dense)", True),
        ("isinstance(network, networks.Dense)", True),
        ("isinstance(x, (str, Dense))", True),
        ("isinstance(layer, torch.nn.Linear)", True),
        ("isinstance(module, nn.Module)", False),
        ("isinstance(loss, str)", False),
        ("hasattr(penalty, 'draw')", True),
        ("hasattr(self.penalties['codes'], 'draw')", False),
        ("getattr(self._specification(), 'dropout', 0)", True),
        ("getattr(specification, 'dropout')", False),
        ("getattr(self, '_table', None)", True),
        ("getattr(getattr(model, 'network', None), 'n_timesteps', None)", True),
        ("hasattr(X, 'iloc')", False),
        ("hasattr(self, 'network_')", False),
    ],
)
def test_probes_are_found(package, text, is_probe):
    package(estimators__one=f"from skae import networks\nfrom skae.networks import Dense\n{text}")
    assert bool(counting.probes()) == is_probe


def test_a_room_may_ask_for_its_own_classes(package):
    package(
        networks__one="from skae.networks.dense import Dense\nisinstance(x, Dense)\nisinstance(x, nn.Linear)",
        networks__two="from skae.networks.bottlenecks import TopK\nisinstance(x, TopK)",
    )
    assert [probe.file for probe in counting.probes()] == ["networks/two.py"]


def test_circles_and_arrows_up_are_found(package):
    package(
        networks__one="from skae.networks import two\nfrom skae.training.loop import train",
        networks__two="def late():\n    from skae.networks.one import x",
        training__loop="",
    )
    assert counting.circles() == [["skae.networks.one", "skae.networks.two"]]
    assert counting.arrows_up() == ["networks/one.py -> training"]


def test_texts_and_types_are_counted(package):
    package(
        one='"""Give one."""\nfrom typing import Any, cast\n'
        'def f(x: Any, y: list[Any]) -> Any:\n    """Tell."""\n    z: Any = cast(Any, x)\n'
        'class A:\n    """Given."""'
    )
    assert counting.count_annotations("Any") == 4
    assert counting.count_calls("cast") == 1
    assert counting.docstrings_that_begin_with("Give", "Tell") == ["one.py: module", "one.py: f"]


def test_lines_of_code_are_neither_blank_nor_texts():
    text = '"""One."""\n\nx = 1  # two\n# three\n\ndef f():\n    """Four.\n\n    five"""\n    return 1\n'
    assert counting.code_lines(ast.parse(text), text.splitlines()) == 3


def test_changes_of_file_are_counted(monkeypatch):
    """A fit that calls one file twice and then another passes through two files, with one change."""
    root = str(counting.ROOT)

    class Model(SimpleNamespace):
        def __init__(self, *arguments, **settings):
            pass

        def fit(self, X):
            for name in ("__init__", "__init__", "_typing"):
                eval(compile("(lambda: 0)()", f"{root}/{name}.py", "eval"))

    monkeypatch.setattr(counting.skae, "AutoencoderTransformer", Model)
    assert counting.way_of_fit() == (2, 1)

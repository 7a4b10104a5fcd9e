"""Each test that `docs/reliability.rst` names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISES = ROOT / "docs" / "reliability.rst"


def test_every_sentence_names_a_test_that_exists():
    text = PROMISES.read_text()
    named = re.findall(r"``(tests/[\w/]+\.py)::(test_\w+)``", text)
    assert len(named) >= text.count("\n- ")
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), (path, name)

"""Whatever is passed, a call gives a finite answer of the right shape, or is refused by a sentence.

Scenes are drawn from seeds (`scenes.py`); each line of a failure says how to play its scene alone.
"""

from collections import Counter

import pytest
from hard_settings import ESTIMATORS
from scenes import calls, warm_up

FEW_CALLS, N_CALLS = 100, 200
# Making hard tables warns, of matrices and overflow. Calls are judged under filters of their own.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module", autouse=True)
def imported():
    warm_up()


def weather(name, seed, n_calls):
    """Play scenes, and say what ended unclean."""
    outcomes, unclean = Counter(), []
    for number, scene, verdict in calls(name, seed, n_calls):
        outcomes[verdict.outcome] += 1
        if verdict.outcome == "unclean":
            unclean.append(
                f"{verdict.call}: {verdict.why}\n    of {scene}\n    again: python "
                f"tests/contract/hard_weather/scenes.py {name} {seed} {number}"
            )
    assert not unclean, "\n".join([f"{len(unclean)} of {outcomes.total()} calls", *unclean])
    # Neither does everything pass that should not, nor is everything refused.
    assert outcomes.total() >= n_calls
    assert outcomes["answer"] > n_calls / 3
    assert outcomes["refused"] > n_calls / 20


@pytest.mark.parametrize("name", ESTIMATORS)
def test_calls_give_finite_answers_or_sentences(name):
    weather(name, 0, FEW_CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(26))
@pytest.mark.parametrize("name", ESTIMATORS)
def test_many_calls_give_finite_answers_or_sentences(name, seed):
    weather(name, seed, N_CALLS)

"""Fits that are broken off after any epoch, and go on from the state that was kept."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from small_fits import BLUEPRINT, PLAN, ROWS, parts, plain, squared
from torch import nn

from skae._random import Streams
from skae.networks import Convolutional, Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import BatchTopK, Bottleneck
from skae.networks.custom import as_architecture
from skae.objectives import Objective
from skae.objectives.corruption import Gaussian
from skae.objectives.nested import Nested
from skae.objectives.penalties import Adversary, AuxK
from skae.objectives.penalties.revival import Resample
from skae.objectives.priors import PRIORS
from skae.training import DivergenceError, courses
from skae.training.batches import Rows
from skae.training.checkpoint import Checkpoint
from skae.training.fits import Fitting

BY_SPLIT = {"held_out": "split", "n_training": 30}
BY_FOLDS = {"held_out": "folds"}
ORDERED = dataclasses.replace(BLUEPRINT, is_ordered=True)


def noisy():
    return Objective(squared(), corruption=Gaussian(torch.full((5,), 0.3), torch.arange(5)))


def ordered():
    return Nested(squared(), n_components=2, penalizes_regressions=True)


def reviving():
    objective = plain()
    objective.revival = Resample(8)
    return objective


def auxiliary():
    return Objective(squared(), {"dead": AuxK(8, 1)})


def adversarial():
    return Objective(squared(), {"adversary": Adversary(1.0, 2, PRIORS["normal"])})


def own_modules():
    encoder = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    decoder = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 5))
    return as_architecture((encoder, decoder))


OWN_MODULES = Blueprint(own_modules(), Bottleneck, 2)
CASES = {
    "split": (BY_SPLIT, {}),
    "folds": (BY_FOLDS, {}),
    "nothing held out": ({}, {}),
    "folds that end early": ({**BY_FOLDS, "n_epochs": 24, "learning_rate": 0.1, "ends_early": True}, {}),
    "several starts in folds": ({**BY_FOLDS, "n_init": 2}, {}),
    "sgd": ({**BY_SPLIT, "solver": "sgd"}, {}),
    "rmsprop": ({"solver": "rmsprop"}, {}),
    "lbfgs": ({"solver": "lbfgs", "batch_size": 40, "n_epochs": 5}, {}),
    "recirculation": (
        {"solver": "recirculation"},
        {"blueprint": Blueprint(Dense((), activation="identity"), Bottleneck, 2, linear_path=False)},
    ),
    "plateau": ({**BY_FOLDS, "schedule": "reduce_on_plateau", "solver": "sgd", "n_epochs": 8}, {}),
    "one cycle": ({**BY_FOLDS, "schedule": "one_cycle"}, {}),
    "layerwise": (
        {**BY_SPLIT, "n_pretraining_epochs": 2},
        {"blueprint": Blueprint(Dense((4, 3)), Bottleneck, 2)},
    ),
    "patience": ({**BY_FOLDS, "patience": 1, "tol": 0.02, "n_epochs": 6}, {}),
    "seen with noise": ({**BY_FOLDS, "input_noise": 0.3}, {}),
    "corrupted": (BY_FOLDS, {"objective": noisy}),
    "ordered": (
        BY_FOLDS,
        {"objective": ordered, "blueprint": ORDERED},
    ),
    "ordered, split": (
        BY_SPLIT,
        {"objective": ordered, "blueprint": ORDERED},
    ),
    "adversary": (BY_FOLDS, {"objective": adversarial}),
    "dropout": (BY_FOLDS, {"blueprint": Blueprint(Dense((4,), dropout=0.3), Bottleneck, 2)}),
    "norms of batches": (BY_SPLIT, {"blueprint": Blueprint(Dense((4,), batch_norm=True), Bottleneck, 2)}),
    "convolutions": (
        BY_FOLDS,
        {"blueprint": Blueprint(Convolutional((1, 1, 5), channels=(2,)), Bottleneck, 2)},
    ),
    "thresholds": (BY_SPLIT, {"blueprint": Blueprint(Dense((4,)), lambda: BatchTopK(1), 2)}),
}


class Writes:
    """Keeps a copy of all that a checkpoint wrote."""

    def __init__(self):
        self.written = []

    def __call__(self, states):
        self.written.append(copy.deepcopy(states))


def fitted(case, keeper=None, **changes):
    plan, made_of = CASES.get(case, (BY_FOLDS, {"blueprint": OWN_MODULES}))
    plan = dataclasses.replace(PLAN, **{"batch_size": 15, "n_epochs": 4, **plan, **changes})
    fitting = Fitting(plan, parts(**made_of), Rows(ROWS.clone()), Streams(0), keeper=keeper)
    return courses.fit(fitting, lambda *given: False)


def everything(found):
    tensors = {
        f"{part}.{name}": value
        for part, module in (("network", found.network), ("objective", found.objective))
        for name, value in [*module.named_parameters(), *module.named_buffers()]
    }
    scores = found.best_epoch, found.validation_score, found.pca_score, found.by_size
    return tensors, found.objective.counters(), dataclasses.asdict(found.history), scores


def check_equal(one, other):
    (tensors, *further), (others, *rest) = everything(one), everything(other)
    assert tensors.keys() == others.keys()
    for name, value in tensors.items():
        assert torch.equal(value, others[name]), name
    np.testing.assert_equal(further, rest)


SLOW = {
    "convolutions",
    "adversary",
    "dropout",
    "several starts in folds",
    "patience",
    "ordered",
    "seen with noise",
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case in SLOW else case for case in CASES]
)
def test_a_fit_goes_on_after_an_epoch_as_if_nothing_had_been(case):
    undisturbed, writes = fitted(case), Writes()
    check_equal(fitted(case, Checkpoint(writes, every=1)), undisturbed)
    assert len(writes.written) >= 4
    for place in (0, len(writes.written) // 2, -1):
        check_equal(fitted(case, Checkpoint(Writes(), writes.written[place])), undisturbed)


@pytest.mark.slow
def test_draws_of_own_modules_go_on():
    case = "own modules"

    def checkpoint(states=()):
        return Checkpoint(Writes(), states, every=1, generators=[torch.default_generator])

    kept = checkpoint()
    check_equal(fitted(case, kept), undisturbed := fitted(case))
    check_equal(fitted(case, checkpoint(kept.write.written[2])), undisturbed)


def test_a_training_that_diverged_does_so_again():
    case, changes = "split", {"learning_rate": 1e300, "n_epochs": 8}
    with pytest.raises(DivergenceError) as error:
        fitted(case, **changes)
    kept = Checkpoint(Writes(), every=1)
    with pytest.raises(DivergenceError):
        fitted(case, kept, **changes)
    for states in kept.write.written:
        with pytest.raises(DivergenceError) as again:
            fitted(case, Checkpoint(Writes(), states), **changes)
        assert str(again.value) == str(error.value)


def test_states_are_written_as_often_as_was_asked_for():
    writes = Writes()
    fitted("nothing held out", Checkpoint(writes, every=3), n_epochs=10)
    assert [len(states[0]["trainings"][0]["history"]["losses"]) for states in writes.written] == [3, 6, 9]


def test_writing_takes_a_small_part_of_the_time(monkeypatch):
    clock = iter(range(0, 100_000))
    # A write takes one tick, and so does each epoch.
    monkeypatch.setattr("skae.training.checkpoint.time.perf_counter", lambda: next(clock))
    writes = Writes()
    fitted("nothing held out", Checkpoint(writes), n_epochs=45)
    assert [len(states[0]["trainings"][0]["history"]["losses"]) for states in writes.written] == [1, 21, 41]

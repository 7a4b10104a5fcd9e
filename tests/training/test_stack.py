"""Models in a stack are the models trained alone."""

import copy
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

import skae
from skae.estimators.base import Job, fit_together
from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.objectives.penalties import ActivityKL, ActivityL1, ActivityL2, Contraction, WeightL1
from skae.training import fits
from skae.training.stack import StackedStep
from skae.training.steps import Pair, Schedule, StepSettings
from skae.training.structure import structure

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(seed, n_rows=70):
    random = np.random.RandomState(seed)
    return random.standard_normal((n_rows, 3)) @ random.standard_normal(
        (3, 6)
    ) + 0.1 * random.standard_normal((n_rows, 6))


class Stacks(list):
    """Numbers of members of the stacks that were trained."""

    def __call__(self, models):
        self.append(len(models))
        return self.steps(models)


@pytest.fixture
def stacks(monkeypatch) -> Iterator[Stacks]:
    found = Stacks()
    found.steps = fits.steps_of
    monkeypatch.setattr(fits, "steps_of", found)
    return found


# Rates, decays, clips and seeds differ; so do rows.
OWN = (
    {"random_state": 0, "weight_decay": 0.1},
    {"random_state": 1, "learning_rate_init": 0.003, "weight_decay": 0.0},
    {"random_state": 2, "gradient_clip": 0.05},
)


def members(estimator, own=OWN):
    return [copy.deepcopy(estimator).set_params(**settings) for settings in own]


def brief(estimator):
    return estimator.set_params(max_iter=3, batch_size=16, early_stopping=False)


def weights(model):
    return {**model.network_.state_dict(), **model.objective_.state_dict()}


def assert_equal(one, other):
    # Tables are so small that all is float64. Where a gradient is zero but for rounding, as at the PCA start,
    # Adam makes steps of it that are 1e8 times as large.
    found, expected = weights(one), weights(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype in (torch.float64, torch.bool, torch.int64)
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-6)


SPARSE = skae.SparseAutoencoderTransformer
SETTINGS = {
    "plain": skae.AutoencoderTransformer(2),
    "sparse without revival": SPARSE(9, n_active=3, revival=None),
    **{
        f"{penalty}, {revival}": SPARSE(9, n_active=2, penalty=penalty, revival=revival)
        for penalty in ("topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl")
        for revival in ("resample", "auxiliary")
    },
    "sparse, deep dictionary": SPARSE(9, n_active=2, hidden_layer_sizes=(5,)),
    "sparse, dense": SPARSE(4, penalty="l1", network=Dense((5,))),
    **{
        f"contractive, {jacobian}, {sizes}, {activation}": skae.ContractiveAutoencoderTransformer(
            2,
            hidden_layer_sizes=sizes,
            jacobian=jacobian,
            code_activation=activation,
            linear_path=linear_path,
            # At PCA, tied units would sit at the very kink of their activation, where rounding decides.
            init="random",
        )
        for jacobian in ("exact", "estimate")
        for sizes in ((), (5,), (5, 4))
        for activation, linear_path in (("identity", True), ("logistic", False))
    },
    "variational": skae.VariationalAutoencoderTransformer(2),
    "importance-weighted": skae.VariationalAutoencoderTransformer(2, objective="iwae", n_importance=3),
    "ordered": skae.AutoencoderTransformer(3, ordered=True),
    "binary": skae.BinaryAutoencoderTransformer(4, init="random"),
    "denoising": skae.DenoisingAutoencoderTransformer(2),
    **{
        loss: skae.AutoencoderTransformer(2, loss=loss, init="random") for loss in ("absolute_error", "huber")
    },
    "adversarial": skae.AdversarialAutoencoderTransformer(2),
    "tied": SPARSE(4, penalty="l1", network=Dense((5,), tied_weights=True)),
}


@pytest.mark.parametrize("estimator", SETTINGS.values(), ids=SETTINGS.keys())
def test_members_are_what_they_are_alone(estimator, stacks):
    together, alone = (members(brief(copy.deepcopy(estimator))) for _ in range(2))
    tables = [table(seed) for seed in range(3)]
    errors = fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)])
    assert errors == [None] * 3
    assert stacks == [3]
    for one, other, X in zip(together, alone, tables, strict=True):
        assert_equal(one, other.fit(X))


def test_members_have_their_own_noise_whatever_their_numbers_of_rows(stacks):
    own = [{**settings, "input_noise": noise} for settings, noise in zip(OWN, (0.3, 0.0, 1.0), strict=True)]
    together, alone = (members(brief(skae.AutoencoderTransformer(2)), own) for _ in range(2))
    tables = [table(seed, n_rows) for seed, n_rows in enumerate((70, 66, 79))]
    assert fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)]) == [None] * 3
    assert stacks == [3]
    for one, other, X in zip(together, alone, tables, strict=True):
        assert_equal(one, other.fit(X))


@pytest.mark.parametrize("name", ["plain", "variational", "topk, resample", "adversarial"])
def test_rows_have_weights(name, stacks):
    together, alone = (members(brief(copy.deepcopy(SETTINGS[name]))) for _ in range(2))
    weight = 1.0 + np.arange(70) % 3
    jobs = [Job(model, table(seed), None, {"sample_weight": weight}) for seed, model in enumerate(together)]
    assert fit_together(jobs) == [None] * 3
    assert stacks == [3]
    for seed, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert_equal(one, other.fit(table(seed), sample_weight=weight))


def with_gaps(seed, n_rows=70):
    X = table(seed, n_rows)
    X[np.random.RandomState(seed).rand(*X.shape) < 0.2] = np.nan
    return X


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "variational",
        "importance-weighted",
        "ordered",
        "topk, resample",
        "adversarial",
        "contractive, exact, (5,), identity",
        "contractive, estimate, (5, 4), logistic",
        "huber",
    ],
)
def test_rows_hold_gaps(name, stacks):
    together, alone = (members(brief(copy.deepcopy(SETTINGS[name]))) for _ in range(2))
    tables = [with_gaps(seed) for seed in range(3)]
    assert fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)]) == [None] * 3
    assert stacks == [3]
    for one, other, X in zip(together, alone, tables, strict=True):
        assert_equal(one, other.fit(X))


def test_members_with_gaps_may_have_other_numbers_of_rows(stacks):
    together, alone = (members(brief(skae.AutoencoderTransformer(2))) for _ in range(2))
    tables = [with_gaps(seed, n_rows) for seed, n_rows in enumerate((70, 66, 79))]
    assert fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)]) == [None] * 3
    assert stacks == [3]
    for one, other, X in zip(together, alone, tables, strict=True):
        assert_equal(one, other.fit(X))


@pytest.mark.parametrize(("most", "sizes"), [(1, [1, 1, 1]), (2 * 14 * 26, [2, 1]), (10**9, [3])])
def test_large_steps_are_divided(stacks, monkeypatch, most, sizes):
    monkeypatch.setattr(fits, "_MOST_IN_STEP", most)
    together, alone = (
        # 14 rows a step, and 26 units.
        members(brief(skae.AutoencoderTransformer(2, hidden_layer_sizes=(5,))))
        for _ in "ab"
    )
    assert fit_together([Job(model, table(seed)) for seed, model in enumerate(together)]) == [None] * 3
    assert stacks == sizes
    for seed, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert_equal(one, other.fit(table(seed)))


def test_folds_of_a_fit_stay_together(stacks, monkeypatch):
    monkeypatch.setattr(fits, "_MOST_IN_STEP", 1)
    skae.AutoencoderTransformer(2, max_iter=3, random_state=0).fit(table(0))
    assert stacks == [6]


def test_what_reads_gaps_again_is_trained_alone(stacks, monkeypatch):
    monkeypatch.setattr(Contraction, "reads_inputs", True)
    together = members(brief(skae.ContractiveAutoencoderTransformer(2)))
    assert fit_together([Job(model, with_gaps(0)) for model in together]) == [None] * 3
    assert stacks == [1, 1, 1]


@pytest.mark.parametrize("gaps", [False, True])
def test_tables_of_several_kinds(stacks, gaps):
    frame = pd.DataFrame(table(0), columns=list("abcdef"))
    frame["kind"] = pd.Categorical(np.where(frame["a"] > 0, "up", np.where(frame["b"] > 0, "left", "down")))
    frame["on"] = frame["c"] > 0
    if gaps:
        frame.loc[::4, "kind"] = np.nan
        frame.loc[1::3, "a"] = np.nan
    together, alone = (members(brief(skae.VariationalAutoencoderTransformer(2))) for _ in range(2))
    assert fit_together([Job(model, frame) for model in together]) == [None] * 3
    assert stacks == [3]
    for one, other in zip(together, alone, strict=True):
        assert_equal(one, other.fit(frame))


WIDTHS = {
    "plain": skae.AutoencoderTransformer(hidden_layer_sizes=(5,)),
    "affine": skae.AutoencoderTransformer(hidden_layer_sizes=(), init="random"),
    "deep without linear path": skae.AutoencoderTransformer(hidden_layer_sizes=(6, 5), linear_path=False),
    "absolute error": skae.AutoencoderTransformer(loss="absolute_error"),
    "denoising": skae.DenoisingAutoencoderTransformer(),
}


@pytest.mark.parametrize("estimator", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("sizes", [(1, 3, 2), (4, 4, 1)], ids=str)
def test_codes_of_several_widths_share_a_stack(estimator, sizes, stacks):
    own = [{**settings, "n_components": size} for settings, size in zip(OWN, sizes, strict=True)]
    together, alone = (members(brief(copy.deepcopy(estimator)), own) for _ in range(2))
    tables = [table(seed) for seed in range(3)]
    assert fit_together([Job(model, X) for model, X in zip(together, tables, strict=True)]) == [None] * 3
    assert stacks == [3]
    for one, other, X, size in zip(together, alone, tables, sizes, strict=True):
        assert_equal(one, other.fit(X))
        assert one.transform(X).shape == (70, size)
        assert all(parameter.is_contiguous() for parameter in one.network_.parameters())


@pytest.mark.parametrize(
    "estimator",
    [SPARSE(9, n_active=2), skae.BinaryAutoencoderTransformer(), skae.VariationalAutoencoderTransformer()],
    ids=lambda estimator: type(estimator).__name__,
)
def test_codes_of_several_widths_are_stacked_only_where_zeros_change_nothing(estimator, stacks):
    own = [{**settings, "n_components": size} for settings, size in zip(OWN, (4, 4, 3), strict=True)]
    together = members(brief(copy.deepcopy(estimator)), own)
    assert fit_together([Job(model, table(0)) for model in together]) == [None] * 3
    assert sorted(stacks) == [1, 2]


def pair_of(size, penalties=()):
    generator = torch.Generator().manual_seed(size)
    network = Blueprint(Dense((4,)), Bottleneck, size).build(6, generator, None).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    reconstruction = Reconstruction(LOSSES["squared_error"].cell, "identity")
    named = {str(number): penalty for number, penalty in enumerate(penalties)}
    return Pair(network, Objective(reconstruction, named).double())


def steps_of(*pairs):
    settings = [
        StepSettings(Schedule(), 0.01 * len(pair.network.encoder[-1].bias), 0.1, 0.5, torch.Generator())
        for pair in pairs
    ]
    return StackedStep(pairs, settings)


def batch_of(seed):
    rows = torch.from_numpy(table(seed, 9))
    return Batch(rows, rows)


PENALTIES = {
    "none": lambda size: (),
    "activity": lambda size: (ActivityL1(0.1 * size), ActivityL2(0.1)),
    "weights": lambda size: (WeightL1(0.01),),
}


@pytest.mark.parametrize("penalties", PENALTIES.values(), ids=PENALTIES.keys())
def test_steps_of_narrow_codes_are_those_of_the_code_alone(penalties):
    sizes, progress = (2, 1, 3), [0.5] * 3
    together, alone = ([pair_of(size, penalties(size)) for size in sizes] for _ in range(2))
    assert len({structure(pair.network, pair.objective) for pair in together}) == 1
    steps, single = steps_of(*together), [steps_of(pair) for pair in alone]
    for number in range(4):
        terms = steps([batch_of(number + 10 * size) for size in sizes], progress)
        for index, (step, size) in enumerate(zip(single, sizes, strict=True)):
            for name, value in step([batch_of(number + 10 * size)], [0.5]).items():
                torch.testing.assert_close(terms[name][index], value[0], rtol=1e-9, atol=0)
        if number == 1:
            # From here on without the widest: the others are narrower side by side.
            steps.keep([0, 1])
            sizes, progress, single = sizes[:2], progress[:2], single[:2]
    steps.close()
    for pair, other in zip(together[:2], alone[:2], strict=True):
        for one, expected in zip(pair.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-7, atol=1e-9)


def test_means_over_components_keep_their_width():
    pairs = [pair_of(size, (ActivityKL(0.1, 0.1),)) for size in (2, 3)]
    assert len({structure(pair.network, pair.objective) for pair in pairs}) == 2


@pytest.mark.parametrize("penalties", PENALTIES.values(), ids=PENALTIES.keys())
def test_a_narrow_member_recovers_and_leaves_the_others_untouched(penalties):
    pairs, other = [pair_of(size, penalties(size)) for size in (1, 3)], pair_of(3, penalties(3))
    steps, single = steps_of(*pairs), steps_of(other)
    start = [parameter.detach().clone() for parameter in pairs[0].parameters()]
    restore = steps.remember(0)
    for number in range(3):
        steps([batch_of(number), batch_of(number)], [0.5, 0.5])
        single([batch_of(number)], [0.5])
        if number == 0:
            with torch.no_grad():
                next(pairs[0].parameters()).fill_(torch.nan)
        if number == 1:
            assert steps.are_finite() == [False, True]
            restore()
            steps.slow_down(0, 0.1)
            for parameter, expected in zip(pairs[0].parameters(), start, strict=True):
                assert torch.equal(parameter, expected)
    assert steps.are_finite() == [True, True]
    for one, expected in zip(pairs[1].parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-7, atol=1e-9)

"""Plans: what "auto" becomes, how rows are held out, and that a plan can be read and not changed."""

import dataclasses

import numpy as np
import pytest

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer, SparseAutoencoderTransformer
from skae._random import Streams
from skae.tables import Columns
from skae.training.plan import (
    Layout,
    Steps,
    batch_size,
    lay_out,
    n_epochs,
    ordered_decay,
    shared_batch_size,
    validation,
    warm_up,
)
from skae.training.solvers import SOLVERS


@pytest.mark.parametrize(
    ("n_rows", "wanted", "size"),
    [
        (100, "auto", 64),
        (1600, "auto", 100),
        (10**6, "auto", 1024),
        (100, 32, 32),
        (100, 500, 100),
    ],
)
def test_batch_size(n_rows, wanted, size):
    assert batch_size(n_rows, wanted, SOLVERS["adam"]) == size


@pytest.mark.parametrize(
    ("n_rows", "n_workers", "size"),
    [(10**6, 1, 1024), (10**6, 2, 2048), (10**6, 100, 3072), (10**9, 100, 102_400), (10**5, 4, 1024)],
)
def test_workers_take_as_many_rows_each_as_leave_enough_steps(n_rows, n_workers, size):
    assert shared_batch_size(1024, n_rows, 10, n_workers) == size


def test_a_batch_size_that_was_chosen_is_that_of_all_workers():
    sizes = [
        plan_of(AutoencoderTransformer(3, batch_size=wanted), 10**6, n_workers=2).batch_size
        for wanted in ("auto", 500)
    ]
    assert sizes == [2048, 500]


def test_a_solver_may_take_all_rows_at_once():
    assert batch_size(5000, 32, SOLVERS["lbfgs"]) == 5000


@pytest.mark.parametrize(
    ("n_rows", "size", "kind", "epochs"),
    [(1000, 100, "folds", 20), (1000, 100, "split", 34), (64, 64, "none", 300), (10**6, 100, "split", 10)],
)
def test_epochs_make_the_steps_that_are_wanted(n_rows, size, kind, epochs):
    assert n_epochs(n_rows, size, Steps(folds=160, few=340, many=900), kind) == epochs


@pytest.mark.parametrize(("n_steps", "epochs"), [(1000, 100), (2700, 270), (3000, 270), (3500, 280)])
def test_many_rows_are_trained_on_for_a_fifth_fewer_of_many_steps(n_steps, epochs):
    assert n_epochs(9_999, 1000, Steps(1, 1, n_steps), "split") == min(300, n_steps // 10)
    assert n_epochs(10_000, 1000, Steps(1, 1, n_steps), "split") == epochs


@pytest.mark.parametrize(("n_epochs", "share"), [(10, 0.25), (100, 0.25), (200, 0.125), (1000, 0.1)])
def test_the_rate_rises_over_250_steps_between_a_tenth_and_a_quarter(n_epochs, share):
    assert warm_up(1000, 100, n_epochs) == share


def test_adam_remembers_longer_where_rows_are_few():
    assert plan_of(AutoencoderTransformer(3), n_rows=1999).second_moment == 0.999
    assert plan_of(AutoencoderTransformer(3), n_rows=2000).second_moment == 0.99


def test_decay_grows_with_ordered_components_and_falls_with_rows():
    assert ordered_decay(16, 1000) == ordered_decay(2, 1000) == 1
    assert ordered_decay(32, 1000) == 4
    assert ordered_decay(100, 1000) == 10
    assert ordered_decay(16, 10_000) == 0.5


@pytest.mark.parametrize(
    ("n_rows", "early_stopping", "fraction", "kind"),
    [
        (19, True, "auto", "none"),
        (20, True, "auto", "folds"),
        (999, True, "auto", "folds"),
        (1000, True, "auto", "split"),
        (20, True, 0.5, "split"),
        (5000, False, 0.5, "none"),
    ],
)
def test_how_rows_are_held_out(n_rows, early_stopping, fraction, kind):
    assert validation(n_rows, early_stopping, fraction) == kind
    assert lay_out(n_rows, early_stopping, fraction, Streams(0)).kind == kind


def test_a_split_stores_each_row_once_with_those_held_out_last():
    layout = lay_out(1000, True, "auto", Streams(0))
    assert layout.n_training == 900
    assert sorted(layout.order) == list(range(1000))
    assert not np.array_equal(layout.order, np.arange(1000))
    np.testing.assert_array_equal(layout.order, lay_out(1000, True, "auto", Streams(0)).order)
    assert lay_out(100, True, 0.25, Streams(0)).n_training == 75


def test_a_split_leaves_rows_to_train_on():
    with pytest.raises(ValueError, match="leaves fewer than 2 of 30 rows"):
        lay_out(30, True, 0.99, Streams(0))


def test_two_rows_are_enough_to_train_on():
    assert lay_out(30, True, 0.93, Streams(0)).n_training == 2
    with pytest.raises(ValueError, match="leaves fewer than 2 of 30 rows"):
        lay_out(30, True, 0.94, Streams(0))


def test_the_seed_says_which_rows_are_held_out():
    first, second = (lay_out(1000, True, "auto", Streams(seed)).order for seed in (0, 1))
    assert set(first[900:]) != set(second[900:])


def test_a_plan_shuffles_unless_a_step_takes_all_rows():
    assert plan_of(AutoencoderTransformer(3)).shuffles
    assert not plan_of(AutoencoderTransformer(3, solver="lbfgs")).shuffles


def test_epochs_of_a_solver_that_takes_all_rows_are_its_own():
    assert plan_of(AutoencoderTransformer(3, solver="lbfgs")).n_epochs == SOLVERS["lbfgs"].n_epochs


def test_without_a_schedule_everything_else_is_as_planned():
    plan = plan_of(AutoencoderTransformer(3))
    changed = {"schedule", "learning_rate"}
    fields = {field.name for field in dataclasses.fields(plan)} - changed
    assert all(getattr(plan.without_schedule(), name) == getattr(plan, name) for name in fields)


def plan_of(model, n_rows=1600, kind="split", **options):
    model._columns = Columns(5)
    return model._plan(n_rows, Layout(kind, n_rows, None), **options)


def test_a_plan_says_all_that_was_chosen():
    plan = plan_of(AutoencoderTransformer(3))
    assert (plan.batch_size, plan.n_epochs, plan.learning_rate, plan.weight_decay) == (256, 86, 0.02, 0.25)
    assert plan.starts_at_pca
    assert not plan.stays_at_start
    assert plan.n_pca_components == 3
    assert "auto" not in repr(plan)
    for field in dataclasses.fields(plan):
        assert f"{field.name}={getattr(plan, field.name)!r}" in repr(plan)


def test_a_plan_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan_of(AutoencoderTransformer(3)).n_epochs = 5


def test_what_is_set_wins_over_the_rules():
    plan = plan_of(
        AutoencoderTransformer(
            3, batch_size=7, max_iter=9, learning_rate_init=0.5, weight_decay=0.25, pretrain="layerwise"
        )
    )
    assert (plan.batch_size, plan.n_epochs, plan.learning_rate, plan.weight_decay) == (7, 9, 0.5, 0.25)
    assert plan.n_pretraining_epochs == 2
    assert plan.without_schedule().learning_rate == 0.5


def test_without_a_schedule_a_rate_that_nobody_chose_is_lower():
    plan = plan_of(AutoencoderTransformer(3)).without_schedule()
    assert plan.schedule == "constant"
    assert plan.learning_rate == pytest.approx(0.002)


FEW = {
    50: (64, 300, 0.04, 1.0, 0.3),
    600: (120, 75, 0.02, 4 / 6, 0.3),
    1600: (256, 86, 0.02, 0.25, 0.3),
    8000: (500, 212, 0.02, 0.1, 0.1),
}


@pytest.mark.parametrize("n_rows", FEW)
def test_fewer_rows_are_trained_on_for_fewer_steps_with_more_decay_and_noise(n_rows):
    plan = plan_of(AutoencoderTransformer(3), n_rows, "folds" if n_rows < 1000 else "split")
    found = (plan.batch_size, plan.n_epochs, plan.learning_rate, plan.weight_decay, plan.input_noise)
    assert found == pytest.approx(FEW[n_rows])


def test_many_rows_are_seen_without_noise():
    assert plan_of(AutoencoderTransformer(3), 10_000).input_noise == 0


@pytest.mark.parametrize(
    ("n_rows", "n_epochs", "rate"),
    [(8000, 93, 0.03), (8000, 94, 0.02), (1999, 5, 0.02), (8000, "auto", 0.02)],
)
def test_the_rate_is_higher_where_few_steps_are_made_on_rows_that_are_not_few(n_rows, n_epochs, rate):
    plan = plan_of(AutoencoderTransformer(3, max_iter=n_epochs), n_rows)
    assert plan.learning_rate == pytest.approx(rate)
    assert plan_of(AutoencoderTransformer(3, max_iter=5, learning_rate_init=0.01), 8000).learning_rate == 0.01
    assert plan_of(DenoisingAutoencoderTransformer(3, max_iter=5), 8000).learning_rate == 0.02


def test_epochs_that_were_chosen_are_as_many_steps_on_few_rows():
    assert plan_of(AutoencoderTransformer(3, max_iter=10)).batch_size == 100


@pytest.mark.parametrize(
    "settings", [{"init": "random"}, {"loss": "absolute_error"}, {"linear_path": False}, {"solver": "sgd"}]
)
def test_few_rows_are_not_treated_differently_where_the_start_is_not_pca(settings):
    few, many = (plan_of(AutoencoderTransformer(3, **settings), n_rows) for n_rows in (100, 8000))
    assert (few.learning_rate, few.weight_decay, few.input_noise) == (
        many.learning_rate,
        many.weight_decay,
        many.input_noise,
    )


def test_variants_that_have_noise_of_their_own_add_none():
    assert plan_of(DenoisingAutoencoderTransformer(3)).input_noise == 0
    assert plan_of(DenoisingAutoencoderTransformer(3, input_noise=0.2)).input_noise == 0.2


def test_rows_that_come_in_parts_are_not_few():
    model = AutoencoderTransformer(3)
    model._columns = Columns(5)
    plan = model._plan(100, Layout("none", 100, None), is_part=True)
    assert (plan.learning_rate, plan.weight_decay, plan.input_noise) == (0.02, 0.1, 0.0)


@pytest.mark.parametrize(("n_rows", "sizes"), [(499, (64, 32)), (500, (128, 64)), (None, (128, 64))])
def test_networks_of_few_rows_are_half_as_wide(n_rows, sizes):
    assert AutoencoderTransformer()._layer_sizes(n_rows) == sizes
    assert AutoencoderTransformer(hidden_layer_sizes=(7,))._layer_sizes(n_rows) == (7,)


def test_ordered_components_take_more_steps():
    plain, ordered = (plan_of(AutoencoderTransformer(3, ordered=one)) for one in (False, True))
    assert ordered.n_epochs == round(1.6 * 600 / 7)
    assert ordered.n_epochs > plain.n_epochs


def test_a_handful_of_rows_stays_where_it_starts():
    assert plan_of(AutoencoderTransformer(1), 19, "none").stays_at_start
    assert not plan_of(AutoencoderTransformer(1, early_stopping=False), 19, "none").stays_at_start
    assert not plan_of(AutoencoderTransformer(1, init="random"), 19, "none").stays_at_start


def test_sparse_codes_are_compared_with_as_many_components_as_are_active():
    assert plan_of(SparseAutoencoderTransformer(32)).n_pca_components == 4

"""Fits of a small network, from rows on a device to what is kept of them."""

import copy
import dataclasses

import pytest
import torch
from small_fits import PLAN, ROWS, parts, plain, squared

from skae._random import Streams
from skae.objectives import Objective
from skae.objectives.nested import Nested
from skae.objectives.penalties import ActivityL2
from skae.objectives.penalties.revival import Revival
from skae.training import courses
from skae.training.batches import Rows, folds
from skae.training.courses import fit as fit_by
from skae.training.endless import Endless
from skae.training.fits import Fitting, Start
from skae.training.held_out import HeldOut

WEIGHT = 1 + torch.arange(40.0, dtype=torch.float64)[:, None] % 4
WEIGHTS = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])


def ordered():
    return Nested(squared(), n_components=2)


def fit(rows, on_epoch=lambda *given: False, objective=plain, **changes):
    plan = dataclasses.replace(PLAN, **changes)
    return fit_by(Fitting(plan, parts(objective), rows, Streams(0)), on_epoch)


def left_by_pca(rows, trained, size):
    """Return what the first principal components of some rows leave of others."""
    _, _, directions = torch.linalg.svd(trained, full_matrices=False)
    return rows - rows @ directions[:size].T @ directions[:size]


@WEIGHTS
@pytest.mark.parametrize(("held_out", "n_training"), [("split", 25), ("folds", 40)])
def test_epoch_zero_explains_what_pca_does_of_held_out_rows(held_out, n_training, weight):
    fitted = fit(Rows(ROWS, weight=weight), held_out=held_out, n_training=n_training)
    assert fitted.history.validations[0].score == pytest.approx(fitted.pca_score)
    assert len(fitted.history.validations) == 4
    assert fitted.validation_score == fitted.history.validations[fitted.best_epoch].score
    assert fitted.seconds > 0


@WEIGHTS
def test_pca_of_folds_is_judged_on_the_rows_that_each_leaves_out(weight):
    rows = Rows(ROWS, weight=weight)
    missed = total = 0.0
    for fold in folds(rows, Streams(0).numpy("split")):
        held, share = fold.held.target, 1.0 if weight is None else fold.held.weight
        missed += float((share * left_by_pca(held, fold.rows.scaled(), 2).square()).sum())
        total += float((share * held.square()).sum())
    assert fit(rows, held_out="folds").pca_score == pytest.approx(1 - missed / total)


def test_a_handful_of_rows_stays_at_pca():
    fitted = fit(Rows(ROWS), stays_at_start=True)
    missed = float(left_by_pca(ROWS, ROWS, 2).square().mean())
    assert fitted.history.losses == [{"reconstruction": pytest.approx(missed, rel=1e-5)}]
    assert (fitted.best_epoch, fitted.validation_score, fitted.pca_score) == (0, None, None)
    assert fitted.by_size is None
    torch.testing.assert_close(fitted.rows.target, ROWS)
    assert fitted.objective.n_sizes == 0


def test_without_held_out_rows_the_last_epoch_is_kept():
    fitted = fit(Rows(ROWS))
    assert (fitted.history.n_epochs, fitted.best_epoch) == (3, 3)
    assert fitted.validation_score is None
    assert not fitted.history.validations


@pytest.mark.parametrize("held_out", ["split", "folds", "none"])
def test_users_are_told_of_the_epochs_of_the_network_that_is_kept(held_out):
    told = []

    def on_epoch(epoch, history, network, objective):
        told.append((epoch, network))
        return False

    fitted = fit(Rows(ROWS), on_epoch, held_out=held_out, n_training=25, starts_at_pca=False)
    n_told = fitted.best_epoch if held_out == "folds" else 3
    assert [epoch for epoch, _ in told] == list(range(1, n_told + 1))
    assert all(network is fitted.network for _, network in told)


def test_folds_end_where_nothing_will_be_better_than_the_start():
    given = {"held_out": "folds", "n_epochs": 80, "learning_rate": 0.05}
    whole, ended = (fit(Rows(ROWS), ends_early=ends, **given) for ends in (False, True))
    assert whole.history.n_epochs == 80
    # Weights are kept, and compared, after every fourth epoch.
    assert 20 <= ended.history.n_epochs < 80
    assert ended.history.n_epochs % 4 == 0
    assert ended.best_epoch == whole.best_epoch == 0
    assert ended.history.losses == whole.history.losses[: ended.history.n_epochs]
    for one, other in zip(ended.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_folds_go_on_where_more_may_be_gained():
    curve = torch.linspace(-2, 2, 60, dtype=torch.float64)[:, None]
    rows = Rows(torch.cat([curve, curve**2 - 4 / 3, curve.sin(), curve.cos() - 0.4, curve], 1))
    given = {"held_out": "folds", "n_epochs": 40, "n_pca_components": 2, "n_training": 60}
    fitted = fit(rows, ends_early=True, **given)
    assert fitted.best_epoch > 10
    assert fitted.history.n_epochs == 40


def test_users_may_stop():
    assert fit(Rows(ROWS), lambda epoch, *given: epoch == 2).history.n_epochs == 2


@WEIGHTS
@pytest.mark.parametrize("chunk", [7, 8192])
@pytest.mark.parametrize("held_out", ["split", "none"])
def test_what_the_first_components_explain_is_measured_at_the_end(held_out, chunk, weight, monkeypatch):
    monkeypatch.setattr("skae.training.fitted.CHUNK", chunk)
    rows = Rows(ROWS, weight=weight)
    fitted = fit(rows, objective=ordered, held_out=held_out, n_training=25)
    judged, trained = rows, rows
    if held_out == "split":
        judged, trained = rows.take(slice(25, None)), rows.take(slice(25))
    share = torch.ones(len(judged.target), 1) if weight is None else judged.weight
    total = float((share * judged.target.square()).sum())
    codes = fitted.network.encode(judged.target)
    for size in (1, 2):
        kept = (torch.arange(2) < size).to(codes).expand_as(codes)
        left = (fitted.network.decode(codes, kept) - judged.target).detach()
        explained = 1 - float((share * left.square()).sum()) / total
        assert fitted.by_size.explained[size - 1] == pytest.approx(explained)
        left = left_by_pca(judged.target, trained.scaled(), size)
        explained = 1 - float((share * left.square()).sum()) / total
        assert fitted.by_size.by_pca[size - 1] == pytest.approx(explained, abs=1e-5)


def test_sizes_of_folds_are_those_of_the_epoch_that_they_chose():
    fitted = fit(Rows(ROWS), objective=ordered, held_out="folds")
    assert tuple(fitted.by_size.explained) == fitted.history.validations[fitted.best_epoch].by_size
    assert fitted.by_size.by_pca[-1] == pytest.approx(fitted.pca_score)
    assert fitted.by_size.by_pca[0] < fitted.by_size.by_pca[-1]


def test_a_part_of_a_stream_weighs_penalties_in_full_and_brings_nothing_back():
    def objective():
        found = Objective(squared(), {"codes": ActivityL2(3.0)})
        found.revival = Revival()
        return found

    rows = Rows(ROWS)
    endless = Endless(Fitting(PLAN, parts(objective), rows, Streams(0)))
    fitted = endless.learn(rows, PLAN.batch_size)
    codes = Start(PLAN, parts(objective), Streams(0), False)(rows).network.encode(ROWS).detach()
    assert fitted.history.losses[0]["codes"] == pytest.approx(3 * float(codes.square().sum(1).mean()) / 5)
    assert fitted.objective.revival is None
    assert fitted.best_epoch == 1
    before = fitted.network(ROWS)
    assert not torch.equal(endless.learn(rows, PLAN.batch_size).network(ROWS), before)


def test_a_stream_goes_on_where_its_state_was_kept():
    rows = Rows(ROWS)
    plan = dataclasses.replace(PLAN, batch_size=10)
    endless = Endless(Fitting(plan, parts(), rows, Streams(0)))
    shown = endless.learn(rows, 10)
    previous, state = copy.deepcopy((shown.network, shown.objective)), copy.deepcopy(endless.state_dict())
    undisturbed = endless.learn(rows, 10).network(ROWS)

    later = Fitting(plan, parts(previous=previous), rows, Streams(0))
    again = Endless(later, state).learn(rows, 10).network(ROWS)
    torch.testing.assert_close(again, undisturbed)
    assert not torch.allclose(Endless(later).learn(rows, 10).network(ROWS), undisturbed)


def test_gaps_of_the_rows_are_filled_in_the_network():
    gaps = ROWS.clone()
    gaps[::5, 1] = torch.nan
    fitted = fit(Rows(gaps))
    assert fitted.network.gaps.always
    assert fitted.network(gaps).isfinite().all()
    assert not fit(Rows(ROWS)).network.gaps.always


def left_unsolved(monkeypatch, rows, **changes):
    with monkeypatch.context() as without:
        without.setattr(courses, "can_solve", lambda *given: False)
        return fit(rows, **changes)


# Columns that bend: there is something to learn about the others.
U, V = 2 * torch.rand(2, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
CURVED = torch.stack([2 * U, V, U**2, U * V, V.abs()], dim=1)
CURVED = CURVED - CURVED[:300].mean(0)


@WEIGHTS
def test_the_last_layer_is_solved_for_where_held_out_rows_gain_by_it(monkeypatch, weight):
    rows = Rows(CURVED, weight=None if weight is None else weight.repeat(10, 1))
    changes = {"held_out": "split", "n_training": 300, "n_epochs": 6, "batch_size": 30}
    before = left_unsolved(monkeypatch, rows, **changes)
    after = fit(rows, **changes)

    assert 0 < after.best_epoch == before.best_epoch
    assert after.validation_score > before.validation_score
    validations, best = list(after.history.validations), after.best_epoch
    held = rows.take(slice(300, None))
    found = HeldOut(after.network, after.objective, held.target, weight=held.weight)()
    assert validations.pop(best).score == after.validation_score == pytest.approx(found.score)
    assert validations == [one for at, one in enumerate(before.history.validations) if at != best]


def test_a_last_layer_that_is_worse_on_held_out_rows_is_put_back(monkeypatch):
    changes = {"held_out": "split", "n_training": 30, "n_epochs": 6}
    before = left_unsolved(monkeypatch, Rows(ROWS), **changes)

    def spoil(network, rows):
        network.decoder.last_layer().bias.data += 1

    monkeypatch.setattr(courses, "solve_last_layer", spoil)
    after = fit(Rows(ROWS), **changes)
    assert after.history.validations == before.history.validations
    for one, other in zip(after.network.parameters(), before.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_where_nothing_is_better_than_the_start_no_layer_is_solved_for():
    fitted = fit(Rows(ROWS), held_out="split", n_training=30, n_epochs=2, learning_rate=5.0)
    assert fitted.best_epoch == 0
    assert fitted.validation_score == pytest.approx(fitted.pca_score)

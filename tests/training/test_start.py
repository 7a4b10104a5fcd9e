"""The start of a training: PCA, gaps that are filled, and what a warm start keeps."""

import dataclasses

import numpy as np
import pytest
import torch
from small_fits import BLUEPRINT, PLAN, ROWS, parts, plain, squared

from skae._random import Streams
from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck
from skae.objectives.nested import Nested
from skae.training.batches import Rows
from skae.training.fits import Start, filled, new_step
from skae.training.steps import GradientStep, LBFGSStep


def begin(table, plan=PLAN, index=0, **given):
    start = Start(plan, parts(**given), Streams(0), table.has_gaps)
    return start(table, index)


def test_the_network_is_pca_before_the_first_step():
    network, _, axes = begin(Rows(ROWS))
    _, _, directions = torch.linalg.svd(ROWS, full_matrices=False)
    expected = ROWS @ directions[:2].T @ directions[:2]
    torch.testing.assert_close(network(ROWS), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(axes.project(ROWS), expected, atol=1e-6, rtol=1e-5)


def test_weights_of_rows_turn_pca():
    weight = torch.ones(40, 1, dtype=torch.float64)
    weight[20:] = 0
    network, _, _ = begin(Rows(ROWS, weight=weight))
    _, _, directions = torch.linalg.svd(ROWS[:20], full_matrices=False)
    torch.testing.assert_close(network(ROWS), ROWS @ directions[:2].T @ directions[:2], atol=1e-6, rtol=1e-5)


def test_trainings_differ_by_their_number_and_repeat():
    start = Start(dataclasses.replace(PLAN, init="random"), parts(), Streams(0), False)
    first, again, second = (start(Rows(ROWS), index).network for index in (0, 0, 1))
    assert torch.equal(first.encoder[0].weight, again.encoder[0].weight)
    assert not torch.equal(first.encoder[0].weight, second.encoder[0].weight)


def test_what_the_estimator_does_after_pca_sees_rows_without_gaps():
    seen = []
    table = Rows(ROWS.clone())
    table.target[::7, 1] = torch.nan
    begin(table, after_pca=lambda *given: seen.append(given))
    ((network, _, axes, rows),) = seen
    assert rows.target.isnan().any()
    assert not rows.seen.isnan().any()
    assert network.gaps.always
    assert len(axes.deviations) == 2


def test_a_random_start_is_left_as_it_is():
    def fail(*given):
        raise AssertionError("not PCA")

    blueprint = dataclasses.replace(BLUEPRINT, init="random")
    begin(Rows(ROWS), dataclasses.replace(PLAN, init="random"), blueprint=blueprint, after_pca=fail)


def test_a_warm_start_keeps_the_network_and_what_the_objective_has_learnt():
    def objective():
        return Nested(squared(), n_components=2)

    network, previous, _ = begin(Rows(ROWS), objective=objective)
    previous.levels.fill_(7.0)
    begun = begin(Rows(ROWS), objective=objective, previous=(network.requires_grad_(False), previous))
    assert begun.network is network
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert begun.objective.levels.tolist() == [7.0, 7.0]


def test_ordered_codes_measure_the_start():
    objective = begin(Rows(ROWS), objective=lambda: Nested(squared(), n_components=2)).objective
    assert objective.levels[0] > objective.levels[1]


def test_layers_are_pretrained_by_the_epochs_of_the_plan():
    begun, pretrained = (
        begin(Rows(ROWS), dataclasses.replace(PLAN, n_pretraining_epochs=epochs)).network for epochs in (0, 2)
    )
    assert not torch.equal(begun.encoder[0].weight, pretrained.encoder[0].weight)
    torch.testing.assert_close(begun(ROWS), pretrained(ROWS))


def test_layers_of_each_training_are_pretrained_by_streams_of_their_own():
    class Heard(Streams):
        def torch(self, name, index=0, device="cpu"):
            asked.append((name, index))
            return super().torch(name, index, device)

    seen = []
    for index in (0, 1):
        asked = []
        Start(dataclasses.replace(PLAN, n_pretraining_epochs=1), parts(), Heard(0), False)(Rows(ROWS), index)
        seen.append({one for one in asked if one[0] in ("rows", "noise")})
        # Not those of the training that follows.
        assert not seen[-1] & {(name, index) for name in ("rows", "noise")}
    assert seen[0]
    assert not seen[0] & seen[1]


def test_gaps_of_later_rows_are_filled_by_the_pca_of_the_rows_trained_on():
    rows = ROWS.clone()
    rows[:, 1] = rows[:, 0]
    network = begin(Rows(rows)).network
    gaps = rows.clone()
    gaps[:, 1] = torch.nan
    assert not network.gaps.always
    left = (network.complete(gaps) - rows)[:, 1]
    assert left.square().sum() < 0.05 * rows[:, 1].square().sum()


def test_a_warm_start_fills_gaps_from_now_on():
    def objective():
        return Nested(squared(), n_components=2)

    gaps = Rows(ROWS.clone())
    gaps.target[::7, 1] = torch.nan
    network, previous, _ = begin(Rows(ROWS), objective=objective)
    begun = begin(gaps, objective=objective, previous=(network, previous))
    assert begun.network.gaps.always
    # Rows without gaps, later, take nothing back.
    assert begin(Rows(ROWS), objective=objective, previous=begun[:2]).network.gaps.always


def test_all_rows_are_filled_however_many_go_through_at_once(monkeypatch):
    monkeypatch.setattr("skae.training.fits.CHUNK", 3)
    rows = ROWS.clone()
    rows[::4, 2] = torch.nan
    torch.testing.assert_close(filled(rows, None), rows.nan_to_num())


def test_gaps_are_filled_by_zeros_where_nothing_fills_them():
    rows = torch.tensor([[1.0, torch.nan], [torch.nan, 2.0]])
    np.testing.assert_array_equal(filled(rows, None), [[1, 0], [0, 2]])


@pytest.mark.parametrize(("solver", "cls"), [("adam", GradientStep), ("lbfgs", LBFGSStep)])
def test_a_step_has_the_settings_of_the_plan(solver, cls):
    network, objective, _ = begin(Rows(ROWS))
    plan = dataclasses.replace(PLAN, solver=solver, weight_decay=0.5, gradient_clip=2.0)
    noise = torch.Generator()
    step = new_step(plan, network, objective, noise)
    assert type(step) is cls
    assert step.noise is noise
    assert step.groups[0]["weight_decay"] == 0.5
    if solver == "adam":
        assert (step.rate, step.gradient_clip) == (0.01, 2.0)


def test_dropout_draws_from_the_noise(generator):
    blueprint = Blueprint(Dense((4,), dropout=0.5), Bottleneck, 2)
    network, noise = blueprint.build(5, generator, None), torch.Generator()
    new_step(PLAN, network, plain(), noise)
    assert network.dropouts
    assert all(layer.generator is noise for layer in network.dropouts)

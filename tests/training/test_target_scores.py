"""What linear models on principal components and on all columns explain of a target."""

import pytest
import torch
from small_fits import BLUEPRINT, ROWS, squared

from skae.networks.principal_axes import principal_axes
from skae.objectives import Objective
from skae.objectives.penalties import LinearHead
from skae.training import target_scores
from skae.training.batches import Rows
from skae.training.held_out import Judged, labels_of
from skae.training.target_scores import Part, reference_scores

# By the third column of five, of which two principal components know nothing.
NUMBERS = ROWS[:, 2:3] / ROWS[:, 2:3].std()
CLASSES = (ROWS[:, :1] > 0).double()


def objective_for(labels):
    is_classes = labels is CLASSES
    unit = 0.6931 if is_classes else 0.5
    return Objective(squared(), {"target": LinearHead([2 if is_classes else 1], [unit], 2)}).double()


def part_of(rows, held):
    generator = torch.Generator().manual_seed(0)
    network = BLUEPRINT.build(5, generator, None).double().eval()
    return Part(rows, Judged(network, principal_axes(rows.target, 2, generator), held))


def scores(labels, weight=None, cut=25):
    rows = Rows(ROWS, None, weight, labels)
    part = part_of(rows.take(slice(0, cut)), rows.take(slice(cut, None)))
    return reference_scores(objective_for(labels), [part])


def test_all_columns_tell_what_components_leave_out():
    pca, columns = scores(NUMBERS)
    assert columns > 0.95
    assert pca < 0.3


def test_components_tell_the_classes_that_they_part():
    pca, columns = scores(CLASSES)
    assert pca > 0.5
    assert columns > 0.3


@pytest.mark.parametrize("labels", [NUMBERS, CLASSES], ids=["numbers", "classes"])
def test_weights_count_like_repetitions(labels):
    counts = torch.arange(40).remainder(3) + 1
    rows = Rows(ROWS, None, counts[:, None].double(), labels)
    times = Rows(*(None if part is None else part.repeat_interleave(counts, 0) for part in (ROWS, None)))
    times = times._replace(labels=labels.repeat_interleave(counts, 0))
    n_first = int(counts[:25].sum())
    few = part_of(rows.take(slice(0, 25)), rows.take(slice(25, None)))
    many = part_of(times.take(slice(0, n_first)), times.take(slice(n_first, None)))
    # The same components for both.
    many = many._replace(judged=many.judged._replace(axes=few.judged.axes))
    objective = objective_for(labels)
    assert reference_scores(objective, [few]) == pytest.approx(reference_scores(objective, [many]), abs=1e-6)


def test_folds_are_scored_together():
    rows = Rows(ROWS, None, None, NUMBERS)
    parts = [part_of(rows.take(slice(20, None)), rows.take(slice(0, 20)))]
    parts.append(part_of(rows.take(slice(0, 20)), rows.take(slice(20, None))))
    objective = objective_for(NUMBERS)
    alone = [reference_scores(objective, [part])[1] for part in parts]
    assert min(alone) < reference_scores(objective, parts)[1] < max(alone)


def test_models_of_many_rows_are_fitted_on_some_of_them(monkeypatch):
    monkeypatch.setattr(target_scores, "_MOST_NUMBERS", 5 * 13)
    fitted_on = []
    fit = target_scores.fit_linear
    monkeypatch.setattr(
        target_scores, "fit_linear", lambda *given: fitted_on.append(len(given[2])) or fit(*given)
    )
    assert scores(NUMBERS)[1] > 0.9
    assert fitted_on == [13, 13]


def test_no_target_is_told_of_none():
    rows = Rows(ROWS)
    assert labels_of(objective_for(NUMBERS), rows, rows) is None


def test_a_constant_leaves_the_variance_of_held_out_numbers():
    rows = Rows(ROWS, None, None, NUMBERS)
    held = rows.take(slice(25, None))
    found = labels_of(objective_for(NUMBERS), rows.take(slice(0, 25)), held)
    torch.testing.assert_close(found.values, held.labels)
    missed = (held.labels - NUMBERS[:25].mean()).square().sum()
    assert found.constant == pytest.approx(float(missed), rel=1e-6)

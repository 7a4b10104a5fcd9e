"""Wide sparse rows in place of which their leading directions lie inside."""

import numpy as np
import pytest
import scipy.sparse as sp

from skae.metrics import variance_explained_score
from skae.tables import Directions


@pytest.fixture
def dense():
    """40 rows of 60 columns, of rank 5 but for a little noise."""
    random = np.random.RandomState(0)
    rows = random.standard_normal((40, 5)) @ random.standard_normal((5, 60)) + 0.5
    return np.where(random.uniform(size=rows.shape) < 0.3, rows, 0.0)


def of(dense, n_components=2, weight=None, names=None):
    return Directions(sp.csr_matrix(dense), n_components, weight, names)


@pytest.mark.parametrize(
    ("shape", "n_components", "n_directions"),
    [
        ((40, 60), 2, 40),
        ((60, 40), 2, 40),
        ((300, 300), 2, 256),
        ((300, 300), 140, 280),
        ((300, 300), 300, 300),
    ],
)
def test_there_are_twice_as_many_directions_as_components_but_not_fewer_than_256(
    shape, n_components, n_directions
):
    rows = sp.random(*shape, density=0.02, random_state=0, format="csr")
    columns = Directions(rows, n_components, None)
    assert columns.n_inside == n_directions
    assert columns.basis.shape == (shape[1], n_directions)
    assert columns.n_features == shape[1]


def test_squared_errors_inside_are_those_of_the_columns(dense):
    columns, rows = of(dense), sp.csr_matrix(dense)
    assert (columns.is_plain, columns.is_by_column, columns.reads_sparse) == (False, False, True)
    inside = columns.encode(rows)
    np.testing.assert_allclose(columns.basis.T @ columns.basis, np.eye(40), atol=1e-5)
    np.testing.assert_allclose(columns.decode(inside), dense, atol=1e-4)
    np.testing.assert_allclose(columns.encode(dense), inside, atol=1e-6)
    back = inside + 1
    cells = np.square(dense - columns.decode(back))
    np.testing.assert_allclose(columns.errors_by_cell(rows, inside, back), cells, atol=1e-4)
    np.testing.assert_allclose(columns.errors_by_row(rows, inside, back), cells.mean(1), rtol=1e-4)
    assert columns.encode(rows.astype(np.float32)).dtype == np.float32
    assert columns.encode(rows).dtype == np.float64


def test_what_lies_outside_of_the_directions_is_never_given_back(dense):
    columns = of(dense[:, :30])
    other = np.random.RandomState(1).standard_normal((10, 30))
    columns.basis = columns.basis[:, :4]
    rows = sp.csr_matrix(other)
    inside = columns.encode(rows)
    left = np.square(other).sum(1) - np.square(inside).sum(1)
    np.testing.assert_allclose(columns.left_out(rows, inside), left, rtol=1e-6)
    np.testing.assert_allclose(columns.left_out(other, inside), left, rtol=1e-6)
    errors = np.square(other - columns.decode(inside)).mean(1)
    np.testing.assert_allclose(columns.errors_by_row(rows, inside, inside), errors, rtol=1e-4)
    weight = np.arange(10.0)
    for weights in (None, weight):
        expected = variance_explained_score(
            other, columns.decode(inside), mean=columns.means, sample_weight=weights
        )
        found = columns.explained(rows, inside, inside, np.zeros(4), weights)
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("weight", [None, np.arange(40.0)])
def test_means_are_those_of_the_columns(dense, weight):
    columns = of(dense, weight=weight, names=[f"c{j}" for j in range(60)])
    expected = np.average(dense, axis=0, weights=weight)
    np.testing.assert_allclose(columns.means, expected)
    assert columns.mean(np.zeros(40)) is columns.means
    rows = sp.csr_matrix(dense)
    deviations = np.square(dense - expected)
    np.testing.assert_allclose(columns.deviations(rows), deviations.sum(1))
    np.testing.assert_allclose(columns.deviations_by_cell(dense, None, None), deviations)
    assert columns.names_of(np.array([3])) == ["c3"]


def test_directions_are_those_of_the_weighted_rows(dense):
    weight = np.repeat([1.0, 0.0], 20)
    columns = of(dense, weight=weight)
    # All of the rows that weigh anything is inside, and of the others what they share with those.
    inside = columns.encode(sp.csr_matrix(dense))
    left = columns.left_out(sp.csr_matrix(dense), inside) / np.square(dense).sum(1)
    assert left[:20].max() < 1e-6
    repeated = of(dense[:20])
    np.testing.assert_allclose(np.abs(columns.basis[:, 0]), np.abs(repeated.basis[:, 0]), atol=1e-4)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_directions_have_no_unit(dense, size):
    np.testing.assert_allclose(np.abs(of(dense).basis), np.abs(of(size * dense).basis), atol=1e-3)


def test_without_variance_all_or_nothing_came_back():
    rows = np.ones((5, 300))
    columns = of(rows)
    inside = columns.encode(sp.csr_matrix(rows))
    assert columns.explained(sp.csr_matrix(rows), inside, inside, None, None) == 1.0
    assert columns.explained(sp.csr_matrix(rows), inside, inside + 1, None, None) == 0.0


def test_values_whose_squares_overflow_are_refused(dense):
    columns = of(dense)
    dense[0, 0] = 1e200
    with pytest.raises(ValueError, match="1e"):
        of(dense)
    with pytest.raises(ValueError, match="1e"):
        columns.encode(sp.csr_matrix(dense))

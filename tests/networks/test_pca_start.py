import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from skae import BinaryAutoencoderTransformer
from skae.networks import Dense, pca_start
from skae.networks import principal_axes as axes_module
from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Binary, Bottleneck
from skae.networks.pca_start import fit_affine_decoder
from skae.networks.principal_axes import principal_axes
from skae.objectives import LOSSES, Reconstruction


def rows_of(n_rows, n_columns, rank=None, seed=0):
    random = np.random.RandomState(seed)
    rank = rank or min(n_rows, n_columns)
    X = (
        random.standard_normal((n_rows, rank))
        * np.logspace(0, -1, rank)
        @ random.standard_normal((rank, n_columns))
    )
    return torch.tensor(X - X.mean(0), dtype=torch.float32)


def network_of(n_features, n_components, generator, tied=False, bottleneck=None):
    encoder, decoder = Dense((6,), tied_weights=tied).build(n_features, n_components, n_components, generator)
    path = linear_path(n_features, n_components, n_components, tied)
    return Autoencoder(encoder, decoder, bottleneck or Bottleneck(), *path)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 15), st.integers(0, 99), st.booleans())
def test_the_start_is_pca(n_rows, n_columns, n_components, seed, tied):
    rows = rows_of(n_rows, n_columns, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    network = network_of(n_columns, n_components, generator, tied)
    network.start_at(principal_axes(rows, n_components, generator), generator)
    pca = PCA(min(n_components, n_rows, n_columns)).fit(rows.numpy())
    expected = pca.inverse_transform(pca.transform(rows.numpy())) - pca.mean_
    np.testing.assert_allclose(network(rows).detach(), expected, atol=1e-4)


def test_codes_have_unit_variance_and_the_signs_of_pca(generator):
    rows = rows_of(300, 8)
    network = network_of(8, 3, generator)
    network.start_at(principal_axes(rows, 3, generator), generator)
    codes = network.encode(rows).detach().numpy()
    np.testing.assert_allclose(codes.var(0), 1, rtol=1e-4)
    expected = PCA(3, whiten=True).fit_transform(rows.numpy())
    np.testing.assert_allclose(np.abs(np.corrcoef(codes.T, expected.T)[:3, 3:]).diagonal(), 1, atol=1e-4)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(2000, 600), (100, 5000), (700, 600)])
def test_wide_tables_are_as_good_as_exact(n_rows, n_columns, generator):
    rows = rows_of(n_rows, n_columns, rank=40)
    found = principal_axes(rows, 10, generator)
    singular = np.linalg.svd(rows.double().numpy(), compute_uv=False)[:10]
    np.testing.assert_allclose(found.deviations, singular / n_rows**0.5, rtol=1e-3)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(10), atol=1e-5)


def test_no_more_axes_than_rank(generator):
    assert len(principal_axes(rows_of(50, 10, rank=3), 8, generator).deviations) == 3
    assert len(principal_axes(torch.zeros(50, 10), 8, generator).deviations) == 0


def test_components_beyond_the_rank_read_and_do_not_write(generator):
    network = network_of(10, 8, generator)
    network.start_at(principal_axes(rows_of(50, 10, rank=3), 8, generator), generator)
    assert network.linear_encoder.weight[3:].abs().min() > 0
    assert not network.linear_decoder.weight[:, 3:].any()


class Likelihood:
    """What a reconstruction is to the start: targets of rows, and a loss by cell."""

    is_squared_error = False

    def __init__(self, target):
        self.fixed = target

    def target(self, rows):
        return self.fixed

    def cells(self, output, target):
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def test_without_a_linear_path_nothing_is_set(generator):
    encoder, decoder = Dense((6,)).build(5, 2, 2, generator)
    network = Autoencoder(encoder, decoder, Bottleneck())
    network.start_at(principal_axes(rows_of(50, 5), 2, generator), generator)
    fit_affine_decoder(network, rows_of(50, 5), Likelihood(torch.zeros(50, 5)))


def test_the_affine_decoder_is_a_generalised_linear_model(generator):
    rows = rows_of(400, 6)
    target = (rows > 0).float()
    network = network_of(6, 2, generator)
    network.start_at(principal_axes(rows, 2, generator), generator)

    def loss(output):
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)

    before = loss(network(rows)).item()
    fit_affine_decoder(network, rows, Likelihood(target))
    after = loss(network(rows)).item()
    assert after < before - 0.05
    # A decoder that is best within the family has no gradient left.
    network.zero_grad()
    loss(network(rows)).backward()
    assert network.linear_decoder.weight.grad.abs().max() < 2e-3


@pytest.mark.parametrize("weight", [None, 1 + torch.arange(400.0)[:, None] % 3], ids=["alike", "weighted"])
def test_squared_errors_are_solved_for(generator, weight):
    """Signs of codes are no codes of PCA, so that the best decoder is another."""
    rows = rows_of(400, 6)
    share = torch.ones(400, 1) if weight is None else weight

    class Unknown(Reconstruction):
        is_squared_error = False

    left = []
    for kind in (Reconstruction, Unknown):
        network = network_of(6, 2, generator, bottleneck=Binary())
        network.start_at(principal_axes(rows, 2, generator), generator)
        with torch.no_grad():
            before = (share * (network(rows) - rows).square()).mean().item()
        loss = kind(LOSSES["squared_error"].cell, "identity")
        fit_affine_decoder(network, rows, loss, weight=weight, n_steps=200)
        with torch.no_grad():
            left.append((share * (network(rows) - rows).square()).mean().item())
        assert left[-1] < 0.98 * before
    # The equations, and the steps.
    assert left[0] == pytest.approx(left[1], rel=1e-4)


def test_an_affine_decoder_that_overflows_is_put_back(generator):
    rows = rows_of(50, 4)
    network = network_of(4, 2, generator)
    network.start_at(principal_axes(rows, 2, generator), generator)
    before = network.linear_decoder.weight.detach().clone()
    fit_affine_decoder(network, rows, Likelihood(torch.full((50, 4), torch.nan)))
    assert torch.equal(network.linear_decoder.weight, before)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(90, 70), (70, 90)])
def test_many_axes_are_found_as_well_as_few(monkeypatch, n_rows, n_columns, generator):
    monkeypatch.setattr(axes_module, "EXACT_SIZE", 8)
    monkeypatch.setattr(axes_module, "_MANY", 8)
    rows = rows_of(n_rows, n_columns)
    found = principal_axes(rows, 40, generator)
    singular = np.linalg.svd(rows.double().numpy(), compute_uv=False)[:40]
    np.testing.assert_allclose(found.deviations, singular / n_rows**0.5, rtol=1e-3)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(40), atol=1e-4)
    explained = (rows.double() @ found.axes.T).square().sum()
    assert float(explained) == pytest.approx((singular**2).sum(), rel=1e-4)


@pytest.mark.parametrize("rank", [5, 60])
def test_large_rotations_are_orthogonal_and_spread_the_variance(monkeypatch, rank, generator):
    monkeypatch.setattr(pca_start, "_DENSE_SIZE", 8)
    rows = rows_of(300, 80, rank=rank)
    found = principal_axes(rows, 120, generator)
    network = network_of(80, 120, generator)
    pca_start.rotate_linear_path(network, found)
    weight = network.linear_encoder.weight.detach().double()
    # Times the axes, columns are those of a rotation: orthogonal, and of one length.
    turned = weight @ found.axes.T
    products = turned.T @ turned
    np.testing.assert_allclose(products / products[0, 0], np.eye(len(found.axes)), atol=1e-5)
    spread = (weight @ rows.double().T).square().mean(1)
    assert float(spread.mean()) == pytest.approx(1, rel=1e-4)
    assert float(spread.std()) < 1.5


def test_many_bits_need_no_table_of_all_pairs(monkeypatch):
    sizes = []
    original = torch.linalg.qr

    def counting(matrix, *arguments, **settings):
        sizes.append(max(matrix.shape))
        return original(matrix, *arguments, **settings)

    monkeypatch.setattr(torch.linalg, "qr", counting)
    X = np.random.default_rng(0).normal(size=(40, 6))
    model = BinaryAutoencoderTransformer(3000, max_iter=1, early_stopping=False, random_state=0)
    assert model.fit_transform(X).shape == (40, 3000)
    assert max(sizes, default=0) <= 512


def test_what_axes_leave_of_each_column_is_more_where_noise_was_taken_for_signal():
    rows = rows_of(60, 4).double()
    found = principal_axes(rows, 4, torch.Generator())
    squares = rows.square().mean(0)
    torch.testing.assert_close(found.unexplained(squares, 4), torch.zeros(4, dtype=torch.float64))
    two = found.first(2)
    left = (rows - two.project(rows)).square().mean(0)
    # Two of four components explain what two dimensions of noise would have added to them.
    torch.testing.assert_close(two.unexplained(squares, 2), 2 * left)

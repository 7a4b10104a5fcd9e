import pytest
import torch

from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Bottleneck
from skae.networks.dense import Dense
from skae.objectives import LOSSES, Batch, Reconstruction
from skae.objectives.nested import Nested, spread


def network_of(n_features=5, size=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    encoder, decoder = Dense((4,)).build(n_features, size, size, generator, n_code_flags=size)
    path = linear_path(n_features, size, size, tied=False)
    network = Autoencoder(encoder, decoder, Bottleneck(), *path, n_components=size, has_code_flags=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return network.eval()


def nested(n_components=3, **kwargs):
    reconstruction = Reconstruction(LOSSES["squared_error"].cell, "identity")
    return Nested(reconstruction, n_components=n_components, **kwargs)


@pytest.mark.parametrize("n_components", [1, 2, 16, 17, 40, 300])
@pytest.mark.parametrize("uniform_sizes", [False, True])
def test_shares_add_up_to_one_and_sizes_that_are_judged_reach_from_one_to_all(n_components, uniform_sizes):
    objective = nested(n_components, uniform_sizes=uniform_sizes)
    torch.testing.assert_close(objective.share.sum(), torch.tensor(1.0))
    assert objective.judged_sizes[0] == 1
    assert objective.judged_sizes[-1] == n_components
    assert objective.judged_sizes == sorted(set(objective.judged_sizes))
    assert len(objective.judged_sizes) == min(8, n_components)
    sizes = spread(n_components, 32)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1], len(sizes)) == (1, n_components, min(32, n_components))


def test_sizes_are_drawn_by_their_shares_a_small_and_a_large_one():
    objective = nested(5)
    sizes = objective.draw(20_000, torch.Generator().manual_seed(0))
    assert sizes.shape == (2, 20_000)
    assert (sizes[0] <= sizes[1]).all()
    found = torch.bincount(sizes.flatten(), minlength=5) / sizes.numel()
    torch.testing.assert_close(found, objective.share, atol=0.01, rtol=0)


def test_codes_that_are_cut_and_codes_of_fewer_columns_decode_alike():
    network = network_of()
    code = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    for size in (1, 2, 3):
        kept = (torch.arange(3) < size).float().expand_as(code)
        torch.testing.assert_close(network.decode(code, kept), network.decode(code[:, :size]))


def test_what_is_cut_has_no_part_in_the_output():
    network = network_of()
    code = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    kept = torch.tensor([1.0, 0.0, 0.0]).expand_as(code)
    other = torch.cat([code[:, :1], 100 * code[:, 1:]], dim=1)
    torch.testing.assert_close(network.decode(code, kept), network.decode(other, kept))


def test_evaluation_gives_the_errors_of_each_size_and_their_mean_by_share():
    network, objective = network_of(), nested()
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    errors = objective.evaluate(network, Batch(rows, rows))
    codes = network.encode(rows)
    squares = torch.stack([(network.decode(codes[:, :k]) - rows).square() for k in (1, 2, 3)])
    torch.testing.assert_close(errors.by_size, squares.sum(2).T)
    torch.testing.assert_close(errors.squared, squares[-1].sum(1))
    torch.testing.assert_close(errors.loss, (objective.share[:, None] * squares.mean(2)).sum(0))
    summed = objective.missed_by_size(network, Batch(rows, rows, torch.full((6, 1), 2.0)))
    torch.testing.assert_close(summed.float(), 2 * squares.sum((1, 2)))


def test_weights_are_one_at_first_and_favour_sizes_with_little_left_to_explain_later():
    objective = nested()
    objective.levels.copy_(torch.tensor([0.5, 0.1, 0.0]))
    objective.progress = 0.0
    torch.testing.assert_close(objective.weights(), torch.ones(3))
    objective.progress = 1.0
    weights = objective.weights()
    assert weights.isfinite().all()
    assert (weights.diff() > 0).all()


def test_the_loss_of_a_step_is_that_of_the_sizes_drawn():
    network, objective = network_of(), nested()
    objective.progress = 0.0
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    batch = objective.prepare(Batch(rows, rows), network, torch.Generator().manual_seed(0))
    codes = network.encode(rows)
    losses = [
        (network.decode(codes[i : i + 1, : size + 1]) - rows[i]).square().mean()
        for sizes in batch.draws["sizes"]
        for i, size in enumerate(sizes)
    ]
    torch.testing.assert_close(objective(network, batch)["reconstruction"], torch.stack(losses).mean())


def test_sizes_are_drawn_alike_where_it_is_not_known_which_is_wanted():
    torch.testing.assert_close(nested(5, uniform_sizes=True).share, torch.full((5,), 0.2))


@pytest.mark.parametrize(("n_components", "part"), [(8, 0.0), (16, 0.0), (32, 0.5), (64, 0.75)])
def test_beyond_sixteen_components_more_and_more_sizes_are_drawn_alike(n_components, part):
    own = (torch.arange(n_components) + 1.5).pow(-1.4)
    own[0] *= 0.18
    own = own / own.sum()
    own[-1] += 0.05
    expected = (1 - part) * own / own.sum() + part / n_components
    torch.testing.assert_close(nested(n_components).share, expected)


def test_what_is_drawn_by_is_no_part_of_the_state():
    assert list(nested().state_dict()) == ["levels", "reconstruction.centre"]


def test_levels_are_the_losses_of_sizes_at_the_start():
    network, objective = network_of(), nested()
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    seen = rows + 1
    objective.start(network, rows, seen)
    codes = network.encode(seen)
    expected = torch.stack([(network.decode(codes[:, :k]) - rows).square().mean() for k in (1, 2, 3)])
    torch.testing.assert_close(objective.levels, expected)


@pytest.mark.parametrize(("n_rows", "most"), [(999, 32), (1000, 8)])
def test_small_tables_judge_more_sizes(n_rows, most):
    network, objective = network_of(n_features=5, size=40), nested(40)
    rows = torch.zeros(n_rows, 5)
    objective.start(network, rows, rows)
    assert len(objective.judged_sizes) == most


@pytest.mark.parametrize(
    ("n_components", "most", "expected"),
    [
        (3, 8, [1, 2, 3]),
        (8, 8, list(range(1, 9))),
        (9, 3, [1, 3, 9]),
        (100, 3, [1, 10, 100]),
        (5, 4, [1, 2, 3, 5]),
    ],
)
def test_sizes_are_spread_by_a_ratio(n_components, most, expected):
    assert spread(n_components, most) == expected


def test_weights_of_sizes_keep_the_loss_as_large_as_it_was():
    objective = nested()
    objective.levels.copy_(torch.tensor([0.5, 0.1, 0.05]))
    for objective.progress in (0.0, 0.3, 1.0):
        level = objective.share * objective.levels
        torch.testing.assert_close((level * objective.weights()).sum(), level.sum())
    ratio = objective.weights()[1] / objective.weights()[0]
    assert float(ratio) == pytest.approx(5**0.7)

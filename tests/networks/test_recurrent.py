"""Recurrent networks: sequences in and out, ends that are not there, a start at zero."""

import numpy as np
import pytest
import torch

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer, VariationalAutoencoderTransformer
from skae.networks import Recurrent, Recursive
from skae.networks.recursive import merge_best, merge_level, split_level

BRIEF = {"max_iter": 3, "early_stopping": False, "random_state": 0}


@pytest.fixture(scope="module")
def waves():
    """200 sequences of 10 steps of two values."""
    random = np.random.RandomState(0)
    phase = random.uniform(0, 6, (200, 1))
    steps = np.linspace(0, 4, 10)
    waves = np.stack([np.sin(steps + phase), np.cos(2 * steps + phase)], axis=2)
    return waves + 0.05 * random.standard_normal(waves.shape)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_they_start_at_zero_and_draw_from_the_generator_alone(cell, bidirectional):
    before = torch.random.get_rng_state()
    pairs = [
        Recurrent(5, cell=cell, hidden_size=4, bidirectional=bidirectional, n_layers=2).build(
            10, 3, 2, torch.Generator().manual_seed(1)
        )
        for _ in range(2)
    ]
    assert torch.equal(before, torch.random.get_rng_state())
    x, z = torch.ones(4, 10), torch.ones(4, 2)
    assert not pairs[0][0](x).any()
    assert not pairs[0][1](z).any()
    for pair in pairs:
        for part in pair:
            part.start_random(torch.Generator().manual_seed(2))
    torch.testing.assert_close(pairs[0][0](x), pairs[1][0](x), rtol=0, atol=0)
    assert pairs[0][1](z).any()


def test_the_encoder_does_not_see_what_is_not_there(generator):
    encoder, _ = Recurrent(6, hidden_size=4).build(12, 3, 3, generator)
    encoder.start_random(generator)
    short = torch.randn(5, 8, generator=generator)
    gone = torch.cat([short, torch.full((5, 4), torch.nan)], dim=1)
    encoder.shape = (4, 2)
    expected = encoder(short)
    encoder.shape = (6, 2)
    torch.testing.assert_close(encoder(gone), expected)
    # Beside a longer one, too.
    together = encoder(torch.cat([gone, torch.ones(1, 12)]))
    torch.testing.assert_close(together[:5], expected)


MODELS = [AutoencoderTransformer, DenoisingAutoencoderTransformer, VariationalAutoencoderTransformer]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", MODELS)
def test_sequences_may_end_early(cls, waves):
    X = waves.copy()
    X[::3, 6:] = np.nan
    model = cls(2, network=Recurrent(10, hidden_size=8), max_iter=5, random_state=0).fit(X)
    codes = model.transform(X)
    assert np.isfinite(codes).all()
    assert model.inverse_transform(codes).shape == X.shape
    assert np.isfinite(model.score_samples(X)).all()
    assert 0 < model.score(X) <= 1
    errors = model.reconstruction_error(X, per_feature=True)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(X.reshape(200, -1)))
    np.testing.assert_allclose(model.reconstruction_error(X), np.nanmean(errors, axis=1))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_iwae_and_small_tables_take_sequences_that_end_early(waves):
    X = waves.copy()
    X[::3, 6:] = np.nan
    for settings in ({"objective": "iwae"}, {"objective": "iwae", "validation_fraction": 0.2}):
        model = VariationalAutoencoderTransformer(
            2, network=Recurrent(10, hidden_size=4), max_iter=2, random_state=0, **settings
        ).fit(X)
        assert np.isfinite(model.score_samples(X, 3)).all()


def test_the_score_counts_the_steps_that_are_there(waves):
    X = waves.copy()
    X[::2, 5:] = np.nan
    model = AutoencoderTransformer(2, network=Recurrent(10, hidden_size=8), **BRIEF).fit(X)
    back = model.reconstruct(X)
    deviations = X - np.nanmean(X, axis=0)
    expected = 1 - np.nansum((X - back) ** 2) / np.nansum(deviations**2)
    assert model.score(X) == pytest.approx(expected)


@pytest.mark.parametrize("at", [(3, slice(2, 4)), (3, slice(None)), (3, slice(8, 10), 0)])
def test_other_gaps_are_refused(waves, at):
    X = waves.copy()
    X[at] = np.nan
    with pytest.raises(ValueError, match="Row 3 holds NaN before its end"):
        AutoencoderTransformer(2, network=Recurrent(10)).fit(X)


def test_other_networks_fill_gaps_first(waves):
    X = waves.reshape(200, -1).copy()
    X[::2, 10:] = np.nan
    model = AutoencoderTransformer(2, network=Recursive(10), **BRIEF).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("network", [Recurrent(10, hidden_size=4), Recursive(10, hidden_size=4)])
def test_sequences_and_rows_are_the_same(waves, network):
    model = AutoencoderTransformer(2, network=network, max_iter=2, random_state=0).fit(waves)
    codes = model.transform(waves)
    assert model.inverse_transform(codes).shape == waves.shape
    rows = AutoencoderTransformer(2, network=network, max_iter=2, random_state=0).fit(waves.reshape(200, -1))
    np.testing.assert_array_equal(rows.transform(waves.reshape(200, -1)), codes)
    with pytest.raises(ValueError, match="do not fit n_timesteps=10"):
        model.transform(waves[:, :5])


@pytest.mark.parametrize("cls", [Recurrent, Recursive])
def test_batch_norm_and_dropout(waves, cls):
    X = waves.reshape(200, -1)
    network = cls(10, hidden_size=8, batch_norm=True, dropout=0.2)
    codes = [AutoencoderTransformer(2, network=network, **BRIEF).fit(X).transform(X) for _ in range(2)]
    np.testing.assert_array_equal(*codes)
    plain = AutoencoderTransformer(2, network=cls(10, hidden_size=8), **BRIEF).fit(X)
    assert (plain.transform(X) != codes[0]).any()
    model = AutoencoderTransformer(2, network=network, **BRIEF).fit(X)
    np.testing.assert_allclose(model.transform(X[:1]), codes[0][:1], atol=1e-9)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Recurrent(7), "n_timesteps=7 does not cut rows of 20"),
        (Recurrent(10, cell="rnn"), "cell must be"),
        (Recurrent(10, hidden_size=0), "hidden_size must be"),
        (Recurrent(10, n_layers=0), "n_layers must be"),
        (Recursive(7), "n_timesteps=7 does not cut rows of 20"),
        (Recursive(10, hidden_size=0), "hidden_size must be"),
        (Recursive(10, dropout=1.0), "dropout must lie"),
        (Recurrent(10, dropout=-0.1), "dropout must lie"),
        (Recursive(10, merging="random"), "merging must be"),
        (Recursive(10, activation="cube"), "activation must be"),
    ],
)
def test_bad_settings_are_told_before_training(waves, network, message):
    model = AutoencoderTransformer(2, network=network)
    with pytest.raises(ValueError, match=message):
        model.fit(waves.reshape(200, -1))
    assert not hasattr(model, "network_")


def test_levels_merge_and_split_neighbours():
    # A merge that adds, a split that gives the half twice, spelt out on five nodes of one number.
    def merge(pairs):
        return pairs.reshape(*pairs.shape[:2], 2, -1).sum(2)

    def split(nodes):
        return torch.cat([nodes / 2, nodes / 2], dim=2)

    nodes = torch.tensor([[[1.0], [2.0], [3.0], [5.0], [7.0]]])
    level = merge_level(merge, nodes)
    assert level.flatten().tolist() == [3.0, 8.0, 7.0]
    assert split_level(split, level, 5).flatten().tolist() == [1.5, 1.5, 4.0, 4.0, 7.0]
    # The pair nearest to its unfolding is the one of least difference: 1 and 2 here, 4 and 4 there.
    rows = torch.tensor([[[1.0], [2.0], [4.0], [8.0]], [[1.0], [4.0], [4.0], [9.0]]])
    best = merge_best(merge, split, rows)
    assert best[:, :, 0].tolist() == [[3.0, 4.0, 8.0], [1.0, 8.0, 9.0]]


def test_lists_of_rows_of_different_lengths_are_refused():
    model = AutoencoderTransformer(1, network=Recurrent(hidden_size=4), max_iter=1)
    with pytest.raises(ValueError, match="rows of different lengths"):
        model.fit([[1.0, 2.0], [3.0]])

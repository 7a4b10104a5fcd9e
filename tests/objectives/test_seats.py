"""What penalties, corruptions and revivals can do is declared, and a misspelt declaration is refused."""

import pytest
import torch

from skae.networks import Dense
from skae.networks.architecture import Architecture
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck
from skae.networks.coder import Coder
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.objectives.corruption import Corruption
from skae.objectives.penalties import Adversary, Contraction, Penalty, Revival
from skae.objectives.priors import PRIORS


class Drawn(Penalty):
    """The mean of what was drawn, or -1 where rows are judged."""

    judges = True
    warm_up = 0.0

    def adapt(self, rows):
        self.n_rows = len(rows)

    def draw(self, rows, generator):
        return torch.rand(len(rows), generator=generator)

    def forward(self, passed):
        return torch.tensor(-1.0) if passed.draw is None else passed.draw


@pytest.fixture
def network(generator):
    encoder, decoder = Dense((4,)).build(3, 2, 2, generator)
    encoder.start_random(generator)
    decoder.start_random(generator)
    return Autoencoder(encoder, decoder, Bottleneck())


def objective(**penalties):
    loss = LOSSES["squared_error"]
    return Objective(Reconstruction(loss.cell, "identity", loss.from_output), penalties)


def test_a_penalty_is_handed_its_draw_under_any_name(network, generator):
    x = torch.randn(6, 3, generator=generator)
    terms = {}
    # One of the names is that of the bottleneck's draw.
    for name in ("code", "other"):
        seats = objective(**{name: Drawn(2.0)})
        batch = seats.prepare(Batch(x, x), network, torch.Generator().manual_seed(0))
        terms[name] = float(seats(network, batch)[name])
    expected = 2 * torch.rand(6, generator=torch.Generator().manual_seed(0)).mean()
    assert terms["code"] == terms["other"] == pytest.approx(float(expected))


def test_rows_are_judged_without_a_draw(network, generator):
    x = torch.randn(6, 3, generator=generator)
    plain = objective().evaluate(network, Batch(x, x)).loss
    torch.testing.assert_close(objective(own=Drawn(2.0)).evaluate(network, Batch(x, x)).loss, plain - 2.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adversary(1.0, 2, PRIORS["normal"]),
        lambda: Contraction(
            1.0, 2, lambda network, rows, there, signs: (signs * network.encode(rows)).sum(1), False
        ),
    ],
    ids=["adversary", "contraction"],
)
def test_penalties_mean_the_same_under_any_name(make, network, generator):
    x = torch.randn(6, 3, generator=generator)
    terms = []
    for name in ("adversary", "contraction", "x"):
        seats = objective(**{name: make()})
        batch = seats.prepare(Batch(x, x), network, torch.Generator().manual_seed(0))
        terms.append(float(seats(network, batch)[name].detach()))
        judged = float(seats.evaluate(network, Batch(x, x)).loss.mean())
        reconstruction = float(objective().evaluate(network, Batch(x, x)).loss.mean())
        assert judged != pytest.approx(reconstruction)
    assert terms[0] == terms[1] == terms[2]


def test_penalties_measure_training_rows_once():
    seats = objective(own=Drawn(), plain=Drawn())
    assert seats.adapts
    seats.adapt(torch.zeros(7, 3))
    assert [penalty.n_rows for _, penalty in seats.named_penalties()] == [7, 7]
    assert not objective().adapts


def test_what_is_no_penalty_is_refused():
    with pytest.raises(TypeError, match="'codes' is a Linear. Derive it from"):
        objective(codes=torch.nn.Linear(2, 2))


@pytest.mark.parametrize("base", [Penalty, Corruption, Revival, Coder, Architecture])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("judges_", "judges"),
        ("judge", "judges"),
        ("warmup", "warm_up"),
        ("needs_outputs", "needs_output"),
        ("draws", "draw"),
        ("make_gaps", "makes_gaps"),
        ("adapts", "adapt"),
        ("renews", "renew"),
        ("take_gaps", "takes_gaps"),
        ("has_part", "has_parts"),
        ("start_randomly", "start_random"),
    ],
)
def test_misspelt_names_are_refused_and_others_are_free(base, name, meant):
    if hasattr(base, meant):
        with pytest.raises(
            TypeError, match=f"Own.{name} is nothing that {base.__name__} asks for; '{meant}' is"
        ):
            type("Own", (base,), {name: True})
    else:
        assert getattr(type("Own", (base,), {name: True}), name) is True


def test_subclasses_of_a_variant_s_own_part_are_checked_too():
    with pytest.raises(TypeError, match="Own.judge is nothing"):
        type("Own", (Drawn,), {"judge": True})

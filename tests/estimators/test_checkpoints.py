"""Fits that are killed, and go on from the file in which their state was kept."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import skae
from skae.estimators.base import Job, fit_together
from skae.networks import Convolutional, Recurrent, Recursive
from skae.selection import StackedGridSearchCV
from skae.tasks import AutoencoderOutlierDetector
from skae.training import checkpoint_file

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
ROWS = (
    RANDOM.standard_normal((120, 4)) @ RANDOM.standard_normal((4, 8)) + RANDOM.standard_normal((120, 8)) / 9
)
BRIEF = {"max_iter": 4, "random_state": 0}
SPLIT = {"validation_fraction": 0.2}
FITS = {
    "adversarial": skae.AdversarialAutoencoderTransformer(2, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(4, **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(2, **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(2, **BRIEF),
    "plain": skae.AutoencoderTransformer(2, **BRIEF),
    "sparse": skae.SparseAutoencoderTransformer(16, n_active=2, **SPLIT, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(2, **BRIEF),
    "convolutional": skae.AutoencoderTransformer(2, network=Convolutional((1, 2, 4), channels=(2,)), **BRIEF),
    "recurrent": skae.AutoencoderTransformer(2, network=Recurrent(4, hidden_size=3), **SPLIT, **BRIEF),
    "recursive": skae.AutoencoderTransformer(2, network=Recursive(4, hidden_size=3), **SPLIT, **BRIEF),
    "ordered, several starts": skae.AutoencoderTransformer(4, ordered=True, n_init=2, **BRIEF),
    "lbfgs": skae.AutoencoderTransformer(2, solver="lbfgs", **SPLIT, **BRIEF),
    "layerwise": skae.AutoencoderTransformer(2, pretrain="layerwise", batch_norm=True, **SPLIT, **BRIEF),
    "gates": skae.SparseAutoencoderTransformer(16, penalty="gated", revival="auxiliary", **SPLIT, **BRIEF),
    "thresholds": skae.SparseAutoencoderTransformer(16, penalty="batch_topk", n_active=2, **BRIEF),
    "importance": skae.VariationalAutoencoderTransformer(2, objective="iwae", early_stopping=False, **BRIEF),
}


class Killed(BaseException):
    """Ends a fit where a signal would end the process."""


@contextlib.contextmanager
def killed_after(n_writes):
    """Let a fit end after so many writings of its state; return how often it was written."""
    count = [0]

    def write(*arguments):
        real(*arguments)
        count[0] += 1
        if count[0] == n_writes:
            raise Killed

    real, checkpoint_file.write = checkpoint_file.write, write
    try:
        yield count
    except Killed:
        pass
    finally:
        checkpoint_file.write = real


def learnt(model):
    """Return all that an estimator holds, but for where its fit was kept and how long it took."""
    state = model.set_params(checkpoint=None, checkpoint_every="auto").__getstate__()
    return {name: value for name, value in state.items() if name != "fit_time_"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.skae"


def interrupted(path, n_writes=2, rows=ROWS, name="plain", **changes):
    """Return an estimator whose fit was killed."""
    changes = {"checkpoint": path, "checkpoint_every": 1, **changes}
    model = clone(FITS[name]).set_params(**changes)
    with killed_after(n_writes):
        model.fit(rows)
        pytest.fail("the fit was not killed")
    return model


# Some of the parts of a state are tested by `tests/training/test_checkpoint.py`, too.
SLOW = ("recurrent", "recursive", "lbfgs", "layerwise", "thresholds", "importance")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in FITS]
)
def test_a_fit_that_was_killed_ends_as_if_it_had_not_been(name, path):
    model = interrupted(path, name=name)
    assert not hasattr(model, "network_")
    with killed_after(None) as n_writes:
        model.fit(ROWS)
    # It went on after the second epoch of the first training.
    assert 0 < n_writes[0]
    np.testing.assert_equal(learnt(model), learnt(clone(FITS[name]).fit(ROWS)))


def test_a_fit_goes_on_and_does_not_begin_anew(path, capsys):
    model = interrupted(path, verbose=True)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["Epoch 1/4", "Epoch 2/4"]
    model.fit(ROWS)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["Epoch 3/4", "Epoch 4/4"]


def test_nothing_is_left_of_a_fit_that_has_ended(path):
    interrupted(path, 3).fit(ROWS)
    assert not list(path.parent.iterdir())


CHILD = """
    import os, signal, sys
    import numpy as np
    import skae
    from skae._files import disk
    from skae.training import checkpoint_file
    real, moments = (disk.os.replace if sys.argv[2] == "in" else checkpoint_file.write), [0]
    def write(*arguments):
        # In the midst of writing: the new file is there, and not yet in its place.
        if sys.argv[2] == "after":
            real(*arguments)
        moments[0] += 1
        if moments[0] == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "in":
            real(*arguments)
    if sys.argv[2] == "in":
        disk.os.replace = write
    else:
        checkpoint_file.write = write
    rows = np.load(sys.argv[3])
    skae.AutoencoderTransformer(2, max_iter=20, checkpoint=sys.argv[1], checkpoint_every=1).fit(rows)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["after", "in"])
def test_a_process_that_was_killed(moment, path, tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(path), moment, str(tmp_path / "rows.npy")]
    environment = {**os.environ, "PYTHONPATH": str(Path(skae.__file__).parents[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert path.exists() == (moment == "after")
    # The seed was drawn in the other process.
    seed = checkpoint_file.CheckpointFile(path).seed
    model = skae.AutoencoderTransformer(2, max_iter=20, checkpoint=path, checkpoint_every=1).fit(ROWS)
    undisturbed = skae.AutoencoderTransformer(2, max_iter=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._random.Streams.__init__", lambda self, state: setattr(self, "entropy", seed))
        undisturbed.fit(ROWS)
    np.testing.assert_equal(learnt(model), learnt(undisturbed))


@pytest.mark.parametrize(
    ("changes", "rows", "name"),
    [
        ({"weight_decay": 0.3}, ROWS, r"weight_decay \('auto' there, 0.3 here\)"),
        ({"random_state": 1}, ROWS, "random_state"),
        (
            {"hidden_layer_sizes": (9,), "max_iter": 5},
            ROWS,
            r"hidden_layer_sizes.*max_iter \(4 there, 5 here\)",
        ),
        ({}, ROWS[::-1].copy(), "X"),
        ({}, ROWS[1:], "X"),
    ],
    ids=["decay", "seed", "two", "order", "rows"],
)
def test_the_file_of_another_fit_is_refused(changes, rows, name, path):
    model = interrupted(path)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=f"is of another fit. What differs: {name}.*remove the file"):
        model.set_params(**changes).fit(rows)
    assert path.read_bytes() == kept
    assert not hasattr(model, "network_")


def test_other_weights_of_rows_are_refused(path):
    model = interrupted(path)
    with pytest.raises(ValueError, match="What differs: X, sample_weight"):
        model.fit(ROWS, sample_weight=np.arange(1.0, 121.0))


def test_other_surroundings_are_refused(path, monkeypatch):
    model = interrupted(path)
    monkeypatch.setattr(checkpoint_file, "version", lambda name: "0.0.0")
    with pytest.raises(ValueError, match="What differs: the version of skae .* there, '?0.0.0"):
        model.fit(ROWS)


def test_another_estimator_is_refused(path):
    interrupted(path)
    other = skae.ContractiveAutoencoderTransformer(2, **BRIEF, checkpoint=path)
    with pytest.raises(ValueError, match="What differs: .*the estimator"):
        other.fit(ROWS)


def test_what_changes_no_number_may_change(path):
    model = interrupted(path)
    model.set_params(verbose=False, checkpoint_every="auto", device="cpu").fit(ROWS)
    assert model.n_iter_ == 4


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "cut off", "gone"])
def test_a_damaged_file_falls_back_to_the_one_before(how, path):
    model = interrupted(path, 3)
    if how == "flipped":
        damage(path)
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.unlink()
    # Killed again at once: of the two files, the one that is whole must have been left.
    with killed_after(1):
        model.fit(ROWS)
    model.fit(ROWS)
    np.testing.assert_equal(learnt(model), learnt(clone(FITS["plain"]).fit(ROWS)))


def test_files_that_are_no_checkpoints_are_left_alone(path):
    path.write_text("a letter")
    with pytest.raises(ValueError, match="names a file from which no fit can go on.*Remove it"):
        clone(FITS["plain"]).set_params(checkpoint=path).fit(ROWS)
    assert path.read_text() == "a letter"


def test_two_damaged_files_are_refused(path):
    model = interrupted(path, 3)
    damage(path)
    damage(path.with_name("fit.skae.before"))
    with pytest.raises(ValueError, match="no fit can go on.*damaged"):
        model.fit(ROWS)


def test_places_where_nothing_can_be_written_are_refused_before_training(tmp_path, monkeypatch):
    model = skae.AutoencoderTransformer(2, **BRIEF)
    with pytest.raises(FileNotFoundError, match="folder that does not exist.*Make it first"):
        model.set_params(checkpoint=tmp_path / "nowhere" / "fit.skae").fit(ROWS)
    with pytest.raises(IsADirectoryError, match="is a folder. Pass the path of a file"):
        model.set_params(checkpoint=str(tmp_path)).fit(ROWS)
    monkeypatch.setattr(os, "access", lambda *given: False)
    with pytest.raises(PermissionError, match="may not be written to"):
        model.set_params(checkpoint=tmp_path / "fit.skae").fit(ROWS)


def test_a_fit_outlives_the_folder_of_its_file(path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_file, "write", full)
    model = clone(FITS["plain"]).set_params(checkpoint=path, checkpoint_every=2)
    with pytest.warns(UserWarning, match="The fit goes on, but its state could not be kept.*No space left"):
        model.fit(ROWS)
    np.testing.assert_equal(learnt(model), learnt(clone(FITS["plain"]).fit(ROWS)))


def test_an_interrupt_keeps_the_best_weights_and_the_file(path, monkeypatch):
    model = clone(FITS["plain"]).set_params(checkpoint=path, checkpoint_every=1, **SPLIT)
    with monkeypatch.context() as patch:
        real = checkpoint_file.write

        def interrupt(*arguments):
            real(*arguments)
            raise KeyboardInterrupt

        patch.setattr(checkpoint_file, "write", interrupt)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(ROWS)
    assert model.n_iter_ == 1
    model.fit(ROWS)
    undisturbed = clone(FITS["plain"]).set_params(**SPLIT).fit(ROWS)
    np.testing.assert_equal(learnt(model), learnt(undisturbed))


def test_dropout_of_own_modules_goes_on(path):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
    model = skae.AutoencoderTransformer(2, network=(encoder, torch.nn.Linear(2, 8)), **SPLIT, **BRIEF)
    undisturbed = clone(model).fit(ROWS)
    model.set_params(checkpoint=path, checkpoint_every=1)
    with killed_after(2):
        model.fit(ROWS)
    before = torch.get_rng_state()
    model.fit(ROWS)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(model.transform(ROWS), undisturbed.transform(ROWS))
    assert model.loss_curve_ == undisturbed.loss_curve_


def test_a_warm_start_belongs_to_the_fit(path):
    warm = clone(FITS["plain"]).set_params(warm_start=True)
    first, other = (clone(warm).fit(rows) for rows in (ROWS, ROWS**2))
    undisturbed = clone(warm).fit(ROWS).fit(ROWS)
    first.set_params(checkpoint=path, checkpoint_every=1)
    with killed_after(2):
        first.fit(ROWS)
    with pytest.raises(ValueError, match="is of another fit"):
        other.set_params(checkpoint=path).fit(ROWS)
    np.testing.assert_equal(learnt(first.fit(ROWS)), learnt(undisturbed))


def test_the_time_of_all_processes_is_counted(path):
    model = interrupted(path)
    found = checkpoint_file.CheckpointFile(path)
    assert found.seconds > 0
    assert model.fit(ROWS).fit_time_ > found.seconds


def test_further_rows_keep_nothing(path):
    clone(FITS["plain"]).set_params(checkpoint=path, checkpoint_every=1).partial_fit(ROWS)
    assert not path.exists()


def test_a_second_fit_at_the_same_file_is_refused(path, tmp_path, monkeypatch):
    """By another process, and by the same one; what a process that is killed leaves locks nothing."""
    np.save(tmp_path / "rows.npy", ROWS)
    script = (
        "import sys, numpy, skae; rows = numpy.load(sys.argv[2]);"
        "skae.AutoencoderTransformer(2, max_iter=2, checkpoint=sys.argv[1]).fit(rows)"
    )
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "rows.npy")]
    real, found = checkpoint_file.write, []

    def write(*arguments):
        if not found:
            found.append(subprocess.run(command, capture_output=True, text=True, check=False).stderr)
            with pytest.raises(BlockingIOError, match=f"in process {os.getpid()}"):
                clone(FITS["plain"]).set_params(checkpoint=path).fit(ROWS)
        real(*arguments)

    monkeypatch.setattr(checkpoint_file, "write", write)
    model = clone(FITS["plain"]).set_params(checkpoint=path, checkpoint_every=1)
    # As a killed process leaves it.
    Path(f"{path}.lock").write_text("123")
    model.fit(ROWS)
    assert "BlockingIOError" in found[0]
    assert f"another fit, in process {os.getpid()}, keeps its state there" in found[0]
    np.testing.assert_equal(learnt(model), learnt(clone(FITS["plain"]).fit(ROWS)))
    assert os.listdir(tmp_path) == ["rows.npy"]


def test_a_fit_that_fails_lets_the_next_one_begin(path, monkeypatch):
    model = clone(FITS["plain"]).set_params(checkpoint=path, learning_rate_init=1e30)
    for _ in range(2):
        with pytest.raises(skae.DivergenceError) as caught:
            model.fit(ROWS)
        assert caught.traceback
    assert not Path(f"{path}.lock").exists()


def test_fits_side_by_side_have_no_file_in_common(path):
    models = [clone(FITS["plain"]).set_params(checkpoint=path) for _ in range(2)]
    with pytest.raises(ValueError, match="checkpoint= is for one fit, and 2 fits"):
        fit_together([Job(model, ROWS) for model in models])
    assert fit_together([Job(models[0], ROWS)]) == [None]
    detector = AutoencoderOutlierDetector(models[0], n_estimators=2)
    with pytest.raises(ValueError, match="checkpoint= is for one fit"):
        detector.fit(ROWS)
    search = StackedGridSearchCV(models[0], {"weight_decay": [0.1, 1.0]}, cv=2)
    with pytest.raises(ValueError, match="checkpoint= is for one fit, and 4 fits"):
        search.fit(ROWS)

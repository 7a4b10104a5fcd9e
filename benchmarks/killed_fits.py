"""Whether fits that are killed at random moments go on to the same numbers, to the last bit.

Each fit runs in a process of its own, which is killed (SIGKILL) after a random time of up to that of the
undisturbed fit, one to four times in a row. Then it ends, and all that the estimator holds is compared with
the undisturbed one: parameters, weights, codecs, curves and scores. Half of the fits keep their state after
every epoch, which takes most of their time, so that many are killed while they write; the others keep it as
often as "auto" does. Linux and macOS alone: processes are forked.
"""

import argparse
import os
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Threads do not survive a fork.
os.environ["OMP_NUM_THREADS"] = "1"

import report
from sklearn.base import clone
from sklearn.datasets import load_digits

import skae
from skae.networks import Convolutional
from skae.training.checkpoint_file import CheckpointFile, told

ROWS = load_digits().data[:200, 10:42] / 16
LABELS = load_digits().target[:200]
# Folds are trained side by side with the network of all rows, where networks can be.
WAYS = {"folds": "auto", "split": 0.2}
BRIEF = {"max_iter": 30, "random_state": 0}
FITS = {
    "adversarial": skae.AdversarialAutoencoderTransformer(4, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(8, **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(4, **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(8, **BRIEF),
    "plain": skae.AutoencoderTransformer(4, **BRIEF),
    "plain, ordered, three starts": skae.AutoencoderTransformer(4, ordered=True, n_init=3, **BRIEF),
    "plain, dropout, layerwise": skae.AutoencoderTransformer(4, pretrain="layerwise", dropout=0.1, **BRIEF),
    "plain, linear encoder": skae.AutoencoderTransformer(4, encoder="linear", **BRIEF),
    "plain, linearity": skae.AutoencoderTransformer(4, linearity=0.5, **BRIEF),
    "plain, target": skae.AutoencoderTransformer(4, target_weight=0.5, **BRIEF),
    "plain, lbfgs": skae.AutoencoderTransformer(4, solver="lbfgs", **BRIEF),
    "plain, convolutional": skae.AutoencoderTransformer(
        4, network=Convolutional((1, 4, 8), channels=(4,)), max_iter=5, random_state=0
    ),
    "sparse": skae.SparseAutoencoderTransformer(32, n_active=4, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(4, **BRIEF),
}


def fit(model: Any, found: Path) -> int:
    """Begin a fit in a process of its own, which writes what it found to a file; return its number."""
    child = os.fork()
    if child:
        return child
    try:
        warnings.simplefilter("ignore")
        model.fit(ROWS, LABELS)
        state = model.set_params(checkpoint=None, checkpoint_every="auto").__getstate__()
        del state["fit_time_"]
        found.write_text(told(state))
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


def undisturbed(model: Any, folder: Path) -> tuple[str, float]:
    """Return what a fit finds, and the seconds that it takes."""
    start = time.perf_counter()
    if os.waitpid(fit(clone(model), folder / "undisturbed"), 0)[1]:
        raise RuntimeError("the undisturbed fit failed")
    return (folder / "undisturbed").read_text(), time.perf_counter() - start


def killed(
    model: Any, folder: Path, seconds: float, draws: random.Random
) -> tuple[str, list[dict[str, Any]]]:
    """Return what a fit finds that is killed up to four times, and where it stood each time."""
    path, found, kills = folder / "fit.skae", folder / "found", []
    model = clone(model).set_params(checkpoint=path)
    for _ in range(draws.randint(1, 4)):
        child = fit(model, found)
        time.sleep(draws.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            # It was quicker.
            break
        parts = list(folder.glob(".*.part"))
        kills.append({"while writing": bool(parts), "epochs kept": n_epochs(path)})
        for part in parts:
            part.unlink()
    else:
        if os.waitpid(fit(model, found), 0)[1]:
            return "failed", kills
    return found.read_text(), kills


def n_epochs(path: Path) -> int:
    """Return the number of epochs of all models that a file holds."""
    states = CheckpointFile(path).states
    return sum(len(one["history"]["losses"]) for state in states for one in state["trainings"])


def measured(n_kills: int, draws: random.Random) -> Iterator[dict[str, Any]]:
    """Yield a row for each estimator and way of holding rows out."""
    for name, model in FITS.items():
        for way, fraction in WAYS.items():
            model = clone(model).set_params(validation_fraction=fraction)
            with tempfile.TemporaryDirectory() as folder:
                expected, seconds = undisturbed(model, Path(folder))
                kills, n_fits, n_equal = [], 0, 0
                while len(kills) < n_kills:
                    every = 1 if n_fits % 2 else "auto"
                    model = clone(model).set_params(checkpoint_every=every)
                    found, more = killed(model, Path(folder), seconds, draws)
                    kills += more
                    n_fits, n_equal = n_fits + 1, n_equal + (found == expected)
            yield {
                "fit": name,
                "held out by": way,
                "seconds undisturbed": seconds,
                "kills": len(kills),
                "of them while writing": sum(kill["while writing"] for kill in kills),
                "of them with epochs kept": sum(kill["epochs kept"] > 0 for kill in kills),
                "fits": n_fits,
                "of them identical": n_equal,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="thirty kills of each fit instead of three")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    rows = []
    for row in measured(30 if arguments.full else 3, random.Random(arguments.seed)):
        rows.append(row)
        print(row, flush=True)
    report.print_table(rows, "fits that were killed")
    counted = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("fit", "held out by")}
    print(counted)
    report.save("killed_fits", rows, total=counted)


if __name__ == "__main__":
    main()

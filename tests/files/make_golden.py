"""Write the files that this and every later version must load: `python tests/files/make_golden.py`.

Run it once for a version of the format or of the state; older folders stay as they are. Each file is a fitted
estimator; beside them is what they made of five rows.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import skae
from skae.networks import Convolutional, Dense, Recurrent, Recursive
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

FOLDER = Path(__file__).parent / "golden" / "1"

BRIEF = {"max_iter": 2, "random_state": 0}
NARROW = {**BRIEF, "hidden_layer_sizes": (4,)}
SOURCE = np.random.RandomState(0)
X = np.sin(SOURCE.uniform(0, 6, (40, 1)) + np.arange(6)) + 0.1 * SOURCE.standard_normal((40, 6))
GAPS = np.where(SOURCE.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(6) >= SOURCE.randint(1, 4, 40)[:, None] * 2, np.nan, X)
FRAME = pd.DataFrame(
    {"number": X[:, 0], "text": ["red", "green"] * 20, "whole": np.arange(40) % 5, "truth": X[:, 1] > 0}
)
MODELS = {
    "autoencoder": (skae.AutoencoderTransformer(2, **NARROW), X),
    "gaps": (skae.AutoencoderTransformer(2, **NARROW), GAPS),
    "frame": (skae.AutoencoderTransformer(2, **NARROW), FRAME),
    "ordered": (skae.AutoencoderTransformer(3, ordered=True, scaling="standard", **NARROW), X),
    "layers": (skae.AutoencoderTransformer(2, network=Dense((4,), batch_norm=True), **BRIEF), X),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((2, 3), channels=(2,)), **BRIEF), X),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(3, hidden_size=3), **BRIEF), ENDS),
    "recursive": (skae.AutoencoderTransformer(2, network=Recursive(3), **BRIEF), X),
    "denoising": (skae.DenoisingAutoencoderTransformer(2, **NARROW), X),
    "contractive": (skae.ContractiveAutoencoderTransformer(2, **NARROW), X),
    "sparse": (skae.SparseAutoencoderTransformer(4, n_active=2, **BRIEF), X),
    "jumprelu": (skae.SparseAutoencoderTransformer(4, penalty="jumprelu", **BRIEF), X),
    "variational": (skae.VariationalAutoencoderTransformer(2, **NARROW), FRAME),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, **NARROW), X),
    "binary": (skae.BinaryAutoencoderTransformer(4, **NARROW), X),
    "imputer": (AutoencoderImputer(skae.AutoencoderTransformer(2, **NARROW)), GAPS),
    "outliers": (
        AutoencoderOutlierDetector(
            skae.AutoencoderTransformer(2, **NARROW), n_estimators=2, n_refits=0, random_state=0
        ),
        X,
    ),
}


def rows_and_outputs(model, rows):
    """Return five rows, and what a model makes of them, as arrays of numbers."""
    first = rows[:5]
    if not hasattr(model, "transform"):
        return first, model.score_samples(first)
    found = model.transform(first)
    return first, np.asarray(found, dtype=float)


def main():
    """Fit the models, and write files and outputs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name, (model, rows) in MODELS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows)
        skae.save(model, FOLDER / f"{name}.skae")
        outputs[name] = rows_and_outputs(model, rows)[1]
    np.savez_compressed(FOLDER / "outputs.npz", **outputs)


if __name__ == "__main__":
    main()

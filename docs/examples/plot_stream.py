"""
=====================
A stream that changes
=====================

``partial_fit`` on rows that keep coming, beside scikit-learn's ``IncrementalPCA``: how much of each batch is
explained before it is learnt, and what is said where the stream changes.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import IncrementalPCA

import skae

random = np.random.default_rng(0)
before, after = random.standard_normal((2, 3, 10))


def batch(weights, shift=0.0):
    """Return 500 rows: sines of three hidden numbers."""
    rows = np.sin(random.uniform(-2, 2, (500, 3)) @ weights) + 0.1 * random.standard_normal((500, 10))
    rows[:, 4] += shift
    return rows


# %%
# After 120 batches the relations between the columns are others, and column 4 lies higher. What is seen of
# columns one by one is warned of, once.
models = {"partial_fit": skae.AutoencoderTransformer(3, random_state=0), "IncrementalPCA": IncrementalPCA(3)}
explained = {name: [] for name in models}
for number in range(300):
    rows = batch(before) if number < 120 else batch(after, shift=1.5)
    for name, model in models.items():
        if number:
            left = ((rows - model.inverse_transform(model.transform(rows))) ** 2).sum()
            explained[name].append(1 - left / ((rows - rows.mean(axis=0)) ** 2).sum())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", skae.DriftWarning)
            model.partial_fit(rows)
        for warning in caught:
            print(f"Batch {number}: {warning.message}")

# %%
# The autoencoder learns more, and learns anew; IncrementalPCA is the PCA of all rows so far.
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, curve in explained.items():
    axis.plot(range(1, len(curve) + 1), curve, label=name)
axis.axvline(120, color="0.7", lw=1)
axis.set(xlabel="Batch of 500 rows", ylabel="Variance explained\nbefore it is learnt", ylim=(-0.5, 1))
axis.legend(loc="lower right")
plt.show()

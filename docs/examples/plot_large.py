"""
========================================
Rows that are read from a file in blocks
========================================

200,000 rows lie in a Parquet file. They are learnt from without ever being in memory together, and their
codes are written to another file.
"""

# %%
# The rows: curved functions of two hidden numbers, with noise, written as ten row groups.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow
import pyarrow.parquet

from skae import AutoencoderTransformer
from skae.data import ParquetRows, transform_to

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "rows.parquet"
random = np.random.default_rng(0)
weights = random.standard_normal((2, 12))
names = [f"x{j}" for j in range(12)]
schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
hidden = []
with pyarrow.parquet.ParquetWriter(file, schema, use_dictionary=False) as writer:
    for _ in range(10):
        hidden.append(random.uniform(-2, 2, (20_000, 2)))
        part = np.sin(hidden[-1] @ weights) + 0.1 * random.standard_normal((20_000, 12))
        writer.write_table(pyarrow.table(list(part.T.astype(np.float32)), schema=schema))

# %%
# `ParquetRows` stands for them. `max_bytes` is what training holds of the rows, here a fifth of them;
# without it, 256 MiB are held, and these few rows would be read as a whole.
rows = ParquetRows(file, max_bytes=2**21)
print(f"{rows.shape} in {len(rows.lengths)} row groups, {4 * np.prod(rows.shape) / 2**20:.0f} MiB as float32")
model = AutoencoderTransformer(2, max_iter=3, random_state=0).fit(rows)
print(f"Variance explained: {model.validation_score_:.3f}, by PCA {model.pca_score_:.3f}")

# %%
# Codes go to a file, too, which appears once all of it is written.
codes = np.load(transform_to(model, rows, Path(folder.name) / "codes.npy"), mmap_mode="r")
print(f"Codes: {codes.shape}, {codes.dtype}")

# %%
# Two codes hold what two hidden numbers were: colours vary smoothly. Every 20th row is drawn.
figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
hidden = np.concatenate(hidden)[::20]
for axis, number in zip(axes, hidden.T, strict=True):
    drawn = axis.scatter(*codes[::20].T, c=number, s=2, cmap="viridis")
    axis.set_xlabel("Code 1")
axes[0].set_ylabel("Code 2")
axes[0].set_title("First hidden number")
axes[1].set_title("Second hidden number")
figure.colorbar(drawn, ax=axes)
plt.show()

# %%
del codes
folder.cleanup()

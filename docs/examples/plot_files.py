"""
===============================
A model file for anybody to use
===============================

A fitted autoencoder in one file that holds no code, and its encoder in a process that has neither torch nor
scikit-learn.
"""

# %%
# Eight numbers for each image of a digit. The file is smaller than a pickle, and loading it runs nothing that
# is in it.
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import skae

X = load_digits().data
model = skae.AutoencoderTransformer(8, max_iter=20, random_state=0).fit(X)

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "digits.skae"
skae.save(model, path)
print(f"file: {path.stat().st_size:,} bytes, pickle: {len(pickle.dumps(model)):,} bytes")
print("equal codes:", np.array_equal(skae.load(path).transform(X), model.transform(X)))

# %%
# Damage is noticed, whoever caused it.
data = bytearray(path.read_bytes())
data[len(data) // 2] ^= 1
damaged = Path(folder.name) / "damaged.skae"
damaged.write_bytes(data)
try:
    skae.load(damaged)
except skae.FileError as error:
    print(str(error).replace(folder.name, "..."))

# %%
# :func:`skae.numpy.encoder` reads the same file with numpy alone. The process below is a new one, as on a
# server; it says which of the large packages it has imported.
np.save(Path(folder.name) / "rows.npy", X[:3])
program = """
import sys
import numpy as np
import skae.numpy

encoder = skae.numpy.encoder("digits.skae")
np.save("codes.npy", encoder.transform(np.load("rows.npy")))
print("imported:", [name for name in ("torch", "sklearn", "scipy") if name in sys.modules])
"""
done = subprocess.run(
    [sys.executable, "-c", program], cwd=folder.name, check=True, capture_output=True, text=True
)
print(done.stdout.strip())
codes = np.load(Path(folder.name) / "codes.npy")
print("largest difference:", f"{np.abs(codes - model.transform(X[:3])).max():.0e}")

# %%
# Other architectures, text and categories, and whole Pipelines go to other languages as models of ONNX: see
# :doc:`/guide/deployment`. Which format needs how much trust is in :doc:`/guide/saving`.
folder.cleanup()

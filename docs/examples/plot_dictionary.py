"""
======================
A dictionary of digits
======================

Each picture as a sum of eight atoms out of a hundred, and which pictures use an atom most.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skae import SparseAutoencoderTransformer

X = load_digits().data
model = SparseAutoencoderTransformer(100, n_active=8, random_state=0).fit(X)
print(f"{model.n_active_:.1f} of 100 atoms are active in a row, {len(model.dead_components_)} in none")
print(f"variance explained {model.score(X):.3f}, with codes by matching pursuit ", end="")
print(f"{model.set_params(inference='omp').score(X):.3f}")
model.set_params(inference="encoder")

# %%
# The forty atoms that are used most:
order = model.activation_frequency_.argsort()[::-1]
figure, axes = plt.subplots(4, 10, figsize=(9, 3.8), layout="constrained")
for axis, component in zip(axes.flat, order, strict=False):
    atom = model.components_[component]
    limit = abs(atom).max()
    axis.imshow(atom.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# Four atoms, each with the digits that excite it most:
figure, axes = plt.subplots(4, 9, figsize=(8, 3.8), layout="constrained")
for line, component in zip(axes, order[10:14], strict=True):
    atom = model.components_[component]
    limit = abs(atom).max()
    line[0].imshow(atom.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for axis, row in zip(line[1:], model.top_activating(X, component, n=8), strict=False):
        axis.imshow(X[row].reshape(8, 8), cmap="gray_r")
    for axis in line:
        axis.set(xticks=[], yticks=[])
plt.show()

"""
======================
A dictionary of digits
======================

Each image as a sum of eight atoms out of a hundred, and the images that use an atom most.
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
# Four atoms, each with the digits whose codes of it are largest:
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

# %%
# "l1" has a price: it makes codes sparse by making them small, and so images pale. `debias=True` refits the
# sizes of the active codes; "jumprelu" and "gated" do not shrink them in the first place.
figure, axes = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained", sharex=True, sharey=True)
for axis, (penalty, alpha, debias) in zip(
    axes,
    [("l1", 0.3, False), ("l1", 0.3, True), ("jumprelu", 0.2, False), ("gated", 0.6, False)],
    strict=True,
):
    shrunk = SparseAutoencoderTransformer(100, penalty=penalty, alpha=alpha, debias=debias, random_state=0)
    X_back = shrunk.fit(X).reconstruct(X)
    centred, centred_back = X - X.mean(axis=0), X_back - X.mean(axis=0)
    slope = (centred * centred_back).sum() / (centred**2).sum()
    axis.hexbin(centred.ravel(), centred_back.ravel(), gridsize=40, bins="log", cmap="cividis")
    axis.axline((0, 0), slope=1, color="black", linewidth=0.8, linestyle="--")
    axis.axline((0, 0), slope=slope, color="tab:red")
    name = f"{penalty}, debiased" if debias else penalty
    axis.set(title=f"{name}: slope {slope:.2f}", xlabel="Pixel about its mean")
axes[0].set_ylabel("Reconstruction")
plt.show()

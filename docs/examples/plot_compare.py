"""
==========================
Which reducer is the best?
==========================

It depends on the purpose of the codes. `compare_reducers` measures reducers on rows that they were not fitted
on: how much of a row is reconstructed, whether neighbours stay neighbours, what can be predicted from the
codes, and the costs.
"""

# %%
# Eight components for each image of a digit, by four reducers. KernelPCA learns an inverse with
# ``fit_inverse_transform=True``; Isomap has none, and is measured in all other respects.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import Isomap
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.compare import ComparisonDisplay, compare_reducers

X, y = load_digits(return_X_y=True)
reducers = {
    "PCA": PCA(8),
    "KernelPCA": KernelPCA(8, kernel="rbf", gamma=1e-3, alpha=0.01, fit_inverse_transform=True),
    "Isomap": Isomap(n_components=8, n_neighbors=20),
    "autoencoder": AutoencoderTransformer(8, max_iter=40, random_state=0),
}
table = compare_reducers(reducers, X, y, cv=4, downstream=("linear", "neighbors"), random_state=0)

# %%
# Means over four splits. ``downstream`` is the accuracy of a logistic regression on the codes,
# ``downstream_neighbors`` that of the ten nearest neighbours. Standard deviations over the splits are in
# columns such as ``variance_explained_std``.
measures = ["variance_explained", "trustworthiness", "continuity", "downstream", "downstream_neighbors"]
table[[*measures, "fit_seconds"]].round(3)

# %%
# The same as a plot: dots are means, whiskers a standard deviation over splits, and a diamond is the best
# of its panel. Where whiskers overlap much, it may be the best by chance.
figure, ax = plt.subplots(figsize=(11, 4.6), layout="constrained")
ComparisonDisplay.from_comparison(table, ax=ax)
plt.show()

# %%
# No reducer is the best in all panels. The autoencoder keeps most of an image, and neighbours. PCA keeps
# neighbours nearly as well, in a hundredth of the time or less. Isomap follows the manifolds on which digits
# lie, which suits classifiers best.
#
# For reducers that need columns in the same units there is ``preprocessing=``, which is fitted on the
# training rows of each split; all reducers are measured in its units. A `Pipeline` with a scaler inside is
# measured in the units of X, as a whole.
X, y = load_wine(return_X_y=True)
sizes = [PCA(1), PCA(2), PCA(4), PCA(8)]
by_size = compare_reducers(sizes, X, y, downstream="linear", preprocessing=StandardScaler(), random_state=0)
by_size[["n_components", "variance_explained", "downstream", "downstream_std"]].round(3)

# %%
# Eight components reconstruct much more of a wine than four, but do not predict its class better: the
# standard deviation over splits is larger than the difference.
figure, ax = plt.subplots(figsize=(8, 2.2), layout="constrained")
ComparisonDisplay.from_comparison(by_size, ["variance_explained", "trustworthiness", "downstream"], ax=ax)
plt.show()

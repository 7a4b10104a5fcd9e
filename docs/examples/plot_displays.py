"""
=========================
Inspecting an autoencoder
=========================

Eight plots of fits on the digits: how training went, how images are reconstructed, where rows lie in the
code, and what each component means. Displays follow scikit-learn's convention: ``from_estimator`` draws,
and returns an object that keeps the axes.
"""

# %%
# Without ``ax=``, a display makes a figure of its own, which notebooks show at the end of a cell and
# ``display.figure_.savefig("name.png")`` writes to a file. Here all axes are pyplot's.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, SparseAutoencoderTransformer
from skae.inspection import (
    DictionaryDisplay,
    ExplainedVarianceDisplay,
    FeatureErrorDisplay,
    LatentFeatureDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    TrainingCurveDisplay,
)

digits = load_digits(as_frame=True)
X, y = digits.data, digits.target
model = AutoencoderTransformer(8, random_state=0).fit(X)

# %%
# Did training go well, and was it worthwhile? Epoch 0 is PCA.
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
TrainingCurveDisplay.from_estimator(model, ax=ax)
plt.show()

# %%
# How are digits reconstructed from eight numbers?
figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# Where do digits lie? Two components of the eight, coloured by class; all of them together separate the
# classes better than any two.
figure, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
LatentSpaceDisplay.from_estimator(model, X, y, components=(0, 1), ax=ax)
plt.show()

# %%
# What does a component mean? Each line varies one of them, the others stay at their medians.
figure, axes = plt.subplots(4, 1, figsize=(7, 6), layout="constrained")
for component, ax in enumerate(axes):
    LatentTraversalDisplay.from_estimator(model, X, component=component, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# The other way round: which pixels change which component? `latent_feature_importances` returns these
# numbers without a plot.
figure, ax = plt.subplots(figsize=(11, 3.6), layout="constrained")
LatentFeatureDisplay.from_estimator(model, X, method="gradient", random_state=0, ax=ax)
plt.show()

# %%
# Which pixels are reconstructed badly, and what is unusual about one row? Pixels at the edge hardly vary, and
# so count little in the squared error; as shares of their own variance their errors are large.
odd = X.copy()
odd.iloc[0, 28] = 16.0
figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
FeatureErrorDisplay.from_estimator(model, odd, row=0, max_features=20, ax=ax)
plt.show()

# %%
# Which atoms are digits made of? A sparse autoencoder learns them; the numbers are those of the components.
sparse = SparseAutoencoderTransformer(100, n_active=8, random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(9.5, 4.3), layout="constrained")
DictionaryDisplay.from_estimator(sparse, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# How many components are enough? This needs ordered components, as with ``ordered=True``. Those of PCA are
# ordered anyway, and can be drawn by themselves, too.
ordered = AutoencoderTransformer(16, ordered=True, max_iter=60, random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ExplainedVarianceDisplay.from_estimator(ordered, share=0.8, ax=ax)
plt.show()

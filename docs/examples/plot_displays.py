"""
===========================
Looking into an autoencoder
===========================

Eight pictures of fits on the digits: how training went, what is left of a picture, where rows lie in the
code, and what each component is about. Displays follow scikit-learn's convention: ``from_estimator`` draws,
and the object that comes back keeps the axes.
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
# Did training go well, and was it worth while? Epoch 0 is PCA.
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
TrainingCurveDisplay.from_estimator(model, ax=ax)
plt.show()

# %%
# What is left of a digit after eight numbers?
figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# Where do digits lie? Two components of the eight, with a class each; all of them together part the
# classes better than any two.
figure, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
LatentSpaceDisplay.from_estimator(model, X, y, components=(0, 1), ax=ax)
plt.show()

# %%
# What does a component stand for? Each line moves one of them, the others stay at their medians.
figure, axes = plt.subplots(4, 1, figsize=(7, 6), layout="constrained")
for component, ax in enumerate(axes):
    LatentTraversalDisplay.from_estimator(model, X, component=component, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# The other way round: which pixels move which component? The numbers without a picture are
# those of `latent_feature_importances`.
figure, ax = plt.subplots(figsize=(11, 3.6), layout="constrained")
LatentFeatureDisplay.from_estimator(model, X, method="gradient", random_state=0, ax=ax)
plt.show()

# %%
# Which pixels come back badly, and what is odd about one row? Pixels at the edge hardly vary, and so weigh
# little in the squared error; as shares of their own variance they are lost.
odd = X.copy()
odd.iloc[0, 28] = 16.0
figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
FeatureErrorDisplay.from_estimator(model, odd, row=0, max_features=20, ax=ax)
plt.show()

# %%
# Of which pieces are digits made? A sparse autoencoder learns them; numbers are those of the components.
sparse = SparseAutoencoderTransformer(100, n_active=8, random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(9.5, 4.3), layout="constrained")
DictionaryDisplay.from_estimator(sparse, image_shape=(8, 8), ax=ax)
plt.show()

# %%
# How many components are enough? To tell, they need an order, which ``ordered=True`` gives them. PCA, which
# has one anyway, can be drawn by itself, too.
ordered = AutoencoderTransformer(16, ordered=True, max_iter=60, random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ExplainedVarianceDisplay.from_estimator(ordered, share=0.8, ax=ax)
plt.show()

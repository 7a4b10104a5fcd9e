"""
======================================
One fit for every number of components
======================================

An ordered autoencoder on the digits: how much each further component explains, and how few are enough.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.inspection import ExplainedVarianceDisplay, LatentSpaceDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, _, y_test = train_test_split(X, y, random_state=0)
model = AutoencoderTransformer(16, ordered=True, random_state=0).fit(X_train)

# %%
# Both curves are of held-out rows. The squares are fits of single sizes.
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ExplainedVarianceDisplay.from_estimator(model, share=0.8, ax=ax)
sizes = (2, 5, 8)
single = [AutoencoderTransformer(k, random_state=0).fit(X_train).validation_score_ for k in sizes]
ax.plot(sizes, single, "s", color="#D55E00", label="fits of one size")
ax.legend(loc="lower right")
plt.show()

# %%
# Two components, without another fit. They do not know the classes.
plane = model.truncated(2)
print(f"two components explain {plane.score(X_test):.2f} of new rows, all 16 {model.score(X_test):.2f}")
figure, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
LatentSpaceDisplay.from_estimator(plane, X_test, y_test, ax=ax)
plt.show()

# %%
# A share instead of a number, as with PCA.
enough = AutoencoderTransformer(0.8, random_state=0).fit(X_train)
print(f"{enough.n_components_} components explain {enough.score(X_test):.3f} of new rows")

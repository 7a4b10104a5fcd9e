"""
===============================
A map of digits, and new digits
===============================

Two components, and the image that each point of their plane decodes to.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import VariationalAutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = VariationalAutoencoderTransformer(2, random_state=0).fit(X_train)
print("information of each component about a row, in nats:", model.kl_per_component_.round(2))

# %%
# The likelihood of new rows (a lower bound), and that of probabilistic PCA (exact).
print(f"variational  at least {model.score_samples(X_test, n_importance=50).mean():.1f} nats")
print(f"PCA                   {PCA(2).fit(X_train).score_samples(X_test).mean():.1f} nats")

# %%
# Codes are approximately standard normal, so its quantiles cover them.
quantiles = norm.ppf(np.linspace(0.03, 0.97, 14))
grid = np.array([(x, y) for y in quantiles[::-1] for x in quantiles])
pictures = model.inverse_transform(grid).reshape(14, 14, 8, 8).transpose(0, 2, 1, 3).reshape(112, 112)
figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
axis.imshow(pictures, cmap="gray_r", vmin=0, vmax=16)
axis.set(xticks=[], yticks=[], xlabel="First component", ylabel="Second component")
plt.show()

# %%
# With more components, drawn digits look like digits.
wide = VariationalAutoencoderTransformer(12, random_state=0).fit(X_train)
figure, axes = plt.subplots(3, 10, figsize=(8, 2.6), layout="constrained")
for axis, image in zip(axes.flat, wide.sample(30, random_state=0, noise=False), strict=True):
    axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    axis.axis("off")
plt.show()

"""
================================
Codes with a chosen distribution
================================

An adversarial autoencoder gives its codes a chosen distribution.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AdversarialAutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
for axis, (title, settings) in zip(
    axes,
    {
        "free": {"alpha": 0.0},
        "normal": {"prior": "normal", "alpha": 3.0},
        "uniform": {"prior": "uniform", "alpha": 3.0},
        "mixture": {"prior": "mixture", "alpha": 3.0},
    }.items(),
    strict=True,
):
    model = AdversarialAutoencoderTransformer(2, random_state=0, **settings).fit(X_train)
    Z = model.transform(X_test)
    points = axis.scatter(*Z.T, c=y_test, cmap="tab10", s=8, vmin=-0.5, vmax=9.5)
    axis.set(title=f"{title}: explains {model.score(X_test):.2f}", xlabel="First component")
    axis.set_aspect("equal", adjustable="datalim")
axes[0].set_ylabel("Second component")
figure.colorbar(points, ax=axes, ticks=range(10), label="Digit")
plt.show()

# %%
# Draws from the prior, decoded:
model = AdversarialAutoencoderTransformer(8, max_iter=100, random_state=0).fit(X_train)
figure, axes = plt.subplots(3, 10, figsize=(8, 2.6), layout="constrained")
for axis, image in zip(axes.flat, model.sample(30, random_state=0, noise=False), strict=True):
    axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    axis.axis("off")
plt.show()

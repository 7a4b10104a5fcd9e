"""
=============================================
Digits in eight numbers, linear and nonlinear
=============================================

How much of an image of 64 pixels can be reconstructed from eight numbers? PCA keeps what lies along
eight straight directions. An autoencoder starts there and learns curved ones.
"""

# %%
# Both are fitted on three quarters of the digits. Pixels share one unit and need no scaling.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.metrics import variance_explained

X_train, X_test = train_test_split(load_digits().data, random_state=0)
pca = PCA(8).fit(X_train)
autoencoder = AutoencoderTransformer(8, random_state=0).fit(X_train)

# %%
# The share of the variance of the other quarter that is reconstructed:
print(f"PCA          {variance_explained(pca, X_test):.3f}")
print(f"autoencoder  {variance_explained(autoencoder, X_test):.3f}")

# %%
# The reconstructions, as images:
rows = {
    "digit": X_test,
    "PCA": pca.inverse_transform(pca.transform(X_test)),
    "autoencoder": autoencoder.reconstruct(X_test),
}
figure, axes = plt.subplots(3, 10, figsize=(9, 3.1), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()

# %%
# The epoch whose weights were kept is the best one on held-out rows. Epoch 0 is PCA.
figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
axis.plot(autoencoder.validation_scores_, label="autoencoder")
axis.axhline(autoencoder.pca_score_, color="0.5", linestyle="--", label="PCA")
axis.plot(autoencoder.best_iter_, autoencoder.validation_score_, "o", color="C3", label="kept")
axis.set(xlabel="epoch", ylabel="variance explained on held-out rows")
axis.legend()
plt.show()

"""
==============
Denoise digits
==============

An autoencoder trained to remove noise, compared with PCA, which does so by dropping components.
"""

# %%
# Noise with a standard deviation of half the range of a pixel. PCA gets the number of components that is best
# for it.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoderTransformer


def noise(X, random):
    return X + 8 * random.standard_normal(X.shape)


X_train, X_test = train_test_split(load_digits().data, random_state=0)
X_noisy = noise(X_test, np.random.default_rng(0))

model = DenoisingAutoencoderTransformer(32, corruption=noise, random_state=0).fit(X_train)


def pca_denoised(n_components):
    pca = PCA(n_components).fit(X_train)
    return pca.inverse_transform(pca.transform(X_noisy))


def error(X_back):
    return np.mean((X_back - X_test) ** 2)


best = min(range(2, 30), key=lambda k: error(pca_denoised(k)))
print(f"noisy                 {error(X_noisy):5.1f}")
print(f"PCA, {best} components     {error(pca_denoised(best)):5.1f}")
print(f"autoencoder           {error(model.denoise(X_noisy)):5.1f}")

# %%
rows = {
    "digit": X_test,
    "with noise": X_noisy,
    "PCA": pca_denoised(best),
    "autoencoder": model.denoise(X_noisy),
}
figure, axes = plt.subplots(4, 10, figsize=(9, 4.1), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()

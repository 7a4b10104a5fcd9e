"""
=================================
What a convolutional layer sees
=================================

A first layer of convolutions on digits: its filters, and where they respond.
"""

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.networks import Convolutional

X_train, X_test = train_test_split(load_digits().data, random_state=0)
network = Convolutional((8, 8), channels=(8, 32), kernel_size=3)
model = AutoencoderTransformer(8, network=network, random_state=0).fit(X_train)
print(f"variance explained {model.score(X_test):.3f}, on held-out rows by PCA {model.pca_score_:.3f}")

# %%
# Arrays of images, (n, channels, height, width), are accepted as well.
print(model.reconstruct(X_test.reshape(-1, 8, 8)).shape)

# %%
first = model.network_.encoder.convolutions[0]
image = torch.from_numpy((X_test[0] - model.mean_) / model.scale_).float().reshape(1, 1, 8, 8)
with torch.no_grad():
    responses = first(image)[0]
filters = first[0].weight[:, 0]
figure, axes = plt.subplots(2, 9, figsize=(9, 2.3), layout="constrained")
axes[0, 0].axis("off")
axes[1, 0].imshow(X_test[0].reshape(8, 8), cmap="gray_r")
axes[1, 0].set(xticks=[], yticks=[], xlabel="digit")
for (above, below), weight, response in zip(axes[:, 1:].T, filters, responses, strict=True):
    above.imshow(weight, cmap="RdBu", vmin=-filters.abs().max(), vmax=filters.abs().max())
    below.imshow(response, cmap="gray_r", vmin=0, vmax=responses.max())
    for axis in (above, below):
        axis.set(xticks=[], yticks=[])
axes[0, 1].set_ylabel("filter")
axes[1, 1].set_ylabel("response")
plt.show()

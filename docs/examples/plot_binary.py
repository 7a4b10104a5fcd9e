"""
=====================
Neighbours by 32 bits
=====================

Digits that differ in few bits: signs of principal components and learnt bits.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import BinaryAutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
pca = PCA(32, random_state=0).fit(X_train)
model = BinaryAutoencoderTransformer(32, max_iter=100, random_state=0).fit(X_train)


def neighbours(codes, base, n):
    """Find the nearest by Hamming distance, from eight bits a byte."""
    codes, base = (np.packbits(bits > 0, axis=1) for bits in (codes, base))
    distance = np.bitwise_count(codes[:, None] ^ base).sum(axis=2)
    return distance.argsort(axis=1, kind="stable")[:, :n]


coders = {"signs of PCA": pca.transform, "skae": model.transform}
found = {name: neighbours(code(X_test), code(X_train), 50) for name, code in coders.items()}
for name, places in found.items():
    share = (y_train[places] == y_test[:, None]).mean()
    print(f"{name:12}  of 50 neighbours, {share:.2f} are of the same digit")

# %%
queries = [3, 5, 11, 20, 26]
figure, axes = plt.subplots(5, 15, figsize=(10, 3.8), layout="constrained")
for line, query in zip(axes, queries, strict=True):
    images = [X_test[query], *(X_train[place] for name in coders for place in found[name][query][:7])]
    labels = [y_test[query], *(y_train[place] for name in coders for place in found[name][query][:7])]
    for axis, image, label in zip(line, images, labels, strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r" if label == y_test[query] else "Reds", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
axes[0, 0].set_title("digit", fontsize=9)
axes[0, 4].set_title("signs of PCA", fontsize=9)
axes[0, 11].set_title("skae", fontsize=9)
plt.show()

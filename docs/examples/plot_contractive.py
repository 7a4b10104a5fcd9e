"""
===================================
Codes that change little with noise
===================================

The weight of the contractive penalty, the variance that codes explain, and how much noise changes them.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import ContractiveAutoencoderTransformer

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
noise = 0.1 * np.random.default_rng(0).standard_normal(X_test.shape)

# %%
# On new rows, a moderate weight explains more, too: codes that do not follow noise do not learn it.
# Changes are relative to the variance of the codes, so that small codes have no advantage.
results = []
for alpha in (0.0, 0.03, 0.1, 0.3, 1.0):
    model = ContractiveAutoencoderTransformer(8, alpha=alpha, random_state=0).fit(X_train)
    Z = model.transform(X_test)
    moved = ((model.transform(X_test + noise) - Z) ** 2).sum() / ((Z - Z.mean(axis=0)) ** 2).sum()
    results.append((alpha, model.score(X_test), moved, model.contraction(X_test).mean()))
    print("alpha {:4}: explained {:.3f}, changed {:.4f}, norm of the Jacobian {:.3f}".format(*results[-1]))

# %%
figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
alphas, explained, moved, _ = zip(*results, strict=True)
axis.plot(explained, moved, "o-", color="tab:blue")
for alpha, x, y in zip(alphas, explained, moved, strict=True):
    axis.annotate(f"alpha {alpha:g}", (x, y), textcoords="offset points", xytext=(0, 7), ha="center")
axis.set(
    xlabel="Variance explained, test rows",
    ylabel="Change of codes by noise,\nshare of their variance",
)
axis.margins(x=0.2, y=0.15)
plt.show()

"""
==============================
Sequences of different lengths
==============================

Waves of different lengths, in four numbers each.
"""

# %%
# A sequence is a row of steps. Steps after its end are NaN.
import matplotlib.pyplot as plt
import numpy as np

from skae import AutoencoderTransformer
from skae.networks import Recurrent

random = np.random.default_rng(0)
n_rows, n_steps = 2000, 60
steps = np.linspace(0, 6, n_steps)
phase, speed, size = (random.uniform(low, high, (n_rows, 1)) for low, high in ((0, 6), (1, 3), (0.5, 1.5)))
X = size * np.sin(speed * steps + phase) + 0.1 * random.standard_normal((n_rows, n_steps))
length = random.integers(20, n_steps + 1, n_rows)
X[np.arange(n_steps) >= length[:, None]] = np.nan

# %%
model = AutoencoderTransformer(
    4, network=Recurrent(n_steps, hidden_size=48), learning_rate_init=0.005, max_iter=60, random_state=0
).fit(X[:1800])
print(f"variance explained {model.score(X[1800:]):.3f}, on held-out rows by PCA {model.pca_score_:.3f}")

# %%
# The decoder computes all steps; those after the end continue the wave.
figure, axes = plt.subplots(1, 4, figsize=(11, 2.6), sharey=True, layout="constrained")
back = model.reconstruct(X[1800:])
for axis, number in zip(axes, (0, 3, 8, 14), strict=True):
    axis.plot(X[1800 + number], color="tab:blue", label="sequence")
    axis.plot(back[number], "--", color="tab:orange", label="from its code")
    axis.axvline(length[1800 + number] - 1, color="gray", lw=0.8)
    axis.set_xlabel("Step")
axes[0].set_ylabel("Value")
axes[0].legend(fontsize=8)
plt.show()

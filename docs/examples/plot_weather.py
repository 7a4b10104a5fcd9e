"""
===================================
Australian weather in three numbers
===================================

17 measurements of a day's weather, 58,090 days, and a code of three numbers: a favourite of tutorials, whose
usual network explains less than the mean of each column does. How much of a day can three numbers keep, and
how much of the rain of the next day can be predicted from them? The two are different questions, and one
parameter, ``target_weight``, goes from the first to the second.
"""

# %%
# The table. Its file is read from ``$SKAE_DATA_HOME``, or downloaded once.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.metrics import variance_explained

X, y = fetch_weather_aus(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)

# %%
# Four reducers to three numbers. Two of them know whether it rained on the next day: partial least squares,
# and the autoencoder with a ``target_weight``, whose codes are trained to suit a logistic regression, too.
reducers = {
    "PCA": PCA(3),
    "PLS": PLSRegression(3),
    "autoencoder": AutoencoderTransformer(3, random_state=0),
    "autoencoder, target": AutoencoderTransformer(3, target_weight=0.3, random_state=0),
}


def auc(Z_train, Z_test):
    """Return how well a logistic regression on codes predicts rain."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z_train, y_train)
    return roc_auc_score(y_test, model.predict_proba(Z_test)[:, 1])


pipes, keeps, predicts = {}, {}, {}
for name, reducer in reducers.items():
    pipe = pipes[name] = make_pipeline(StandardScaler(), reducer).fit(X_train, y_train)
    keeps[name] = variance_explained(pipe, X_test)
    predicts[name] = auc(pipe.transform(X_train), pipe.transform(X_test))
    print(f"{name:20} variance explained {keeps[name]:.3f}   ROC AUC of rain {predicts[name]:.3f}")
everything = auc(X_train, X_test)
print(f"all 17 columns: ROC AUC of rain {everything:.3f}")

# %%
# Without a target, the codes keep far more of a day than three components of PCA, and a *linear* model makes
# less of them: components of PCA are linear in the measurements, and rain tomorrow nearly is, too. With the
# target, a small part of what is kept is given up, and the codes predict rain about as well as all columns.
colours = dict(zip(reducers, ("0.3", "#009E73", "#0072B2", "#D55E00"), strict=True))
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.axhline(everything, color="0.6", linestyle=":")
axis.annotate("all 17 columns", (0.5, everything), xytext=(5, 3), textcoords="offset points", color="0.4")
for name, colour in colours.items():
    axis.plot(keeps[name], predicts[name], "o", color=colour, markersize=8)
    place = {"xytext": (8, -3), "textcoords": "offset points", "va": "top"}
    axis.annotate(name, (keeps[name], predicts[name]), color=colour, **place)
axis.set(xlabel="variance explained", ylabel="ROC AUC of a logistic regression", xlim=(0.5, 1))
axis.margins(y=0.15)
plt.show()

# %%
# The codes of days that were not trained on, the first two of the three numbers. As for PCA, they are
# uncorrelated and in the order of what they explain; their directions and signs are as near to those of PCA
# as can be. The autoencoder without a target sorts days into stripes, which suit the reconstruction, but no
# straight line parts rain from no rain in all of them. With a target, days before rain lie on one side.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for axis, name in zip(axes, (name for name in pipes if name != "PLS"), strict=True):
    codes = pipes[name].transform(X_test)[:4000]
    for value, label, colour in ((0, "no", "#0072B2"), (1, "yes", "#D55E00")):
        chosen = codes[y_test[:4000] == value]
        axis.plot(*chosen[:, :2].T, ".", markersize=3, alpha=0.5, color=colour, label=label)
    # Without the most distant hundredth of the days.
    limits = np.percentile(codes[:, :2], [0.5, 99.5], axis=0).T
    axis.set(title=name, xlabel="component 0", ylabel="component 1", xlim=limits[0], ylim=limits[1])
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, title="rain tomorrow", markerscale=4, loc="outside right upper")
plt.show()

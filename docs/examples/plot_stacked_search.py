"""
=======================================
Search a grid of autoencoders in one go
=======================================

Size and weight decay of an autoencoder, and how strongly the classifier of its codes is regularised. The
networks of all candidates and folds are trained together, and classifiers of the same codes share one.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer
from skae.selection import StackedGridSearchCV

X, y = load_digits(return_X_y=True)
pipe = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("codes", AutoencoderTransformer(max_iter=30, random_state=0)),
        ("digit", LogisticRegression(max_iter=2000)),
    ]
)
search = StackedGridSearchCV(
    pipe,
    {
        "codes__n_components": [4, 8, 16],
        "codes__weight_decay": [0.01, 0.1, 1.0],
        "digit__C": [0.1, 10.0],
    },
    cv=3,
).fit(X, y)
print(search.best_params_, f"{search.best_score_:.3f}")

# %%
results = pd.DataFrame(search.cv_results_)
figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True, layout="constrained")
for axes, (strength, part) in zip(panels, results.groupby("param_digit__C"), strict=True):
    table = part.pivot(
        index="param_codes__n_components", columns="param_codes__weight_decay", values="mean_test_score"
    )
    table.plot(ax=axes, marker="o", legend=axes is panels[-1])
    axes.set(
        title=f"C = {strength:g}", xlabel="n_components", ylabel="accuracy, three folds", xticks=[4, 8, 16]
    )
panels[-1].legend(title="weight_decay")
plt.show()

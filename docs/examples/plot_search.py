"""
===============================================
Choose the number of components and the penalty
===============================================

The size of the code and its sparsity penalty, chosen by the accuracy of a classifier on the codes.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import SparseAutoencoderTransformer

X, y = load_digits(return_X_y=True)
pipe = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("codes", SparseAutoencoderTransformer(max_iter=30, random_state=0)),
        ("digit", LogisticRegression(max_iter=2000)),
    ]
)
search = GridSearchCV(
    pipe,
    {"codes__n_components": [8, 16, 64, 128], "codes__penalty": ["l1", "kl", "topk"]},
    cv=3,
).fit(X, y)
print(search.best_params_, f"{search.best_score_:.3f}")

# %%
results = pd.DataFrame(search.cv_results_)
table = results.pivot(
    index="param_codes__n_components", columns="param_codes__penalty", values="mean_test_score"
)
axes = table.plot(marker="o", figsize=(6, 3.8), logx=True)
axes.set(xlabel="n_components", ylabel="accuracy, three folds", xticks=[8, 16, 64, 128])
axes.set_xticklabels([8, 16, 64, 128])
axes.legend(title="penalty")
axes.figure.set_layout_engine("constrained")
plt.show()

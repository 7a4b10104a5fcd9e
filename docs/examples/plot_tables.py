"""
=============================================
A table with missing values, text and numbers
=============================================

Only 39 % of the rows of weatherAUS are complete, and five of its columns are not numbers. Tutorials
drop all of that. Here the table is used as it is read from the file.
"""

# %%
# 145,460 days, and what is missing: much of it by station, since some lack an instrument.
import matplotlib.pyplot as plt
import numpy as np

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus

X = fetch_weather_aus(as_frame=True, complete_rows=False, columns="all").data.drop(columns="Date")
train, test = X.iloc[::7], X.iloc[3::29]
text = [name for name in X if X[name].dtype.kind != "f"]
print(f"{len(X)} rows, {X.notna().all(axis=1).mean():.0%} complete; columns of text: {text}")

figure, axis = plt.subplots(figsize=(8, 5.5), layout="constrained")
gaps = X.drop(columns="Location").isna().groupby(X["Location"]).mean()
gaps = gaps.loc[gaps.mean(axis=1).sort_values().index]
image = axis.imshow(gaps.T, aspect="auto", cmap="cividis")
axis.set_yticks(range(gaps.shape[1]), gaps.columns, fontsize=8)
axis.set_xticks([])
axis.set_xlabel("49 stations, by share of missing cells")
figure.colorbar(image, label="share of missing cells")
plt.show()

# %%
# No imputer, no encoder, no scaler: numbers are standardised inside, categories become columns
# inside, and missing cells count nowhere.
model = AutoencoderTransformer(8, max_iter=60, random_state=0).fit(train)
Z = model.transform(test)
print(f"codes {Z.shape}, without missing values: {np.isfinite(Z).all()}")

# %%
# `inverse_transform` returns a table like the original, with its types and categories.
back = model.reconstruct(test)
back.iloc[:4, :8].round(1)

# %%
# How well each column is reconstructed, as a share of its variance; for categories, the share that is right,
# compared with always taking the most frequent category.
kept = {}
for name in test:
    there = test[name].notna()
    if name in text:
        usual = (test[name] == train[name].mode()[0])[there].mean()
        kept[name] = ((back[name] == test[name])[there].mean(), usual)
    else:
        missed = ((back[name] - test[name])[there] ** 2).mean()
        kept[name] = (1 - missed / test[name].var(), 0.0)
order = sorted(kept, key=lambda name: kept[name][0])
figure, axis = plt.subplots(figsize=(7, 5.5), layout="constrained")
axis.barh(order, [kept[name][0] for name in order], color="#0072b2", label="kept by 8 components")
axis.barh(order, [kept[name][1] for name in order], color="0.75", label="most frequent category")
axis.set_xlabel("share of the variance (numbers) or of the rows (categories)")
axis.legend(loc="lower right")
plt.show()

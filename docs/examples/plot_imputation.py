"""
=======================================
Impute missing values, with uncertainty
=======================================

Cells of weatherAUS are hidden and imputed: by the mean, by chained regressions, and by an
autoencoder that was trained to predict hidden cells. Several draws show how uncertain an
imputed value is.
"""

# %%
# 21,000 days with their own missing values, and 5,000 others in which a tenth of the cells are hidden.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from skae.datasets import fetch_weather_aus
from skae.tasks import AutoencoderImputer

X = fetch_weather_aus(as_frame=True, complete_rows=False, columns="all").data.drop(columns="Date")
numbers = [name for name in X if X[name].dtype.kind == "f" and name != "RainToday"]
train, test = X.iloc[::7], X.iloc[3::29]
random = np.random.default_rng(0)
hidden = (random.random((len(test), len(numbers))) < 0.1) & test[numbers].notna().to_numpy()
gaps = test.copy()
gaps[numbers] = gaps[numbers].mask(hidden)

# %%
# The autoencoder also reads the station and the directions of the wind, which the others cannot.
imputer = AutoencoderImputer(random_state=0).fit(train)
regressions = IterativeImputer(random_state=0).fit(train[numbers])
filled = {
    "mean": SimpleImputer().fit(train[numbers]).transform(gaps[numbers]),
    "IterativeImputer": regressions.transform(gaps[numbers]),
    "AutoencoderImputer": imputer.transform(gaps)[numbers].to_numpy(),
}
truth, deviation = test[numbers].to_numpy(), train[numbers].std().to_numpy()
missed = {
    name: np.where(hidden, ((table - truth) / deviation) ** 2, np.nan) for name, table in filled.items()
}
for name, errors in missed.items():
    print(f"{name:20} R2 on hidden cells {1 - np.nansum(errors) / np.nansum(missed['mean']):.3f}")

figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
order = np.nanmean(missed["AutoencoderImputer"], axis=0).argsort()
for (name, errors), colour, size in zip(
    missed.items(), ("0.85", "#e69f00", "#0072b2"), (0.8, 0.6, 0.35), strict=True
):
    lengths = np.sqrt(np.nanmean(errors, axis=0))[order]
    axis.barh([numbers[j] for j in order], lengths, height=size, color=colour, label=name)
axis.set_xlabel("root mean squared error on hidden cells, in the column's standard deviations")
axis.legend()
plt.show()

# %%
# How uncertain is an imputed value? There are thirty draws for each; the middle nine tenths of them should
# contain the true value nine times in ten.
tables = imputer.sample_imputations(gaps, 30, random_state=0)
draws = np.stack([table[numbers].to_numpy() for table in tables])
low, high = np.quantile(draws, [0.05, 0.95], axis=0)
print(f"intervals cover {((low <= truth) & (truth <= high))[hidden].mean():.0%} of the hidden values")

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for axis, name, unit in zip(axes, ("Pressure3pm", "Sunshine"), ("hPa", "hours"), strict=True):
    column = numbers.index(name)
    rows = np.flatnonzero(hidden[:, column])[:40]
    rows = rows[truth[rows, column].argsort()]
    place = np.arange(len(rows))
    spread = {"color": "#0072b2", "lw": 3, "alpha": 0.35, "label": "90 % of the draws"}
    axis.vlines(place, low[rows, column], high[rows, column], **spread)
    values = filled["AutoencoderImputer"][rows, column]
    axis.plot(place, values, "o", ms=3, color="#0072b2", label="imputed")
    axis.plot(place, truth[rows, column], "x", ms=4, color="k", label="true value")
    axis.set(title=name, xlabel="days, by true value", ylabel=unit)
    axis.set_xticks([])
axes[0].legend()
plt.show()

"""
===================================
Find unusual days, and explain them
===================================

A detector learns how the measurements of a day depend on each other, and finds days on which they do not fit
together: faulty sensors, mixed-up columns, rare weather. For each day it says which column is off, and by
how much, in its own units.
"""

# %%
# On every tenth day a sensor is off: one measurement is wrong by a standard deviation and a half, towards
# the mean, so that by itself it is usual.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.tasks import AutoencoderOutlierDetector

X = fetch_weather_aus(as_frame=True).data.drop(columns="RainToday")
train, test = X.iloc[::10], X.iloc[5::20].copy()
random = np.random.default_rng(0)
wrong = random.choice(len(test), len(test) // 10, replace=False)
sensors = [X.columns.get_loc(name) for name in X if name != "Rainfall"]
columns = random.choice(sensors, len(wrong))
for row, column in zip(wrong, columns, strict=True):
    step = 1.5 * X.iloc[:, column].std()
    step *= 1 if test.iloc[row, column] < X.iloc[:, column].mean() else -1
    test.iloc[row, column] += step
is_odd = np.isin(np.arange(len(test)), wrong)

# %%
# The training days are taken as they are: unusual ones among them are left out in a second round.
inside = AutoencoderTransformer(8, scaling="standard", max_iter=60)
detector = AutoencoderOutlierDetector(inside, n_estimators=2, max_samples="all", random_state=0).fit(train)
forest = IsolationForest(random_state=0).fit(train)
figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
for name, model, colour in (
    ("autoencoders", detector, "#0072b2"),
    ("isolation forest", forest, "#e69f00"),
):
    scores = model.score_samples(test)
    RocCurveDisplay.from_predictions(~is_odd, scores, name=name, ax=axis, curve_kwargs={"color": colour})
axis.set_title("days with one sensor off")
plt.show()

# %%
# Why is a day unusual? The value minus what the others predict, in standard deviations of that error.
p = detector.p_values(test)
why = detector.feature_contributions(test, units="deviations")
odd = np.flatnonzero(is_odd)
found = odd[p[odd].argsort(kind="stable")[:8]]
figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
limit = np.abs(why.iloc[found]).max().max()
image = axis.imshow(why.iloc[found], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
off_by_row = dict(zip(wrong, columns, strict=True))
axis.plot([off_by_row[row] for row in found], range(len(found)), "ks", ms=14, mfc="none", label="sensor off")
axis.set_xticks(range(why.shape[1]), why.columns, rotation=60, ha="right", fontsize=8)
axis.set_yticks(range(len(found)), [f"p = {p[row]:.4f}" for row in found])
axis.legend(loc="lower left", bbox_to_anchor=(0, 1))
figure.colorbar(image, label="standard deviations")
plt.show()

# %%
# The same in the units of the columns:
units = detector.feature_contributions(test)
for row in found[:4]:
    name = why.columns[off_by_row[row]]
    error = units.iloc[row][name]
    side = "above" if error > 0 else "below"
    print(f"{name} is {test.iloc[row][name]:.1f}, {abs(error):.1f} {side} what the others predict")

# %%
# p-values are valid for any model: of usual days, at most a share p has p-values of at most p.
levels = np.linspace(0, 1, 101)
figure, axis = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
for chosen, colour, name in ((~is_odd, "0.4", "usual days"), (is_odd, "#0072b2", "sensor off")):
    axis.plot(levels, [(p[chosen] <= level).mean() for level in levels], color=colour, label=name)
axis.plot([0, 1], [0, 1], "k:", lw=1)
axis.set(xlabel="level", ylabel="share of days with p at most that")
axis.legend()
plt.show()

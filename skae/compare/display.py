"""Plot of a comparison: one panel for each measure, one row for each reducer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from skae._typing import Panels
from skae.compare._measures import Measure, is_downstream, measures_among
from skae.inspection._drawing import BLUE, ORANGE, Display, as_text, inside, several_axes, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["ComparisonDisplay"]

_MOST_ACROSS = 4
_LONGEST_NAME = 32
# Shares below this are marked at the edge: a reducer far below the mean would squeeze all others.
_LOWEST_SHARE = -0.25


class ComparisonDisplay(Display):
    """Dots and whiskers of a comparison: one panel for each measure, one row for each reducer.

    Dots are means over splits, whiskers one standard deviation to either side. The best of each panel is
    an orange diamond. Seconds and bytes have logarithmic axes. A triangle at the left edge is a share far
    below zero, with its value.

    Parameters
    ----------
    table : DataFrame
        Returned by `compare_reducers`; its rows may be selected and sorted.
    measures : sequence of str, default=None
        Columns to draw. None draws all that were measured.

    Attributes
    ----------
    ax_ : Axes
        The first panel.
    axes_ : ndarray of Axes of shape (n_lines, n_columns)
        All panels; those without a measure are hidden.
    figure_ : Figure
        Figure of the plot.
    best_ : dict
        The best reducers by measure, as a list of names.

    See Also
    --------
    compare_reducers : Makes the table.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.compare import ComparisonDisplay, compare_reducers
    >>> X, y = load_iris(return_X_y=True)
    >>> table = compare_reducers([PCA(1), PCA(2)], X, y, random_state=0)
    >>> display = ComparisonDisplay.from_comparison(table, ["variance_explained", "downstream"])
    >>> display.best_["downstream"]
    ['PCA(2)']
    """

    def __init__(self, table: DataFrame, measures: Sequence[str] | None = None) -> None:
        self.table = table
        self.measures = measures

    @classmethod
    def from_comparison(
        cls, table: DataFrame, measures: Sequence[str] | None = None, *, ax: Panels = None, **kwargs: object
    ) -> Self:
        """Draw a comparison.

        Parameters
        ----------
        table : DataFrame
            Returned by `compare_reducers`.
        measures : sequence of str, default=None
            Columns to draw. None draws all that were measured.
        ax : Axes or array of Axes, default=None
            One, whose area is divided, or as many as there are measures; None makes a figure.
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : ComparisonDisplay
            Display of the plot.

        Raises
        ------
        TypeError
            If the table was not returned by `compare_reducers`.
        ValueError
            If there is no such measure, or nothing to draw.
        """
        return cls(table, measures).plot(ax, **kwargs)

    def plot(self, ax: Panels = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            One, whose area is divided, or as many as there are measures; None makes a figure.
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.

        Raises
        ------
        TypeError
            If the table was not returned by `compare_reducers`.
        ValueError
            If there is no such measure, or nothing to draw.
        """
        drawn = self._chosen()
        n_lines = 1 if isinstance(ax, (np.ndarray, list, tuple)) else -(-len(drawn) // _MOST_ACROSS)
        across = -(-len(drawn) // n_lines)
        names = shortened([str(name) for name in self.table.index], _LONGEST_NAME)
        size = (
            0.5 + 0.075 * max(map(len, names)) + 2.3 * across,
            0.5 + n_lines * (1.0 + 0.27 * len(names)),
        )
        self.axes_ = several_axes(ax, type(self).__name__, (n_lines, across), size)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        self.best_ = {}
        for index, axis in enumerate(self.axes_.flat):
            if index >= len(drawn):
                axis.set_visible(False)
                continue
            self._panel(axis, drawn[index], kwargs)
            # Names stand once a line.
            axis.set_yticks(range(len(names)), names if index % across == 0 else [""] * len(names))
        self._explain(own_figure=ax is None)
        return self

    # ------------------------------------------------------------------ inside

    def _chosen(self) -> list[str]:
        """Return the columns to draw, checked."""
        there = list(self._measures())
        if not there:
            raise TypeError(
                f"table must be a DataFrame that compare_reducers gave; got {type(self.table).__name__} "
                "without any of its measures."
            )
        if self.measures is None:
            there = [name for name in there if np.isfinite(self._values(name)).any()]
            if len(self.table) == 0 or not there:
                raise ValueError("table must hold at least one measured value; got none.")
            return there
        wanted = [self.measures] if isinstance(self.measures, str) else list(self.measures)
        unknown = [name for name in wanted if name not in there]
        if unknown or not wanted:
            raise ValueError(
                f"measures must be names out of {there}; got {unknown[0] if unknown else wanted!r}."
            )
        return wanted

    def _measures(self) -> dict[str, Measure]:
        """Return the measures in the table by column, none if it is no table."""
        models = getattr(self.table, "attrs", {}).get("downstream", [])
        return measures_among(getattr(self.table, "columns", ()), models)

    def _values(self, column: str) -> np.ndarray:
        return np.asarray(self.table[column], dtype=float)

    def _panel(self, axis: Axes, name: str, style: dict[str, object]) -> None:
        """Draw one measure."""
        measure = self._measures()[name]
        values = self._values(name)
        has_spread = f"{name}_std" in self.table.columns
        spread = np.nan_to_num(self._values(f"{name}_std")) if has_spread else np.zeros(len(values))
        if not measure.is_cost and (values < _LOWEST_SHARE).any():
            values, spread = self._mark_edge(axis, values, spread)
        there = np.isfinite(values)
        is_best = np.zeros(len(values), dtype=bool)
        if there.any():
            best = np.nanmin(values) if measure.is_cost else np.nanmax(values)
            is_best = values == best
            self._limit(axis, values[there], spread[there], measure.is_cost)
        self.best_[name] = [str(label) for label in self.table.index[is_best]]
        rows = np.arange(len(values))
        for marked, marker, colour, label in (
            (there & ~is_best, "o", BLUE, "mean over splits"),
            (is_best, "D", ORANGE, "the best"),
        ):
            if marked.any():
                default = {"fmt": marker, "color": colour, "markersize": 5.5, "capsize": 2.5, "label": label}
                # Without spread there is no whisker, and no caps that look like one.
                whisker = spread[marked] if spread.any() else None
                axis.errorbar(values[marked], rows[marked], xerr=whisker, **{**default, **style})
        for row in rows[np.isnan(self._values(name))]:
            self._write(axis, 0.03, row, "none")
        self._dress(axis, name)

    def _mark_edge(self, axis: Axes, values: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mark shares far to the left, and remove them from the others."""
        for row in np.flatnonzero(values < _LOWEST_SHARE).tolist():
            across = axis.get_yaxis_transform()
            axis.plot([0.03], [row], "<", color=BLUE, markersize=5.5, transform=across, clip_on=False)
            self._write(axis, 0.08, row, f"{values[row]:.3g}")
        kept = values >= _LOWEST_SHARE
        return np.where(kept, values, np.nan), np.where(kept, spread, 0.0)

    def _write(self, axis: Axes, left: float, row: int, text: str) -> None:
        """Write a word in the row of a reducer."""
        # On white: the line of the row would strike it out.
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        across = axis.get_yaxis_transform()
        axis.text(left, row, text, va="center", fontsize="small", transform=across, bbox=box)

    def _limit(self, axis: Axes, values: np.ndarray, spread: np.ndarray, is_cost: bool) -> None:
        """Set the scale and the ends of the axis."""
        if is_cost and values.min() > 0:
            axis.set_xscale("log")
            # Whiskers that would reach zero run out of the panel.
            low = np.where(spread < 0.9 * values, values - spread, values)
            ends = inside(np.log10(low.min()), np.log10((values + spread).max()), 0.1)
            # Less than a decade would have one labelled tick, or none.
            room = max(0.0, 1.1 - (ends[1] - ends[0])) / 2
            axis.set_xlim(10 ** (ends[0] - room), 10 ** (ends[1] + room))
            # Those between powers of ten would be written one over the other.
            axis.xaxis.set_minor_formatter("")
        else:
            axis.set_xlim(*inside((values - spread).min(), (values + spread).max(), 0.1))
            axis.locator_params(axis="x", nbins=4)

    def _dress(self, axis: Axes, name: str) -> None:
        measure = self._measures()[name]
        scoring = getattr(self.table, "attrs", {}).get("scoring")
        title = f"{measure.label}, {scoring}" if is_downstream(name) and scoring else measure.label
        axis.set_title(as_text(title), fontsize="medium")
        axis.set_xlabel(
            f"{measure.unit}, less is better" if measure.is_cost else "more is better", fontsize="small"
        )
        axis.set_ylim(len(self.table) - 0.4, -0.6)
        axis.grid(axis="y", color="0.9", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(axis="both", labelsize="small")
        axis.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)

    def _explain(self, own_figure: bool) -> None:
        """Write what marks the best and what whiskers are, where there is room for it."""
        if not own_figure:
            return
        from matplotlib.lines import Line2D

        n_splits = getattr(self.table, "attrs", {}).get("n_splits")
        over = "" if n_splits is None else f" over {n_splits} splits"
        mean = "held-out rows of one split" if n_splits == 1 else f"mean{over}, and standard deviation"
        handles = [
            Line2D([], [], marker="o", color=BLUE, linestyle="" if n_splits == 1 else "-", label=mean),
            Line2D([], [], marker="D", color=ORANGE, linestyle="", label="the best"),
        ]
        self.figure_.legend(
            handles=handles, loc="outside lower right", ncols=2, fontsize="small", frameon=False
        )

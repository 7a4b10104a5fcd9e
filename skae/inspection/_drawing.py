"""What displays share of matplotlib, which is imported only when something is drawn.

Figures are made without pyplot: nothing stays open behind the user's back, and many displays in a loop need
no closing. A display shows its figure at the end of a cell of a notebook by itself.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._extras import import_extra
from skae._typing import Panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

# Okabe and Ito's palette, which people with any kind of colour vision tell apart; yellow, the palest, last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
BLUE, ORANGE, GREEN = PALETTE[:3]
GREY = "0.55"
MARKERS = ("o", "^", "s")
# One picture of a mosaic and what parts it from the next, in parts of its longer side.
GAP = 0.12
_LONGEST_NAME = 24


class Display:
    """Base class of all displays: keeps the figure, and shows it in notebooks.

    Attributes
    ----------
    figure_ : matplotlib Figure
        What was drawn on; ``figure_.savefig("name.png")`` writes it to a file.
    """

    figure_: Figure | SubFigure

    def _repr_png_(self) -> bytes | None:
        """Return the figure for notebooks, unless pyplot shows it."""
        figure = getattr(self, "figure_", None)
        if figure is None or figure.canvas.manager is not None:
            return None
        written = io.BytesIO()
        figure.savefig(written, format="png", dpi=100)
        return written.getvalue()


def require_matplotlib(display: str) -> None:
    """Raise an error that says what to install if matplotlib is missing."""
    import_extra("matplotlib", "plot", display)


def new_figure(display: str, size: tuple[float, float]) -> Figure:
    """Return a figure that pyplot does not know."""
    require_matplotlib(display)
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def one_axes(
    ax: Axes | None, display: str, size: tuple[float, float] = (6.4, 4.2), projection: str | None = None
) -> Axes:
    """Return the axes passed, or those of a new figure."""
    if ax is None:
        return new_figure(display, size).add_subplot(projection=projection)
    require_matplotlib(display)
    if not hasattr(ax, "get_figure"):
        raise TypeError(f"ax must be an Axes of matplotlib or None; got {type(ax).__name__}.")
    return ax


def several_axes(
    ax: Panels, display: str, shape: tuple[int, int], size: tuple[float, float], **shared: Any
) -> np.ndarray:
    """Return axes (n_rows, n_columns): those passed, or new ones in the area of the one passed.

    Parameters
    ----------
    ax : Axes, array of Axes or None
        One is hidden, and its area divided.
    display : str
        Name of the display, for messages.
    shape : tuple of int
        Rows and columns.
    size : tuple of float
        Width and height of a new figure in inches.
    **shared : bool
        ``sharex`` and ``sharey``, for axes that are made.

    Returns
    -------
    axes : ndarray of Axes of shape (n_rows, n_columns)
    """
    if ax is None:
        return new_figure(display, size).subplots(*shape, squeeze=False, **shared)
    require_matplotlib(display)
    if isinstance(ax, (np.ndarray, list, tuple)):
        given = np.asarray(ax, dtype=object)
        if given.size != shape[0] * shape[1]:
            raise ValueError(
                f"{display} draws {shape[0] * shape[1]} panels here, but ax holds {given.size} axes. Pass "
                "one, whose area is divided, or as many as there are panels."
            )
        return given.reshape(shape)
    ax = one_axes(ax, display)
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    if spec is not None:
        return spec.subgridspec(*shape).subplots(squeeze=False, **shared)
    place = ax.get_position()
    grid = ax.figure.add_gridspec(*shape, left=place.x0, right=place.x1, bottom=place.y0, top=place.y1)
    return grid.subplots(squeeze=False, **shared)


def as_text(name: object) -> str:
    """Return a name with dollars escaped, between which matplotlib would read a formula."""
    return str(name).replace("$", r"\$")


def in_legend(name: str) -> str:
    """Return a label that a legend shows: those that begin with "_" are left out."""
    return f" {name}" if name.startswith("_") else name


def shortened(names: Sequence[str], longest: int = _LONGEST_NAME) -> list[str]:
    """Shorten long names in the middle, so that both ends still distinguish them.

    Parameters
    ----------
    names : sequence of str
        Of columns, rows or components.
    longest : int
        Most characters of one.

    Returns
    -------
    names : list of str
        To be drawn by matplotlib.
    """
    ahead = longest // 2
    behind = longest - ahead - 1
    return [as_text(name if len(name) <= longest else f"{name[:ahead]}…{name[-behind:]}") for name in names]


def colours(n: int) -> list[str]:
    """Return colours for that many classes: the palette, repeated; markers distinguish repeats."""
    return [PALETTE[index % len(PALETTE)] for index in range(n)]


def markers(n: int) -> list[str]:
    """Return a marker for each class, another one each time that the palette repeats."""
    return [MARKERS[index // len(PALETTE) % len(MARKERS)] for index in range(n)]


def map_with_gaps(name: str | Colormap) -> Colormap:
    """Return a colour map that shows missing cells in grey."""
    import matplotlib

    return matplotlib.colormaps.get_cmap(name).with_extremes(bad="0.85")


def mosaic(pictures: np.ndarray, n_columns: int, part: float = GAP) -> tuple[np.ndarray, float, float]:
    """Arrange images in a grid, NaN between them.

    Parameters
    ----------
    pictures : ndarray of shape (n, height, width) or (n, height, width, 3)
        Line by line.
    n_columns : int
        Pictures of a line.
    part : float
        Width of what lies between, in parts of a picture's longer side.

    Returns
    -------
    mosaic : ndarray
        One large picture.
    step_down, step_across : float
        From one picture to the next, in pixels.
    """
    n, height, width = pictures.shape[:3]
    gap = max(1, round(part * max(height, width)))
    n_lines = -(-n // n_columns)
    down, across = height + gap, width + gap
    shape = (n_lines * down - gap, n_columns * across - gap, *pictures.shape[3:])
    large = np.full(shape, np.nan)
    for index, picture in enumerate(pictures):
        top, left = index // n_columns * down, index % n_columns * across
        large[top : top + height, left : left + width] = picture
    return large, down, across


def show_picture(ax: Axes, large: np.ndarray, top: float = 0.0, **kwargs: Any) -> AxesImage:
    """Draw an image with its upper edge at a height; pixels are squares, and NaN is white."""
    height, width = large.shape[:2]
    extent = (-0.5, width - 0.5, top + height - 0.5, top - 0.5)
    if large.ndim == 3:
        # Photographs: colours are there already, and only gaps are to be seen through.
        seen = ~np.isnan(large).any(axis=2, keepdims=True)
        large = np.concatenate([np.nan_to_num(large), seen], axis=2)
        kwargs = {"aspect": "equal"}
    else:
        kwargs = {"aspect": "equal", "interpolation": "nearest", **kwargs}
    return ax.imshow(large, extent=extent, **kwargs)


def no_frame(ax: Axes) -> None:
    """Remove the frame and the ticks of axes that hold images; tick labels stay."""
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def inside(low: float, high: float, margin: float = 0.05) -> tuple[float, float]:
    """Return limits of an axis with a margin."""
    room = margin * (high - low) or 0.5
    return low - room, high + room


def shown(n_shown: int, n: int, what: str) -> str:
    """Return a text that says how many of them are shown."""
    return f"{n:,} {what}" if n_shown >= n else f"{n_shown:,} of {n:,} {what}"


def set_title(ax: Axes, title: str) -> None:
    """Write a title that is shrunk rather than cut."""
    ax.set_title(as_text(title), fontsize="medium", wrap=True)

"""Tables as users have them, and the numeric rows inside that networks see. Knows no estimator."""

from skae.tables.columns import Arrangement, Columns, Scaling
from skae.tables.directions import Directions
from skae.tables.labels import Labels, read_labels
from skae.tables.mixed import MixedColumns
from skae.tables.reading import Options, Validation, read, read_target, read_training

__all__ = [
    "Arrangement",
    "Columns",
    "Directions",
    "Labels",
    "MixedColumns",
    "Options",
    "Scaling",
    "Validation",
    "read",
    "read_labels",
    "read_target",
    "read_training",
]

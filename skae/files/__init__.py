"""Save fitted estimators to files that hold no code, and load them again.

A file is plain data (`skae._files`): the parameters, specifications and fitted attributes of an estimator,
and its arrays. Which classes may be made of it stands in our code, never in the file.
"""

from skae._files import FileError
from skae.files.loading import load
from skae.files.saving import save

__all__ = ["FileError", "load", "save"]

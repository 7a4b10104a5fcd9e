"""Optional packages, imported where they are needed, with a sentence when they are missing."""

import importlib
from types import ModuleType


def import_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Parameters
    ----------
    module : str
        The name to import.
    extra : str
        The extra of skae that installs it.
    purpose : str
        What it is needed for, to begin the error message with.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{purpose} needs {module.split(".")[0]}, which is not installed: pip install "skae[{extra}]"'
        ) from error

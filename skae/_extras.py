"""Optional packages, imported where they are needed, with a sentence when they are missing."""

import importlib
from types import ModuleType

# Earlier ones run code that schemas and Parquet files hold (CVE-2023-47248).
_LEAST_VERSIONS = {"pyarrow": 15}


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
        If the package is not installed, or is a version that is not safe, with the command that installs it.
    """
    package = module.split(".")[0]
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{purpose} needs {package}, which is not installed: pip install "skae[{extra}]"'
        ) from error
    least = _LEAST_VERSIONS.get(package)
    version = importlib.import_module(package).__version__ if least else ""
    if least and int(version.split(".")[0]) < least:
        raise ImportError(
            f"{purpose} needs {package} {least} or later, and {version} is installed, which runs code that "
            f'files hold: pip install --upgrade "skae[{extra}]"'
        )
    return found

"""One page of HTML about a fitted autoencoder and some rows."""

from skae.inspection._report.page import report

__all__ = ["report"]

"""What notebooks show of a fitted estimator beside what scikit-learn shows: the figures that matter.

scikit-learn has no public way into its table of fitted attributes. Its private one is overridden here and
nowhere else; a version that does not call it shows its own table alone.
"""

import html
from typing import Any

_ROW = '<tr class="default"><td class="param">{}</td><td class="value">{}</td></tr>'
_TABLE = '<div class="estimator-table"><table class="parameters-table"><tbody>{}</tbody></table></div>'


class NotebookFigures:
    """Put figures above the fitted attributes in the HTML representation, also within a Pipeline."""

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        attributes = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        plain = attributes._html_repr
        attributes._html_repr = lambda: as_table(figures(self)) + plain()
        return attributes


def figures(estimator: Any) -> dict[str, str]:
    """Give the figures of a fitted estimator as texts, by what they are."""
    found = {}
    if estimator.validation_score_ is not None:
        found["Variance explained, held-out rows"] = f"{estimator.validation_score_:.4f}"
        found["PCA with as many components"] = f"{estimator.pca_score_:.4f}"
    order = ", ordered" if estimator.network_.n_components is not None else ""
    found["Components"] = f"{estimator.n_components_}{order}"
    found["Epochs"] = f"{estimator.n_iter_}, the weights of epoch {estimator.best_iter_} kept"
    if hasattr(estimator, "fit_time_"):
        found["Time"] = f"{estimator.fit_time_:.2g} s"
    return found


def as_table(rows: dict[str, str]) -> str:
    """Give rows as a table of HTML, in the classes of scikit-learn's style sheet."""
    return _TABLE.format("".join(_ROW.format(html.escape(name), html.escape(rows[name])) for name in rows))

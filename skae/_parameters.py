"""Parameters as declared fields: a parameter is written once, with its type and its default.

Knows nothing of scikit-learn, torch or any estimator.
"""

import dataclasses
from typing import Any, dataclass_transform

from skae._docstrings import inherit_sections


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
class Declared:
    """Turn the annotated attributes of every subclass into constructor parameters.

    A subclass only annotates what it adds, ``alpha: float = 1e-3``; the parameters
    of its bases, and the lines of their docstrings that describe them, are
    inherited. Parameters are keyword-only unless declared with
    ``dataclasses.field(default=..., kw_only=False)``. Annotate what is no parameter
    with ``ClassVar``.

    An inherited hook does this rather than a decorator, because a decorator that
    is forgotten on a subclass drops its parameters without a word.
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(eq=False, repr=False, kw_only=True)(cls)
        inherit_sections(cls, [field.name for field in dataclasses.fields(cls)])  # type: ignore[arg-type]


class Specification(Declared):
    """A description of a part that is built later, once the shape of the data is known.

    Specifications hold parameters and nothing else, so that they can be cloned,
    printed, searched over (``network__dropout`` in a grid) and pickled. The methods
    are those that scikit-learn looks for in a nested object.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this specification.

        Parameters
        ----------
        deep : bool, default=True
            Present for scikit-learn; a specification holds no other objects.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: object) -> "Specification":
        """Set parameters of this specification.

        Parameters
        ----------
        **params : dict
            Parameter names mapped to their new values.

        Returns
        -------
        self : Specification
            The specification itself.

        Raises
        ------
        ValueError
            If a name is not a parameter.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}. "
                    f"Valid parameters are: {sorted(known)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({changed})"

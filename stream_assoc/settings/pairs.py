"""Settings of one section that only make sense together."""

from pydantic import BaseModel


def require_pair(section: BaseModel, name: str, first: str, second: str) -> None:
    """Raise `ValueError` if one of two settings of the section ``name`` is given without the other."""
    for one, other in ((first, second), (second, first)):
        if getattr(section, one) is not None and getattr(section, other) is None:
            raise ValueError(f"{name}.{one} needs {name}.{other}")

"""What every section of the settings has in common, and the error of one that is wrong."""

from pydantic import BaseModel, ConfigDict

from stream_assoc.exceptions import FatalError


class ConfigurationError(FatalError):
    """A setting is unknown, ill-formed or contradicts another.

    The message has one line for each setting at fault. It names the setting,
    where its value came from and what a valid value looks like, and never holds
    a secret.
    """


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    # Without hide_input_in_errors a pydantic error would print the value it refused, a password for instance.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, validate_default=True
    )


def require_pair(section: BaseModel, name: str, first: str, second: str) -> None:
    """Raise `ValueError` if one of two settings of the section ``name`` is given without the other."""
    for one, other in ((first, second), (second, first)):
        if getattr(section, one) is not None and getattr(section, other) is None:
            raise ValueError(f"{name}.{one} needs {name}.{other}")

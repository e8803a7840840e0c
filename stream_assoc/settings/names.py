"""The names of all settings, and the nearest to one that is not."""

import difflib
import functools
from collections.abc import Iterable
from typing import Any, Final, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stream_assoc.settings.settings import Settings

ENVIRONMENT_PREFIX: Final = "STREAM_ASSOC_"


@functools.cache
def fields() -> dict[str, FieldInfo]:
    """Return every setting by its dotted name, in the order of the sections."""
    named: dict[str, FieldInfo] = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)  # noqa: S101, PT018
        named |= {f"{section}.{name}": inner for name, inner in model.model_fields.items()}
    return named


def is_mapping(name: str) -> bool:
    """Tell whether a setting holds options of the user's own naming."""
    return get_origin(fields()[name].annotation) is dict


def is_secret(name: str) -> bool:
    """Tell whether a setting is a secret, or a URL that may hold one."""
    return "Secret" in repr(fields()[name].annotation) and not is_mapping(name)


def environment_name(name: str) -> str:
    """Return the environment variable of a setting.

    Examples
    --------
    >>> environment_name("kafka.group_id")
    'STREAM_ASSOC_KAFKA__GROUP_ID'
    """
    return ENVIRONMENT_PREFIX + name.upper().replace(".", "__")


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that a mistyped one is most likely to mean, if any comes near."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_names(values: dict[str, Any]) -> list[str]:
    """Return the dotted names in nested ``values`` that are no settings."""
    found = []
    for section, inner in values.items():
        if section not in Settings.model_fields:
            found += [f"{section}.{name}" for name in inner] if isinstance(inner, dict) and inner else [section]
        elif isinstance(inner, dict):
            found += [f"{section}.{name}" for name in inner if f"{section}.{name}" not in fields()]
    return found

"""The names of all settings, and the values that each takes, in words."""

import difflib
import functools
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from stream_assoc.settings.secrets import SecretUrl
from stream_assoc.settings.settings import Settings

ENVIRONMENT_PREFIX: Final = "STREAM_ASSOC_"

_NAMES: Final[dict[type, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path of a file",
    SecretStr: "secret text",
    SecretUrl: "URL",
}


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


def form_of(field: FieldInfo) -> str:
    """Return in words what values a setting takes, its bounds included."""
    form = _form_of_type(field.annotation)
    symbols = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    bounds = [
        f"{symbol} {getattr(limit, name)}"
        for limit in field.metadata
        for name, symbol in symbols
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([form, *bounds])


def _form_of_type(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in {types.UnionType, typing.Union}:
        return next(_form_of_type(member) for member in get_args(annotation) if member is not types.NoneType)
    if origin is Annotated:
        return _form_of_type(get_args(annotation)[0])
    if origin is tuple:
        return "list of text"
    if origin is dict:
        return "table"
    return _NAMES[typing.cast(type, annotation)]


def choices(field: FieldInfo) -> list[str]:
    """Return the texts a setting chooses from, none where it takes others too."""
    members = [field.annotation, *get_args(field.annotation)]
    return [str(choice) for member in members if get_origin(member) is Literal for choice in get_args(member)]

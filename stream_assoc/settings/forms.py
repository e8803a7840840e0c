"""What values a setting takes, in words."""

import types
import typing
from pathlib import Path
from typing import Annotated, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from stream_assoc.settings.secrets import SecretUrl

_NAMES: Final[dict[type, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path of a file",
    SecretStr: "secret text",
    SecretUrl: "URL",
}


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

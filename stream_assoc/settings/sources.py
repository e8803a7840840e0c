"""Where settings come from: overrides, the environment, a TOML file."""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from stream_assoc.exceptions import reason_of
from stream_assoc.settings.fields import (
    ENVIRONMENT_PREFIX,
    choices,
    environment_name,
    fields,
    form_of,
    is_mapping,
    is_secret,
    nearest,
    unknown_names,
)
from stream_assoc.settings.secrets import redacted
from stream_assoc.settings.section import ConfigurationError
from stream_assoc.settings.settings import Settings

FILE_VARIABLE: Final = "STREAM_ASSOC_CONFIG"
DEFAULT_FILE: Final = Path("stream-assoc.toml")
FILE_SUFFIX: Final = "_FILE"
"""A variable of this ending names the file that holds a secret, as Docker and Kubernetes mount them."""
TEST_PREFIX: Final = "STREAM_ASSOC_TEST_"
"""The test suite finds its servers through variables of this prefix."""


class Describe(Protocol):
    """Says where a setting's value came from."""

    def __call__(self, name: str) -> str:
        """Return the origin of the setting ``name``, for a message."""


class Layer(NamedTuple):
    """Nested values of one source, and how to name that source for a setting."""

    values: dict[str, Any]
    origin: Describe

    def holds(self, path: Sequence[Any]) -> bool:
        """Tell whether this layer gives the value at ``path``."""
        inner: Any = self.values
        for key in path:
            if not isinstance(inner, Mapping) or key not in inner:
                return False
            inner = inner[key]
        return True


class EnvironmentSource(EnvSettingsSource):
    """``STREAM_ASSOC_SECTION__NAME`` variables; a list is JSON or comma-separated words."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: str) -> object:
        """Return the value of a list or a dict; text that is neither is left for validation to refuse."""
        try:
            return json.loads(value)
        except ValueError:
            if is_dict(field) or value.lstrip().startswith(("[", "{")):
                return value
            return [word.strip() for word in value.split(",") if word.strip()]


def is_dict(field: FieldInfo | None) -> bool:
    """Tell whether a field, as an environment source sees it, holds a dict."""
    return field is None or getattr(field.annotation, "__origin__", None) is dict


def override_layer(overrides: Mapping[str, Any]) -> Layer:
    """Return the layer of dotted names given on the command line or by a caller.

    Raises
    ------
    ConfigurationError
        If a name is no setting.
    """
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        section, _, rest = name.partition(".")
        key, _, option = rest.partition(".")
        if f"{section}.{key}" not in fields() or (option and not is_mapping(f"{section}.{key}")):
            raise ConfigurationError(_unknown("the command line", name, name, fields()))
        inner = values.setdefault(section, {})
        if option:
            inner.setdefault(key, {})[option] = value
        else:
            inner[key] = value
    return Layer(values, lambda _: "the command line")


def environment_layer() -> Layer:
    """Return the layer of the process's environment, and of the files of secrets that it names.

    Raises
    ------
    ConfigurationError
        If a variable begins with ``STREAM_ASSOC_`` and is no setting, or if a
        secret cannot be read.
    """
    secret_files = {environment_name(name) + FILE_SUFFIX: name for name in fields() if is_secret(name)}
    valid = {environment_name(name) for name in fields()} | {FILE_VARIABLE} | secret_files.keys()
    mappings = tuple(f"{environment_name(name)}__" for name in fields() if is_mapping(name))
    ours = [name for name in sorted(os.environ) if name.upper().startswith(ENVIRONMENT_PREFIX)]
    unknown = [
        name for name in ours if name.upper() not in valid and not name.upper().startswith((*mappings, TEST_PREFIX))
    ]
    if unknown:
        raise ConfigurationError(
            "\n".join(_unknown("the environment", name, name.upper(), valid) for name in unknown)
        )
    values = EnvironmentSource(Settings)()
    named = {secret_files[name.upper()]: name for name in ours if name.upper() in secret_files and os.environ[name]}
    for name, variable in named.items():
        section, _, key = name.partition(".")
        # The environment source takes any variable below a section for a setting of it.
        values[section].pop(f"{key}{FILE_SUFFIX.lower()}")
        if key in values[section]:
            raise ConfigurationError(f"{environment_name(name)} and {variable} are both set; keep one of them")
        values[section][key] = _secret_in(variable)
    for section, inner in values.items():
        for name in inner:
            if is_mapping(f"{section}.{name}") and isinstance(inner[name], dict):
                inner[name] = {key.replace("_", "."): value for key, value in inner[name].items()}
    return Layer(values, lambda name: f"the environment variable {named.get(name, environment_name(name))}")


def _secret_in(variable: str) -> str:
    """Return the secret in the file that a variable names, without the line end most editors leave."""
    path = Path(os.environ[variable])
    try:
        secret = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{variable}: the secret in {path} cannot be read: {reason}") from None
    return secret.rstrip("\r\n")


def file_layer(config: Path | None) -> Layer:
    """Return the layer of the TOML file: the one asked for, or the default one where it exists.

    Raises
    ------
    ConfigurationError
        If a file that was asked for cannot be read, is no TOML, or holds a name that is no setting.
    """
    asked = config or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    path = asked or DEFAULT_FILE
    if not path.is_file():
        if asked is None:
            return Layer({}, lambda _: str(path))
        raise ConfigurationError(
            f"{path}: there is no such file; give --config or {FILE_VARIABLE} the path of a TOML file"
        )
    try:
        values = dict(TomlConfigSettingsSource(Settings, toml_file=path)())
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {reason_of(error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {reason_of(error)}") from error
    unknown = unknown_names(values)
    if unknown:
        raise ConfigurationError("\n".join(_unknown(str(path), name, name, fields()) for name in unknown))
    return Layer(values, lambda _: str(path))


def load_settings(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Gather the settings from every source.

    In order of precedence: ``overrides``, environment variables
    (``STREAM_ASSOC_KAFKA__GROUP_ID``), the TOML file, the defaults.

    Parameters
    ----------
    config : `pathlib.Path`, optional
        The TOML file. Without it the one that ``STREAM_ASSOC_CONFIG`` names,
        else ``./stream-assoc.toml`` where there is one.
    overrides : `dict` [`str`, `Any`], optional
        Values by dotted name, such as ``{"kafka.group_id": "night"}``.

    Raises
    ------
    ConfigurationError
        If a name is unknown, a value is not valid, or the file cannot be read.
        No secret is in the message.
    """
    layers = [override_layer(overrides or {}), environment_layer(), file_layer(config)]
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = _merge(merged, layer.values)
    try:
        return Settings(**merged)
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Raised outside the handler: the chained pydantic error would carry the refused values.
    raise ConfigurationError("\n".join(_complaints(details, layers)))


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _unknown(origin: str, name: str, compared: str, valid: Mapping[str, Any] | set[str]) -> str:
    guess = nearest(compared, valid)
    hint = f"; did you mean {guess}?" if guess else "; docs/configuration.md lists every setting"
    return f"{origin}: unknown setting {redacted(name)}{hint}"


def _complaints(details: Sequence[ErrorDetails], layers: Sequence[Layer]) -> list[str]:
    """Return one line for each setting at fault: a value refused by every type of a union is one fault."""
    by_path = {detail["loc"][:2]: detail for detail in reversed(details)}
    return [_complaint(path, detail, layers) for path, detail in reversed(by_path.items())]


def _complaint(path: tuple[int | str, ...], detail: ErrorDetails, layers: Sequence[Layer]) -> str:
    name = ".".join(map(str, path))
    reason = detail["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    reason = reason[:1].lower() + reason[1:]
    field = fields().get(name)
    if field is None:
        # What two sections contradict each other in names its settings itself.
        return f"{name}: {reason}" if name else reason
    origin = next((f" (from {layer.origin(name)})" for layer in layers if layer.holds(path)), "")
    options = choices(field) if detail["type"] == "literal_error" else []
    if options:
        reason = "no such choice"
    form = form_of(field).replace("`", "")
    refused = f"{name}{origin}: {_value(detail, field)}{reason}{_guess(detail, options)}"
    return f"{refused} Valid: {form}. {field.description}"


def _guess(detail: ErrorDetails, options: Sequence[str]) -> str:
    """Return the end of a sentence: the choice that a refused text is most likely to mean, if any comes near."""
    by_lower_case = {option.lower(): option for option in options}
    guess = nearest(str(detail["input"]).lower(), by_lower_case)
    return "." if guess is None else f"; did you mean {by_lower_case[guess]}?"


def _value(detail: ErrorDetails, field: FieldInfo) -> str:
    """Return the refused value for a message, unless it could hold a secret."""
    value = detail["input"]
    if "Secret" in repr(field.annotation) or not isinstance(value, str | int | float):
        return ""
    return f"{redacted(value)!r}: " if isinstance(value, str) else f"{value!r}: "

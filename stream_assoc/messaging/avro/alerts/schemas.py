"""Rubin's alert schemas by version, as the package ``lsst-alert-packet`` has them."""

import functools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.avro.wire import AvroSchema, KnownSchemas, rubin_schema_id
from stream_assoc.messaging.exceptions import AvroSchemaError

VERSIONS: Final = ("7.4", "8.0", "9.0", "10.0", "11.0", "11.1")
"""Those whose required fields DiaSource, DiaObject and DiaForcedSource can fill, the latest last."""

LATEST: Final = VERSIONS[-1]

_PACKAGE: Final = "lsst.alert.packet"

_TYPED: Final = ("type", "items", "fields")
"""What of a schema names types, and is no text."""


@functools.cache
def alert_schema(version: str = LATEST) -> AvroSchema:
    """Return the schema of an alert as one record; not to be modified.

    The package has a file for each record. Here each is put in where it is
    first named, so that a registry and any reader take the whole by itself.

    Parameters
    ----------
    version : `str`, optional
        One of `VERSIONS`.

    Raises
    ------
    AvroSchemaError
        If it is none of them, or the package has no such file.
    """
    major, minor = _numbers(version)
    namespace = f"lsst.v{major}_{minor}"
    schema: AvroSchema = _Files(_folder() / str(major) / str(minor), namespace).resolved(f"{namespace}.alert")
    return schema


def alert_schema_id(version: str = LATEST) -> int:
    """Return the id that Rubin gives a version, ``major * 100 + minor``.

    Raises
    ------
    AvroSchemaError
        If it is none of `VERSIONS`.
    """
    return rubin_schema_id(*_numbers(version))


def known_alert_schemas() -> KnownSchemas:
    """Return every version by the id that Rubin gives it."""
    return KnownSchemas({alert_schema_id(version): alert_schema(version) for version in VERSIONS})


def record_schemas(schema: AvroSchema) -> dict[str, AvroSchema]:
    """Return the records that an alert holds, by their names without the namespace."""
    found: dict[str, AvroSchema] = {}

    def collect(part: object) -> None:
        if isinstance(part, dict):
            if part.get("type") == "record":
                found[part["name"]] = part
            for inner in part.values():
                collect(inner)
        elif isinstance(part, list):
            for inner in part:
                collect(inner)

    collect(schema["fields"])
    return found


def _numbers(version: str) -> tuple[int, int]:
    if version not in VERSIONS:
        raise AvroSchemaError(
            f"there is no alert schema {version!r} that this version writes; choose one of {', '.join(VERSIONS)}"
        )
    major, minor = version.split(".")
    return int(major), int(minor)


def _folder() -> Path:
    # Imported it would load an HTTP client and lsst.resources, which schemas do not need.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise AvroSchemaError("lsst-alert-packet is not installed; reinstall stream_assoc")
    return Path(spec.submodule_search_locations[0]) / "schema"


class _Files:
    """The files of one version, each put in once."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self._seen: set[str] = set()

    def resolved(self, part: Any) -> Any:  # noqa: ANN401 - any piece of a schema
        """Return a piece of a schema with every record in the place where it is first named."""
        if isinstance(part, str) and part.startswith(f"{self._namespace}.") and part not in self._seen:
            self._seen.add(part)
            return self.resolved(self._read(self._folder / f"{part}.avsc"))
        if isinstance(part, dict):
            return {
                key: self.resolved(value) if key in {"type", "items", "fields"} else value
                for key, value in part.items()
            }
        if isinstance(part, list):
            return [self.resolved(one) for one in part]
        return part

    def _read(self, file: Path) -> AvroSchema:
        try:
            schema: AvroSchema = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AvroSchemaError(
                f"cannot read {file}: {reason_of(error)}; install the lsst-alert-packet of constraints.txt"
            ) from error
        return schema

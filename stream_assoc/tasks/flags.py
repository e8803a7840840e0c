"""Flags packed into the bits of an integer, and taken out again, by one YAML map.

A flag map is a YAML file of documents, one a table::

    tableName: DiaSource
    columns:
      - columnName: flags
        bitList:
          - name: base_PixelFlags_flag_edge
            bit: 2
            column: pixelFlags_edge

``name`` is the flag in the science pipelines' catalogue, ``bit`` its place, and
``column`` (optional) the boolean DiaSource column of the same meaning. The bits
of the packaged map are those of ``lsst.ap.association``, whose own files can be
read as well.
"""

import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.tasks.exceptions import FlagMapError

DEFAULT_FLAG_MAP: Final = "association-flag-map.yaml"
"""Name of the packaged map."""

_MAX_BIT: Final = 62
"""The last bit that a signed 64-bit column holds without changing sign."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name in the catalogue, its bit, and the DiaSource column it becomes, if any."""

    name: str
    bit: int
    column: str | None = None


def read_flag_map(path: str | Path | None = None, table_name: str = "DiaSource") -> dict[str, tuple[Flag, ...]]:
    """Read the flags of one table.

    Parameters
    ----------
    path : `str` or `pathlib.Path`, optional
        A flag map file; the packaged one by default.
    table_name : `str`
        Which of the tables in the file.

    Returns
    -------
    flags : `dict` [`str`, `tuple` [`Flag`, ...]]
        The flags of each packed column, in the order of the file.

    Raises
    ------
    FlagMapError
        If the file cannot be read or is no flag map, has no such table, or
        gives one bit or one name twice.
    """
    packaged = importlib.resources.files("stream_assoc.tasks") / DEFAULT_FLAG_MAP
    source = packaged if path is None else Path(path)
    try:
        documents = list(yaml.safe_load_all(source.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise FlagMapError(f"the flag map {source} cannot be read: {reason_of(error)}") from error
    for document in documents:
        if isinstance(document, dict) and document.get("tableName") == table_name:
            return {
                str(column["columnName"]): _flags_of(column, str(source)) for column in document.get("columns", ())
            }
    raise FlagMapError(f"the flag map {source} has no table {table_name!r}")


def pack(flags: Iterable[Flag], values: Mapping[str, BoolArray]) -> IntArray:
    """Return one integer a row, each flag in its bit.

    Parameters
    ----------
    flags : iterable of `Flag`
    values : mapping [`str`, `numpy.ndarray` [bool], shape (n,)]
        The columns of every flag, by name.

    Returns
    -------
    packed : `numpy.ndarray` [int64], shape (n,)
    """
    length = len(next(iter(values.values()))) if values else 0
    packed = np.zeros(length, np.int64)
    for flag in flags:
        packed |= values[flag.name].astype(np.int64) << flag.bit
    return packed


class UnpackApdbFlags:
    """Takes single flags out of packed integers, as the class of that name in ``lsst.ap.association``.

    Parameters
    ----------
    flag_map_file : `str` or `pathlib.Path`, optional
        The map the integers were packed by; the packaged one by default.
    table_name : `str`
        The table they come from.

    Raises
    ------
    FlagMapError
        If the map cannot be used.
    """

    def __init__(self, flag_map_file: str | Path | None = None, table_name: str = "DiaSource") -> None:
        self._flags = read_flag_map(flag_map_file, table_name)

    def unpack(self, input_flag_values: npt.ArrayLike, flag_name: str = "flags") -> npt.NDArray[np.void]:
        """Return every flag of packed integers.

        Parameters
        ----------
        input_flag_values : array-like of integers, shape (n,)
            Signed or unsigned.
        flag_name : `str`
            The packed column they come from.

        Returns
        -------
        flags : `numpy.ndarray`, structured, shape (n,)
            One boolean field a flag, in the order of the map.

        Raises
        ------
        FlagMapError
            If the map has no such column, or the values are not integers:
            floats would have lost bits.
        """
        flags = self._column(flag_name)
        values = np.asarray(input_flag_values)
        if values.dtype.kind not in "iu":
            raise FlagMapError(f"packed flags are integers, not {values.dtype}; a float loses bits above 2**53")
        unpacked = np.zeros(len(values), dtype=[(flag.name, np.bool_) for flag in flags])
        for flag in flags:
            unpacked[flag.name] = (values >> flag.bit) & 1
        return unpacked

    def flagExists(self, flagName: str, columnName: str = "flags") -> bool:
        """Tell whether a packed column holds a flag.

        Raises
        ------
        FlagMapError
            If the map has no such column. It is a `ValueError` as upstream's.
        """
        return any(flag.name == flagName for flag in self._column(columnName))

    def makeFlagBitMask(self, flagNames: Iterable[str], columnName: str = "flags") -> np.uint64:
        """Return the integer in which exactly these flags are set.

        Raises
        ------
        FlagMapError
            If the map has no such column, or a flag is not in it.
        """
        bits = {flag.name: flag.bit for flag in self._column(columnName)}
        unknown = [name for name in flagNames if name not in bits]
        if unknown:
            raise FlagMapError(f"the packed column {columnName!r} has no flag {', '.join(unknown)}")
        return np.uint64(sum(1 << bits[name] for name in set(flagNames)))

    def _column(self, name: str) -> tuple[Flag, ...]:
        if name not in self._flags:
            raise FlagMapError(f"the flag map has no column {name!r}, it has {', '.join(self._flags)}")
        return self._flags[name]


def _flags_of(column: dict[str, Any], source: str) -> tuple[Flag, ...]:
    flags = tuple(Flag(entry["name"], int(entry["bit"]), entry.get("column")) for entry in column.get("bitList", ()))
    for what, values in (("bit", [flag.bit for flag in flags]), ("name", [flag.name for flag in flags])):
        if len(set(values)) < len(values):
            raise FlagMapError(f"{source}: column {column['columnName']!r} gives a {what} twice")
    if any(not 0 <= flag.bit <= _MAX_BIT for flag in flags):
        raise FlagMapError(f"{source}: bits of column {column['columnName']!r} must be from 0 to {_MAX_BIT}")
    return flags

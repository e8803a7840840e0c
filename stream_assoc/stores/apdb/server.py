"""The settings of the server that holds an APDB, as it tells them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSetting:
    """A setting in force.

    Attributes
    ----------
    value : `str`
        In the setting's own unit.
    shown : `str`
        As the server writes it for a person.
    unit : `str` or `None`
        Such as ``8kB`` or ``ms``.
    choices : `tuple` [`str`, ...]
        Words that the server takes, for a setting that is one of some.
    """

    value: str
    shown: str
    unit: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApdbServer:
    """A PostgreSQL server and the APDB's tables on it, as far as its settings are concerned.

    Attributes
    ----------
    version : `int`
        Major version.
    is_local : `bool`
        Whether it runs on this machine, because it was reached over a Unix socket.
    is_standby : `bool`
        Whether it only repeats what another server does.
    settings : mapping
        Settings in force for the user of ``apdb.url``, by name.
    table_options : mapping
        Options of each table of the APDB, such as ``fillfactor``, by name.
    unlogged_tables : `tuple` [`str`, ...]
        Tables of the APDB that a crash empties.
    asynchronous_standbys : `tuple` [`str`, ...]
        Names of standbys that follow it, where a commit waits for none. Empty also for a user who may not see them.
    """

    version: int
    is_local: bool
    is_standby: bool
    settings: Mapping[str, ServerSetting]
    table_options: Mapping[str, Mapping[str, str]]
    unlogged_tables: tuple[str, ...]
    asynchronous_standbys: tuple[str, ...] = ()

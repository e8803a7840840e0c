"""How far a copy has come: one note in the table ``metadata`` of the keyspace that is copied to."""

import dataclasses
import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from stream_assoc.stores.apdb.cassandra.compatibility import COPY_KEY, METADATA, read_notes
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.copying import Key
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import new_names

_NOTE: Final = f"INSERT INTO {METADATA} (meta_part, name, value) VALUES (0, ?, ?) IF NOT EXISTS"
_CHANGE: Final = f"UPDATE {METADATA} SET value = ? WHERE meta_part = 0 AND name = ? IF value = ?"
_TAKE_BACK: Final = f"DELETE FROM {METADATA} WHERE meta_part = 0 AND name = ? IF value = ?"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, and how far it has come.

    Attributes
    ----------
    source : `str`
        Identity of the APDB that is copied.
    fingerprint : `str`
        What it was like when the copy began.
    timestamp : `int`
        Microseconds at which all rows are written, in whichever run.
    group_id : `str`
        The group that stands for all batches that are copied; it counts once the copy is whole.
    reached : `dict` [`str`, `list`]
        The key of the last row that is copied, by table; of a table that is copied none.
    is_whole : `bool`
        Whether all is copied and compared.
    """

    source: str
    fingerprint: str
    timestamp: int
    group_id: str
    reached: dict[str, list[Any] | None] = field(default_factory=dict)
    is_whole: bool = False

    @property
    def group(self) -> uuid.UUID:
        """The name of the group."""
        return uuid.UUID(self.group_id)

    def is_copied(self, table: str) -> bool:
        """Tell whether a table is copied to its end."""
        return table in self.reached and self.reached[table] is None

    def after(self, table: str) -> Key | None:
        """Return where a table is to be gone on with."""
        reached = self.reached.get(table)
        return None if reached is None else tuple(reached)

    def at(self, table: str, key: Key | None) -> "Copy":
        """Return the copy with a table copied up to a key, or to its end."""
        return dataclasses.replace(self, reached=self.reached | {table: None if key is None else list(key)})

    def whole(self) -> "Copy":
        """Return the copy once all is compared."""
        return dataclasses.replace(self, is_whole=True)

    def as_text(self) -> str:
        """Return the note."""
        return json.dumps(dataclasses.asdict(self))


class CopyNote:
    """The note of a keyspace, written by conditional writes alone: of two copies at once, one stops.

    Parameters
    ----------
    connection : `Connection`
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Copy | None:
        """Return the copy that has begun, if one has."""
        text = read_notes(self._connection).get(COPY_KEY)
        return None if text is None else Copy(**json.loads(text))

    def begin(self, copy: Copy) -> None:
        """Note a copy, and give the database another identity: daemons that run on it end before they store more.

        Raises
        ------
        ApdbSchemaError
            If another one has begun meanwhile.
        """
        before = read_notes(self._connection)
        changed = [(_CHANGE, (value, key, before[key])) for key, value in new_names().items()]
        if not self._connection.decide_together([*changed, (_NOTE, (COPY_KEY, copy.as_text()))]):
            raise _overtaken()

    def move(self, before: Copy, after: Copy) -> Copy:
        """Note how far a copy has come, and return it.

        Raises
        ------
        ApdbSchemaError
            If another process goes on with it.
        """
        if not self._connection.decide(_CHANGE, after.as_text(), COPY_KEY, before.as_text()):
            raise _overtaken()
        return after

    def take_back(self, copy: Copy) -> None:
        """Forget a copy that has written nothing."""
        self._connection.decide(_TAKE_BACK, COPY_KEY, copy.as_text())


def _overtaken() -> ApdbSchemaError:
    return ApdbSchemaError(
        "another process copies into this keyspace, or changes it by `stream-assoc apdb init`: let it end, then run "
        "this again"
    )

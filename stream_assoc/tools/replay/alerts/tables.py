"""Sources of alerts as one table: of any version of the schema, each column under one name and in one unit."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.times import utc_to_tai
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.alerts.layouts import Layout, Survey
from stream_assoc.tools.replay.alerts.packets import Packet
from stream_assoc.tools.transform.conversion import mjd_utc

_ROWS_OF_A_CHUNK: Final = 4096


class AlertTable:
    """Collects the sources of alerts of one survey.

    Cutouts, objects and forced sources are not kept, and a source that many
    histories repeat is kept once, so that a row takes some hundred bytes.

    Attributes
    ----------
    n_alerts : `int`
    survey : `Survey` or `None`
        Whose they are, once there is one.
    """

    def __init__(self) -> None:
        self.n_alerts = 0
        self.survey: Survey | None = None
        self._own = _Rows()
        self._history = _Rows()

    def add(self, packet: Packet) -> None:
        """Add the source of an alert, and those of its history if they were read.

        Raises
        ------
        DecodeError
            If it is another survey's.
        """
        survey = packet.layout.survey
        if self.survey is not None and self.survey is not survey:
            raise DecodeError(f"it is an alert of {survey.name}, those before were not", "incompatible_schema")
        self.survey = survey
        self.n_alerts += 1
        self._own.add(packet.layout, packet.record[survey.source])
        for row in packet.record.get(survey.history) or ():
            if row[survey.identifier] is not None:
                self._history.add(packet.layout, row)

    def table(self) -> pa.Table:
        """Return a row for each source, under the names ``record.field``.

        The sources that alerts were raised for come first, in their order:
        of two rows of one source the first is the alert's own.
        """
        parts = [*self._own.tables(), *self._history.distinct()]
        return pa.concat_tables(parts, promote_options="permissive")


class _Rows:
    """Rows in chunks of columns."""

    def __init__(self) -> None:
        self._layout: Layout | None = None
        self._pending: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []
        self._n_rows = self._n_distinct = 0

    def add(self, layout: Layout, row: dict[str, Any]) -> None:
        if layout is not self._layout or len(self._pending) == _ROWS_OF_A_CHUNK:
            self._close_chunk()
        self._layout = layout
        self._pending.append(row)
        if self._n_rows > 2 * self._n_distinct + 16 * _ROWS_OF_A_CHUNK:
            self.distinct()

    def tables(self) -> list[pa.Table]:
        self._close_chunk()
        return self._tables

    def distinct(self) -> list[pa.Table]:
        """Return each source once, as it was first met, and forget the others."""
        if not self.tables() or self._layout is None:
            return []
        survey = self._layout.survey
        rows = pa.concat_tables(self._tables, promote_options="permissive")
        ids = rows.column(f"{survey.source}.{survey.identifier}").to_numpy()
        _, first = np.unique(ids, return_index=True)
        self._tables = [rows.take(pa.array(np.sort(first))).combine_chunks()]
        self._n_rows = self._n_distinct = len(first)
        return self._tables

    def _close_chunk(self) -> None:
        if self._pending and self._layout is not None:
            self._tables.append(_columns(self._pending, self._layout))
            self._n_rows += len(self._pending)
            self._pending = []


def _columns(rows: list[dict[str, Any]], layout: Layout) -> pa.Table:
    renamed = layout.survey.renamed
    columns: dict[str, pa.Array] = {}
    for name, kind in layout.columns.items():
        values = pa.array([row.get(name) for row in rows], kind)
        if name in renamed and pa.types.is_timestamp(kind):
            values = pa.array(utc_to_tai(np.asarray(mjd_utc(values))), mask=np.asarray(values.is_null()))
        columns[f"{layout.survey.source}.{renamed.get(name, name)}"] = values
    return pa.table(columns)

"""Files of batches, read as timed messages."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.times import EARLIEST_MJD, is_plausible_mjd
from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.avro.schemas import BATCH, load_schema
from stream_assoc.messaging.avro.wire import AvroSchema
from stream_assoc.tools.replay.alerts.layouts import survey_of
from stream_assoc.tools.replay.alerts.packets import CONTAINER_MAGIC, FRAME_MAGIC, GZIP_MAGIC
from stream_assoc.tools.replay.alerts.reading import AlertOptions, alert_batches
from stream_assoc.tools.replay.alerts.sources import AlertTopic, Piece, pieces_of, pieces_of_capture
from stream_assoc.tools.replay.capture import AVRO_DAMAGE, is_capture, read_capture
from stream_assoc.tools.replay.exceptions import ReplayError, one_line
from stream_assoc.tools.replay.messages import BatchMessages, TimedMessage, sky_key
from stream_assoc.tools.transform.batches import Order, batches
from stream_assoc.tools.transform.mapping import Mapping
from stream_assoc.tools.transform.report import TableReport
from stream_assoc.tools.transform.selection import column_paths

_WIDER: Final = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",)}
"""What the reader may make of a number, by the Avro specification."""


def misfits(written: Any, wanted: Any) -> list[str]:  # noqa: ANN401 - any Avro schema
    """Return what of a schema cannot be read as another one.

    Parameters
    ----------
    written, wanted : Avro schemas, as `json.loads` gives them
        The writer's and the reader's.

    Returns
    -------
    misfits : `list` [`str`]
        One sentence a field, fields of records in arrays as ``array.field``;
        empty if all fits.
    """
    return list(_misfits(written, wanted, ""))


def _misfits(written: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    kinds = (_kind(written), _kind(wanted))
    if kinds == ("record", "record"):
        yield from _of_records(written, wanted, place)
    elif kinds == ("array", "array"):
        yield from _misfits(written["items"], wanted["items"], place)
    elif "union" in kinds:
        branches = written if kinds[0] == "union" else [written]
        given = [branch for branch in branches if _kind(branch) != "null"]
        targets = [branch for branch in (wanted if kinds[1] == "union" else [wanted]) if _kind(branch) != "null"]
        for branch in given:
            if targets and all(list(_misfits(branch, target, place)) for target in targets):
                yield from _misfits(branch, targets[0], place)
    elif kinds[0] != kinds[1] and kinds[1] not in _WIDER.get(kinds[0], ()):
        yield f"{place or 'a record'} is {kinds[0]}, not {kinds[1]}"


def _of_records(written: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    given = {field["name"]: field["type"] for field in written["fields"]}
    for field in wanted["fields"]:
        inner = f"{place}.{field['name']}" if place else field["name"]
        if field["name"] in given:
            yield from _misfits(given[field["name"]], field["type"], inner)
        elif "default" not in field:
            yield f"{inner} is missing"


def _kind(schema: Any) -> str:  # noqa: ANN401
    if isinstance(schema, list):
        return "union"
    kind = schema["type"] if isinstance(schema, dict) else schema
    return _kind(kind) if isinstance(kind, dict | list) else str(kind)


PARQUET_MAGIC: Final = b"PAR1"

_NAMED_FIELDS: Final = 6

Told: TypeAlias = Callable[[TableReport], object]
"""Is given what became of the rows of a table."""


def untold(report: TableReport) -> None:
    """Keep it to oneself."""


def read_messages(
    source: Path | AlertTopic,
    messages: BatchMessages,
    mapping: Mapping | None = None,
    order: Order = "midpoint",
    told: Told = untold,
    alerts: AlertOptions | None = None,
) -> Iterator[TimedMessage]:
    """Read batches, or what batches are made of, whichever kind it is.

    Parameters
    ----------
    source : `pathlib.Path` or `AlertTopic`
        A capture, an Avro object container of batches, a Parquet table of
        detections, or alert packets: a file, a folder of them, a topic. The content decides, not the name.
        A capture with a mapping is one of alerts.
    messages : `BatchMessages`
        Makes messages, and names the topic they go to.
    mapping : `Mapping`, optional
        What the columns of a Parquet table mean, or the fields of an alert's source; alerts have one by default.
    order : ``"midpoint"`` or ``"arrival"``
        Order of the batches of a Parquet table or of alerts. The other files keep theirs.
    told : callable, optional
        Given what became of the rows of a Parquet table or of alerts, before the first message.
    alerts : `AlertOptions`, optional
        What is read of alerts.

    Returns
    -------
    events : iterator of `TimedMessage`

    Raises
    ------
    ReplayError
        If the file is missing, damaged, of no known kind, or a table without a mapping.
    MappingError
        If the mapping does not fit the table.
    """

    def of_alerts(pieces: Iterator[Piece]) -> Iterator[TimedMessage]:
        made = alert_batches(pieces, mapping, order, alerts)
        told(made.report)
        return map(messages.event, made)

    if isinstance(source, AlertTopic) or source.is_dir():
        return of_alerts(pieces_of(source))
    magic = _magic(source)
    if magic == PARQUET_MAGIC:
        if mapping is None:
            raise ReplayError(f"{source} is a table: name the column mapping that tells what its columns mean")
        return read_parquet(source, messages, mapping, order, told)
    if magic == CONTAINER_MAGIC and is_capture(source):
        if mapping is not None:
            return of_alerts(pieces_of_capture(source))
        return in_plausible_time(to_topic(read_capture(source), messages.topic))
    if _holds_alerts(source, magic):
        return of_alerts(pieces_of(source))
    return in_plausible_time(read_avro(source, messages))


def _holds_alerts(path: Path, magic: bytes) -> bool:
    """Tell whether a file holds alerts, not batches; raise `ReplayError` if it can hold neither."""
    if magic == CONTAINER_MAGIC:
        return survey_of(_writer_schema(path)) is not None
    if not magic.startswith((GZIP_MAGIC, FRAME_MAGIC)):
        raise ReplayError(f"{path} is neither a Parquet table nor an Avro file nor an alert packet")
    return True


def _magic(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise ReplayError(f"cannot read {path}: {reason_of(error)}") from error


def in_plausible_time(events: Iterator[TimedMessage]) -> Iterator[TimedMessage]:
    """Give messages of an impossible time that of the one before, or of the first that has one.

    The messages stay as they are, for a decoder to refuse; only nothing waits
    for a date that lies millennia ahead because it is in another unit.
    """
    waiting: list[TimedMessage] = []
    latest: float | None = None
    for event in events:
        if is_plausible_mjd(event.midpointMjdTai):
            latest = event.midpointMjdTai
        elif latest is None:
            waiting.append(event)
            continue
        yield from (replace(one, midpointMjdTai=latest) for one in waiting)
        waiting.clear()
        yield replace(event, midpointMjdTai=latest)
    yield from (replace(one, midpointMjdTai=EARLIEST_MJD) for one in waiting)


def read_parquet(
    path: Path, messages: BatchMessages, mapping: Mapping, order: Order, told: Told = untold
) -> Iterator[TimedMessage]:
    """Read a table of detections; the columns that the mapping takes are held in memory."""
    table, unread = read_columns(path, mapping)
    made = batches(table, mapping, order, unread)
    told(made.report)
    return map(messages.event, made)


def read_columns(path: Path, mapping: Mapping) -> tuple[pa.Table, list[str]]:
    """Read the columns of a Parquet file that a mapping may use.

    Returns
    -------
    table : `pyarrow.Table`
    unread : `list` [`str`]
        Names of the other columns.

    Raises
    ------
    ReplayError
        If the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            names, wanted = list(map(".".join, column_paths(file.schema_arrow))), mapping.inputs()
            table = file.read(columns=[name for name in names if name in wanted])
            return table, [name for name in names if name not in wanted]
    except (pa.ArrowException, OSError) as error:
        raise ReplayError(
            f"{path} cannot be read as a Parquet table: {one_line(error)}; it is damaged or cut short, write it again"
        ) from error


def read_avro(path: Path, messages: BatchMessages) -> Iterator[TimedMessage]:
    """Read an Avro object container of batches in the schema ``dia_source_batch``.

    Older writers are resolved against the current schema, and the messages are
    written in it.

    Raises
    ------
    ReplayError
        If the file is damaged or holds something else than batches.
    """
    schema = cast(AvroSchema, fastavro.parse_schema(load_schema(BATCH)))
    _check_fit(path)
    with path.open("rb") as file:
        try:
            for record in fastavro.reader(file, reader_schema=schema):
                yield _event(cast(dict[str, Any], record), schema, messages)
        except fastavro.read.SchemaResolutionError as error:
            # Its message is both schemas, in full.
            raise ReplayError(
                f"{path} cannot be read as a file of batches: a value does not fit the schema"
            ) from error
        except AVRO_DAMAGE as error:
            raise ReplayError(f"{path} cannot be read as a file of batches: {one_line(error)}") from error


def _check_fit(path: Path) -> None:
    """Raise `ReplayError` if a file was written in a schema that is none of batches; it names a few fields."""
    written = _writer_schema(path)
    found = misfits(written, load_schema(BATCH))
    if found:
        name = written.get("name", "") if isinstance(written, dict) else ""
        more = f"\n  and {len(found) - _NAMED_FIELDS} more" if len(found) > _NAMED_FIELDS else ""
        raise ReplayError(
            f"{path} holds {name or 'no'} records, not batches of the schema {BATCH}:\n  "
            + "\n  ".join(found[:_NAMED_FIELDS])
            + f"{more}\nwrite them in that schema"
        )


def _writer_schema(path: Path) -> Any:  # noqa: ANN401 - any Avro schema
    try:
        with path.open("rb") as file:
            return fastavro.reader(file).writer_schema
    except AVRO_DAMAGE as error:
        raise ReplayError(f"{path} cannot be read as an Avro file: {one_line(error)}") from error


def to_topic(events: Iterator[TimedMessage], topic: str) -> Iterator[TimedMessage]:
    """Address messages to another topic."""
    return (replace(event, message=event.message._replace(topic=topic)) for event in events)


def _event(record: dict[str, Any], schema: AvroSchema, messages: BatchMessages) -> TimedMessage:
    datum = io.BytesIO()
    datum.write(messages.encoder.header)
    fastavro.schemaless_writer(datum, schema, record)
    footprint = np.array([(vertex["ra"], vertex["dec"]) for vertex in record["footprint"]])
    return TimedMessage(record["midpointMjdTai"], OutputMessage(messages.topic, sky_key(footprint), datum.getvalue()))

"""Dead letters as text for people."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from stream_assoc.messaging.avro.batch_header import batch_header
from stream_assoc.messaging.avro.dead_letters import DeadLetterRecord
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError, RegistryUnavailableError
from stream_assoc.tools.dead_letters.filed import Address, FiledDeadLetter

HEADINGS = ("LETTER", "TIME", "SENT AGAIN", "REASON", "ORIGINAL", "MESSAGE")
NAME_WIDTH = 26


def dead_letter_table(entries: Iterable[tuple[Address, DeadLetterRecord, int | None]]) -> Iterator[str]:
    """Yield the lines of a table of dead letters and when they were sent again, headings first."""
    rows = [
        HEADINGS,
        *(
            (
                str(address),
                utc(record.time),
                "-" if sent_again is None else utc(sent_again),
                record.reason,
                _origin(record),
                record.message,
            )
            for address, record, sent_again in entries
        ),
    ]
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def described(filed: FiledDeadLetter, schemas: WriterSchemas | None) -> Iterator[str]:
    """Yield, a line each, all that is known of a dead letter and of the batch in it.

    Parameters
    ----------
    filed : `FiledDeadLetter`
        The letter.
    schemas : `WriterSchemas` or `None`
        Where writer schemas are found; `None`: those of this version.
    """
    record, original = filed.letter.record, filed.letter.original
    facts: list[tuple[str, object]] = [
        ("letter", filed.address),
        ("set aside", utc(record.time)),
        ("reason", record.reason),
        ("message", record.message),
        ("exception", record.exception),
        ("original", _origin(record)),
        ("original time", utc(record.timestamp)),
        ("key", original.key),
        ("value", "none" if original.value is None else f"{len(original.value)} bytes"),
        *((("left out", ", ".join(filed.letter.left_out)),) if filed.letter.left_out else ()),
        *((f"header {name}", content) for name, content in original.headers),
        *_batch(original.value, schemas),
    ]
    for name, fact in facts:
        yield printable(f"{name:<{NAME_WIDTH}} {fact}")


def printable(text: str) -> str:
    """Return a stranger's text with all escaped that could steer a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def utc(milliseconds: int) -> str:
    """Return a time since 1970 for people; as it is where no calendar reaches, since producers set times too."""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms"
    return "unset" if milliseconds < 0 else f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _origin(record: DeadLetterRecord) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _batch(value: bytes | None, schemas: WriterSchemas | None) -> list[tuple[str, object]]:
    try:
        header = batch_header(value, schemas)
    except (DecodeError, RegistryUnavailableError) as error:
        return [("batch", f"cannot be read: {error}")]
    return [(f"batch {name}", entry) for name, entry in header.items()]

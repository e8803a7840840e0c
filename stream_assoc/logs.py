"""Structured logs: events with fields, as JSON lines or for people, on standard error.

The same fault may occur a thousand times a second. Warnings and errors that
repeat are written only a few times a minute; the others are counted.
"""

import logging
import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Applied alike to our own events and to those of libraries that log through the standard module.
_COMMON: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)

_IN_EVERY_LINE: Final = ("timestamp", "level", "event")

REPEATS: Final = 30
"""Most warnings or errors of one event that are written in `WINDOW_SECONDS`."""
WINDOW_SECONDS: Final = 60.0
_KINDS: Final = 1000
_KIND_CHARACTERS: Final = 60
_SUMMARY_FIELDS: Final = ("of", "lines", "seconds")
_DIGITS: Final = dict.fromkeys(range(ord("0"), ord("9") + 1))


@dataclass(slots=True)
class _Window:
    """The lines of one event since a time."""

    since: float
    logger: str
    event: str
    n_seen: int = 0

    @property
    def n_left_out(self) -> int:
        return max(0, self.n_seen - REPEATS)


class RepeatLimit:
    """Decides which records are written: of warnings and errors of one kind only so many in a minute.

    Records are of one kind if logger, level and event agree; of an event that
    is a sentence its beginning, without digits.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def admits(self, record: logging.LogRecord) -> bool:
        """Tell whether to write a record."""
        if record.levelno < logging.WARNING:
            return True
        event = _event_of(record)
        kind = (record.name, record.levelno, event.partition("\n")[0][:_KIND_CHARACTERS].translate(_DIGITS))
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= _KINDS:
                # So many kinds count as one: their texts never repeat.
                kind = (record.name, record.levelno, "")
            window = self._windows.setdefault(kind, _Window(record.created, record.name, event))
        window.n_seen += 1
        return window.n_seen <= REPEATS

    def left_out(self, now: float) -> Iterator[logging.LogRecord]:
        """Yield a record for each event with lines left out in a minute that is over."""
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            if 0.0 <= now - window.since < WINDOW_SECONDS:
                return
            del self._windows[kind]
            if window.n_left_out:
                yield _summary(window, kind[1], now)


class _LimitedHandler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._limit = RepeatLimit()

    def emit(self, record: logging.LogRecord) -> None:
        for summary in self._limit.left_out(record.created):
            super().emit(summary)
        if self._limit.admits(record):
            super().emit(record)


def _event_of(record: logging.LogRecord) -> str:
    """Return the event of one of our records, or the template of a library's."""
    # An event of ours comes as a dictionary, which the formatter writes.
    return str(record.msg.get("event", "")) if isinstance(record.msg, dict) else str(record.msg)


def _summary(window: _Window, level: int, now: float) -> logging.LogRecord:
    record = logging.LogRecord(window.logger, level, "", 0, "left out", None, None)
    values = (window.event[:_KIND_CHARACTERS], window.n_left_out, round(now - window.since))
    record.__dict__.update(zip(_SUMMARY_FIELDS, values, strict=True))
    record.created = now
    return record


def log_beside_output() -> None:
    """Send log lines to standard error, so that a command's standard output holds only its result.

    For commands; a long-lived process uses `configure_logging`. The stream is
    looked up for each line.
    """
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure_logging(
    style: Literal["json", "console"] = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send every log record of the process to one stream, in one form.

    Parameters
    ----------
    style : `str`
        ``json``: one object a line, with ``event``, ``level``, ``logger`` and
        ``timestamp`` (ISO 8601, UTC). ``console``: aligned and, on a terminal,
        coloured.
    level : `str`
        Lowest level that is written: debug, info, warning or error.
    stream : file-like, optional
        Standard error by default.
    """
    output = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _LimitedHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_COMMON, structlog.stdlib.ExtraAdder(allow=_SUMMARY_FIELDS)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(style, coloured=output.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _first_things_first(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put the fields of every line first, for people who read the JSON."""
    return {**{name: event[name] for name in _IN_EVERY_LINE if name in event}, **event}


def _renderers(style: str, *, coloured: bool) -> list[Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, _first_things_first, structlog.processors.JSONRenderer()]
    # Plain tracebacks: rich ones print the local variables, and with them secrets.
    return [structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=structlog.dev.plain_traceback)]

"""Structured logs: events with fields, as JSON lines or for people, on standard error."""

import logging
import sys
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
        Least level that is written: debug, info, warning or error.
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
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_COMMON),
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
    """Put what every line has before what only this one has, for who reads JSON with their eyes."""
    return {**{name: event[name] for name in _IN_EVERY_LINE if name in event}, **event}


def _renderers(style: str, *, coloured: bool) -> list[Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, _first_things_first, structlog.processors.JSONRenderer()]
    # Plain tracebacks: rich ones print the local variables, and with them secrets.
    return [structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=structlog.dev.plain_traceback)]

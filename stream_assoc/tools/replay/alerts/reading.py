"""Alert packets to batches: those of one visit and detector become one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.alerts.packets import DAMAGE, PacketReader
from stream_assoc.tools.replay.alerts.sources import Piece
from stream_assoc.tools.replay.alerts.tables import AlertTable
from stream_assoc.tools.replay.exceptions import ReplayError, one_line
from stream_assoc.tools.transform.batches import Order, TableBatches, batches
from stream_assoc.tools.transform.mapping import Mapping, load_mapping

_N_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """What is read of alerts.

    Attributes
    ----------
    history : `bool`
        The earlier sources that packets repeat too, each once.
    skip_bad : `bool`
        Go on after a packet that cannot be read.
    registry : `WriterSchemas`, optional
        Whom to ask for the ids of framed packets; Rubin's own are known.
    """

    history: bool = False
    skip_bad: bool = False
    registry: WriterSchemas | None = None


def alert_batches(
    pieces: Iterable[Piece],
    mapping: Mapping | None = None,
    order: Order = "midpoint",
    options: AlertOptions | None = None,
) -> TableBatches:
    """Cut alerts into batches, one for each visit and detector.

    Every ``diaSourceId`` counts once, however many packets repeat it: as in the
    alert that was raised for it, if it is among them, else as in the first history that tells of it.

    Parameters
    ----------
    pieces : iterable of `Piece`
        What holds them; all of it is read before the first batch is known to be whole.
    mapping : `Mapping`, optional
        What the fields of a source mean; by default that of the survey.
    order : ``"midpoint"`` or ``"arrival"``
    options : `AlertOptions`, optional

    Raises
    ------
    ReplayError
        If a packet cannot be read, and bad ones are not to be skipped, or there is none.
    MappingError
        If the mapping does not fit, or no source can be believed.
    RegistryUnavailableError
        If a schema must be asked for and the registry does not answer.
    """
    options = options or AlertOptions()
    reader, found, bad = PacketReader(options.registry, history=options.history), AlertTable(), list[str]()
    for piece in pieces:
        try:
            with piece.open() as source:
                for packet in reader.read(source):
                    found.add(packet)
        except (DecodeError, *DAMAGE) as error:
            reason = f"{piece.name} cannot be read as alert packets: {one_line(error)}"
            if not options.skip_bad:
                raise ReplayError(f"{reason}; mend it or take it away, or go on without it by --skip-bad") from error
            bad.append(reason)
    if found.survey is None:
        raise ReplayError("; ".join(["there is no alert packet to be read", *bad[:_N_NAMED]]))
    made = batches(found.table(), mapping or load_mapping(found.survey.mapping), order)
    return replace(made, report=replace(made.report, notes=_notes(found, bad)))


def _notes(found: AlertTable, bad: list[str]) -> tuple[str, ...]:
    read = f"{found.n_alerts:,} {'alert' if found.n_alerts == 1 else 'alerts'} read."
    if not bad:
        return (read,)
    more = f"; and {len(bad) - _N_NAMED} more" if len(bad) > _N_NAMED else ""
    return read, f"Left out: the rest of {len(bad):,} files or messages. {'; '.join(bad[:_N_NAMED])}{more}."

"""``stream-assoc replay verify`` and ``replay diff``: judge a replay, and compare two runs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import CommandError, ConfigOption, SetOption, settings_of, without_client_logs

if TYPE_CHECKING:
    from stream_assoc.settings import Settings
    from stream_assoc.tools.replay.manifest import Manifest
    from stream_assoc.tools.simulation.truth import AssociationScore
    from stream_assoc.tools.verification.account import Bars, Expectation, Line
    from stream_assoc.tools.verification.arrivals import Arrivals
    from stream_assoc.tools.verification.differences import TableDifference
    from stream_assoc.tools.verification.truth import Truth

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def verify(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    folder: Annotated[Path, typer.Argument(help="Folder of a recorded replay (`replay run --record FOLDER`).")],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Parquet table that tells what each diaSourceId is. Default: the simulation's, beside the file.",
            show_default=False,
        ),
    ] = None,
    truth_column: Annotated[
        str | None,
        typer.Option(help="Its column: a survey's own association, such as diaObjectId.", show_default=False),
    ] = None,
    apdb: Annotated[
        bool, typer.Option("--apdb/--no-apdb", help="Read the APDB as well, or judge by the topics alone.")
    ] = True,
    wait: Annotated[
        float, typer.Option(min=0.0, help="Wait for answers while some come at least every so many seconds.")
    ] = 30.0,
    min_purity: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Fail below this purity.", show_default=False)
    ] = None,
    min_completeness: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Fail below this completeness.", show_default=False)
    ] = None,
    max_p99: Annotated[
        float | None,
        typer.Option(min=0.0, help="Fail when the p99 of the latency from due is longer, s.", show_default=False),
    ] = None,
    json_: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Judge a recorded replay: every message, answer and source accounted for, and scored against the truth.

    Reads the input topic (what was really sent), the metrics and the dead
    letters (what came back), and the APDB (what was stored). Purity and
    completeness need the APDB and a truth. Latency counts from when a message
    was due to when its metrics were published. Ends with 1 if anything is not
    as it must be.
    """
    from stream_assoc.tools.replay.manifest import Manifest
    from stream_assoc.tools.verification.account import Bars

    settings = settings_of(config, set_)
    settings = settings.model_copy(update={"kafka": without_client_logs(settings.kafka)})
    manifest = Manifest.read(folder)
    if manifest.totals is None:
        raise CommandError(f"{folder} is not complete: `stream-assoc replay resume {folder}` sends what is left")
    bars = Bars(min_purity, min_completeness, max_p99)
    known = known_truth(manifest, truth, truth_column) if apdb else None
    lines = account(settings, manifest, known, bars, wait_seconds=wait, with_apdb=apdb)
    show_account(f"Replay {manifest.run[:12]} of {manifest.source.path.name}", lines, as_json=json_)
    wrong = [line.name for line in lines if not line.is_right]
    if wrong:
        raise CommandError(f"not as it must be: {', '.join(wrong)}")


def known_truth(manifest: "Manifest", truth: Path | None, column: str | None) -> "Truth | None":
    """Return the truth that is named, or the one beside the replayed file, or none."""
    from stream_assoc.tools.verification.truth import find_truth, read_truth

    path = truth or find_truth(manifest.source.path)
    return None if path is None else read_truth(path, column)


def account(
    settings: "Settings",
    manifest: "Manifest",
    truth: "Truth | None",
    bars: "Bars",
    *,
    wait_seconds: float,
    with_apdb: bool,
) -> "list[Line]":
    """Return the account of a replay."""
    from stream_assoc.tools.verification.account import Answered, is_complete, latency_lines, message_lines
    from stream_assoc.tools.verification.arrivals import await_answers

    expected = expected_of(settings, manifest)
    arrivals = await_answers(
        settings.kafka, manifest, lambda seen: is_complete(expected, seen), patience_seconds=wait_seconds
    )
    lines = message_lines(expected, Answered(expected, arrivals))
    if with_apdb:
        lines += stored_lines(settings, expected, arrivals, truth, bars)
    return [*lines, *latency_lines(arrivals, bars)]


def expected_of(settings: "Settings", manifest: "Manifest") -> "Expectation":
    """Make the plan again, see that it is the one that was sent, and return what must come of it."""
    from stream_assoc.apps.cli.sending import messages_to
    from stream_assoc.messaging.avro.batch_decoder import decoder_of
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.manifest import Tally
    from stream_assoc.tools.replay.plan import Step
    from stream_assoc.tools.verification.account import expectation_of

    manifest.source.check()
    registry = registry_of(settings.kafka)
    tally = Tally()

    def tallied() -> Iterator[Step]:
        messages = messages_to(manifest.topic, settings.kafka)
        for step in manifest.options.steps(manifest.source.path, messages, registry):
            tally.add(step)
            yield step

    expected = expectation_of(tallied(), decoder_of(settings))
    manifest.check_totals(tally.totals())
    return expected


def stored_lines(
    settings: "Settings", expected: "Expectation", arrivals: "Arrivals", truth: "Truth | None", bars: "Bars"
) -> "list[Line]":
    """Return the account of what the APDB holds."""
    from stream_assoc.stores.apdb.reading.open import open_reader
    from stream_assoc.tools.verification.account import Answered, source_lines
    from stream_assoc.tools.verification.truth import read_stored, score_stored

    answered = Answered(expected, arrivals)
    wanted = expected.diaSourceIds(answered.answers)
    with closing(open_reader(settings.apdb.connection_url(), settings.apdb.namespace, any_version=True)) as reader:
        stored = read_stored(reader, wanted)
    score: AssociationScore | None = None if truth is None else score_stored(stored, truth.of(wanted))
    return source_lines(expected, answered, len(stored.diaSourceId), stored.n_repeated, score, bars)


def show_account(title: str, lines: "Sequence[Line]", *, as_json: bool) -> None:
    """Print an account."""
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "is", "must be", "", title=title)
    table.columns[1].justify = table.columns[2].justify = "right"
    for line in lines:
        mark = "" if not line.expected else "[green]ok[/]" if line.is_right else "[bold red]WRONG[/]"
        table.add_row(line.name, line.value, line.expected, mark)
    Console().print(table)


def diff(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    left: Annotated[
        str, typer.Argument(help="An APDB (sqlite:///..., postgresql://...), or a capture of an output topic.")
    ],
    right: Annotated[str, typer.Argument(help="Another of the same kind.")],
    relative: Annotated[
        float, typer.Option("--rtol", min=0.0, help="Relative difference that numbers may have.")
    ] = 0.0,
    absolute: Annotated[
        float, typer.Option("--atol", min=0.0, help="Absolute difference that numbers may have.")
    ] = 0.0,
    times: Annotated[
        bool,
        typer.Option("--times", help="Compare processing times as well: both ran with daemon.pin_clock_mjd."),
    ] = False,
    json_: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Compare what two runs have left behind: which visits, objects, sources and columns differ.

    Of APDBs every source, every current object and every forced source is
    compared; of captures the metrics of each batch, or the last version of
    each object. Processing times, durations and offsets are left out. A
    password belongs into PGPASSWORD or a pass file, not into the URL. Ends
    with 1 if anything differs.
    """
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.verification.differences import Tolerance
    from stream_assoc.tools.verification.runs import compare_runs, read_run

    schemas = None if "://" in left else registry_of(settings_of(config, set_).kafka)
    runs = read_run(left, schemas), read_run(right, schemas)
    found = compare_runs(*runs, Tolerance(relative, absolute), with_times=times)
    if json_:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            for line in described(one):
                typer.echo(line)
    differing = [one.name for one in found if not one.is_equal]
    if differing:
        raise CommandError(f"the runs differ in {', '.join(differing)}")


def described(difference: "TableDifference") -> Iterator[str]:
    """Yield, a line each, how two tables differ."""
    one = difference
    if one.is_equal:
        yield f"{one.name}: {one.n_left:,} rows, equal"
        return
    yield f"{one.name}: {one.n_left:,} and {one.n_right:,} rows, {one.n_rows_differ:,} differ"
    for side, n_rows, keys in (("left", one.n_only_left, one.only_left), ("right", one.n_only_right, one.only_right)):
        if n_rows:
            more = ", ..." if n_rows > len(keys) else ""
            yield f"  only on the {side}: {n_rows:,} ({', '.join(keys)}{more})"
    for column in one.columns:
        most = "" if column.greatest is None else f", by {column.greatest:.6g} at most"
        yield f"  {column.name}: {column.n_rows:,} rows{most}; {column.example}"

"""``stream-assoc apdb check --deep``: what an inspection found, told as it is found."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final, TextIO, TypeAlias

import typer

from stream_assoc.apps.cli.app import note
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.settings import Settings

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.reading.inspection import ApdbInspection, Fault, Find
    from stream_assoc.tools.inspection.sampling import Sampling
    from stream_assoc.tools.inspection.tasks import Task

FAULTS_CODE: Final = 3
DEFAULT_SAMPLE: Final = 10_000
_MOST_VALUES: Final = 4
"""Of one find, on a line that a person reads."""

DeepOption: TypeAlias = Annotated[
    bool,
    typer.Option("--deep", help="Inspect every row instead: list what contradicts itself, by id, with its remedy."),
]
SampleOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--sample",
        min=0,
        help=f"With --deep, fold the statistics of so many objects anew. Default: {DEFAULT_SAMPLE}.",
        show_default=False,
    ),
]
SeedOption: TypeAlias = Annotated[
    int, typer.Option("--seed", min=0, max=2**32, help="With --deep, another number chooses other objects.")
]
AllOption: TypeAlias = Annotated[bool, typer.Option("--all", help="With --deep, fold every object, not a sample.")]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the outcome as a line of JSON; with --deep, a line for each fault.")
]


def sampling_of(sample: int | None, seed: int, *, everything: bool) -> "Sampling":
    """Return the sampling of the options, or refuse two at once."""
    from stream_assoc.tools.inspection.sampling import Sampling

    if everything and sample is not None:
        raise typer.BadParameter("give either --sample or --all")
    return Sampling(None if everything else DEFAULT_SAMPLE if sample is None else sample, seed)


def inspect(settings: Settings, sampling: "Sampling", *, as_json: bool) -> None:
    """Inspect the APDB of the settings, print what is found, and end with `FAULTS_CODE` if anything is.

    Raises
    ------
    ApdbError
        If there is no APDB, or it becomes unavailable.
    """
    from stream_assoc.tools.inspection.tasks import tasks
    from stream_assoc.wiring.pipeline import calculator_of
    from stream_assoc.wiring.stores import inspection_of

    counts: Counter[Fault] = Counter()
    # What is printed while progress is shown would land on standard error, with it.
    out = sys.stdout
    with inspection_of(settings) as inspection:
        for task in tasks(inspection, calculator_of(settings), sampling):
            for find in _finds(task):
                counts[find.fault] += 1
                typer.echo(_as_json(find) if as_json else _as_line(find), file=out)
        awaiting = _awaiting(inspection)
        n_asked = len(inspection.answers)
        left_out = _left_out(inspection)
    for line in (*left_out, *awaiting):
        note(line)
    if not as_json:
        _conclude(counts, n_asked, out)
    if counts:
        raise typer.Exit(FAULTS_CODE)


def _finds(task: "Task") -> "Iterator[Find]":
    """Yield what a task finds; no progress is shown while the caller looks at it."""
    while finds := _next_finds(task):
        yield from finds


def _next_finds(task: "Task") -> "Sequence[Find]":
    with Progress().count(task.what, task.total) as tell:
        for step in task.steps:
            tell(step.done)
            if step.finds:
                return step.finds
    return ()


def _as_json(find: "Find") -> str:
    return json.dumps({"fault": find.fault.value, **find.key, "found": dict(find.values)})


def _as_line(find: "Find") -> str:
    key = ", ".join(f"{name} {value}" for name, value in find.key.items())
    values = [f"{name} {'NULL' if value is None else value}" for name, value in find.values.items()]
    more = f", and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    shown = f"({', '.join(values[:_MOST_VALUES])}{more})" if values else ""
    return f"{find.fault.value}: {' '.join(part for part in (key, shown) if part)}"


def _left_out(inspection: "ApdbInspection") -> list[str]:
    from stream_assoc.tools.inspection.checks import CHECKS

    missing = [check.fault.value for check in CHECKS if check.fault not in inspection.answers]
    if not missing:
        return []
    return [f"not looked for, because the APDB lacks the tables that they are about: {', '.join(missing)}"]


def _awaiting(inspection: "ApdbInspection") -> list[str]:
    number = inspection.n_awaiting()
    if not number:
        return []
    return [
        f"not checked: nDiaSources and statistics of {_number(number, 'object')} whose sources another program has "
        "changed; the next batch over the tile counts and folds them anew"
    ]


def _conclude(counts: "Counter[Fault]", n_asked: int, out: TextIO) -> None:
    from stream_assoc.tools.inspection.checks import CHECKS

    if not counts:
        typer.echo(f"Nothing is wrong: {n_asked} kinds of faults were looked for.", file=out)
        return
    found = f"{_number(counts.total(), 'fault')} of {_number(len(counts), 'kind')}"
    typer.echo(f"{found}; {n_asked} kinds were looked for:", file=out)
    for check in CHECKS:
        if number := counts[check.fault]:
            typer.echo(f"  {check.fault.value}: {number}. {check.rule}\n    To do: {check.remedy}.", file=out)


def _number(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"

"""``stream-assoc explain``: why a source belongs to its object."""

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import ConfigOption, SetOption, settings_of
from stream_assoc.apps.cli.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from stream_assoc.tools.explanation.record import ExplainedCandidate, Explanation


def explain(
    dia_source_id: Annotated[
        int, typer.Argument(metavar="DIASOURCE_ID", help="A stored source. A negative id goes after `--`.")
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one line of JSON, ids as numbers.")] = False,
) -> None:
    """Explain why a DIASource was matched to its DIAObject, created one, or was attributed to a solar-system object.

    Rebuilds the sky as it was when the source's batch was processed, repeats
    the association, and says whether the result agrees with what is stored.
    Only reads the APDB. Use the association settings of the daemon that
    processed the source.
    """
    settings = settings_of(config, set_)

    from stream_assoc.stores.apdb.reading.standby import told_of_standbys
    from stream_assoc.tools.explanation.explain import explain as explain_source
    from stream_assoc.wiring.pipeline import association_algorithms_of
    from stream_assoc.wiring.stores import reader_of

    with (
        Progress().doing("Associating the source's batch anew"),
        contextlib.closing(reader_of(settings)) as reader,
        told_of_standbys(lambda: reader),
    ):
        explanation = explain_source(dia_source_id, reader, association_algorithms_of(settings).associator)
    if json_:
        typer.echo(json.dumps(asdict(explanation)))
        return

    from rich.console import Console

    _print(Console(highlight=False), explanation)


def _print(console: "Console", explanation: "Explanation") -> None:
    source, batch = explanation.source, explanation.batch
    console.print(f"[bold]DIASource {source.diaSourceId}[/bold]")
    console.print(
        f"visit {source.visit} detector {source.detector}, band {source.band}, MJD TAI {source.midpointMjdTai:.6f}; "
        f"ra {source.ra:.7f} dec {source.dec:+.7f}"
    )
    stored = "" if batch.n_sources is None else f"; {batch.n_stored} of its {batch.n_sources} sources are stored"
    console.print(f"processed at MJD TAI {source.timeProcessedMjdTai:.6f}{stored}")
    console.print(f"\n{explanation.summary}\n", style="bold", markup=False)
    if explanation.candidates:
        console.print(_table(explanation))
        if explanation.unmatched_cost is not None:
            console.print(
                "n is the number of its sources then. The smaller a score, the better; "
                f"leaving a source of this batch alone cost {explanation.unmatched_cost:.4f}."
            )
    console.print(_agreement(explanation))
    for limit in explanation.limits:
        console.print(f"  note: {limit}", style="dim", markup=False)


def _table(explanation: "Explanation") -> "Table":
    from rich import box
    from rich.table import Table

    # Within 80 columns, and no id cut short.
    table = Table(
        title="Objects within reach, as they were then",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        show_edge=False,
    )
    table.add_column("DIAObject", no_wrap=True)
    for heading in ("sep\narcsec", "Δra cos\nΔdec", "σ ra\nσ dec", "n", "score"):  # noqa: RUF001
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for one in explanation.candidates:
        sigma = (
            "-"
            if one.sigma_ra_arcsec is None or one.sigma_dec_arcsec is None
            else f"{one.sigma_ra_arcsec:.3f}\n{one.sigma_dec_arcsec:.3f}"
        )
        # The score of a chord is a small angle in radians.
        score = f"{one.score:.4f}" if explanation.mode == "nll" else f"{one.score:.2e}"
        table.add_row(
            str(one.diaObjectId),
            f"{one.separation_arcsec:.3f}",
            f"{one.delta_ra_arcsec:+.4f}\n{one.delta_dec_arcsec:+.4f}",
            sigma,
            str(one.nDiaSources),
            score,
            _outcome(one),
            style="green" if one.is_match else None,
        )
    return table


def _outcome(one: "ExplainedCandidate") -> str:
    if one.is_match:
        return "matched"
    return "left alone" if one.matched_diaSourceId is None else f"went to\n{one.matched_diaSourceId}"


def _agreement(explanation: "Explanation") -> str:
    match explanation.agrees:
        case None:
            return "A recomputation cannot tell."
        case True:
            return "[green]The recomputation agrees with what is stored.[/green]"
        case False:
            return "[red]The recomputation does not agree with what is stored.[/red]"

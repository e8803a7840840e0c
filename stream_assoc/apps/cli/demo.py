"""``stream-assoc demo``: the main job, end to end, on a machine with nothing but Python."""

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import CommandError, closing
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.apps.cli.serve import interrupt_on_signals, wait_for_signal
from stream_assoc.apps.cli.simulate import IMAGE_PIXELS

IMAGES_HELP = "Make images too, measure forced sources on them, and check these."

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_assoc.tools.embedded.valkey import require_valkey

    require_valkey()

    from rich.console import Console

    from stream_assoc.apps.demo.night import NightReport
    from stream_assoc.apps.demo.totals import Total
    from stream_assoc.settings import Settings

DEMO_HELP = closing(
    "stream-assoc demo",
    "stream-assoc demo --folder tonight --visits 100",
    codes="0 when every total is right, 1 when one is wrong or the daemon ended",
)


def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where the outputs go; must be empty. Default: a new temporary folder.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sky.")] = 1,
    visits: Annotated[int, typer.Option(min=1, help="Visits of the night.")] = 24,
    detectors: Annotated[int, typer.Option(min=1, max=256, help="Detectors of the focal plane.")] = 9,
    images: Annotated[bool, typer.Option("--images", help=IMAGES_HELP)] = False,
    with_dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Serve the dashboard meanwhile and afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Replay a simulated night through the real daemon, and check every total.

    Needs no server: Kafka is librdkafka's mock cluster, Redis a Valkey from
    its wheel, the APDB an SQLite file.
    """
    from stream_assoc.tools.embedded.valkey import require_valkey

    require_valkey()

    from rich.console import Console

    from stream_assoc.apps.demo.night import play_night
    from stream_assoc.apps.demo.stage import services
    from stream_assoc.apps.demo.totals import totals
    from stream_assoc.tools.replay.messages import BatchMessages
    from stream_assoc.tools.simulation.config import SimulationConfig
    from stream_assoc.tools.simulation.files import write_simulation

    interrupt_on_signals()
    console = Console()
    folder = _empty_folder(folder)
    sky = SimulationConfig(
        seed=seed, n_visits=visits, n_detectors=detectors, image_pixels=IMAGE_PIXELS if images else 0
    )
    console.print(f"Simulating {visits} visits of {detectors} detectors: variables, transients, artifacts, asteroids")
    if images:
        console.print(f"Each batch has a difference, a science and a template image of {IMAGE_PIXELS} pixels a side")
    written = write_simulation(sky, folder, BatchMessages("dia-sources"))
    console.print(
        f"Replaying {written.n_batches:,} batches of {written.n_sources:,} sources through stream-assoc serve"
    )
    console.print("(on its first run on a machine the daemon compiles kernels before it answers)")
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(services(folder))
        url = stack.enter_context(_dashboard(settings)) if with_dashboard else None
        if url is not None:
            console.print(f"Watch it at {url}", soft_wrap=True)
        with Progress(console).count("batches answered", written.n_batches) as tell:
            night = play_night(folder, settings, tell)
        account = totals(folder, night)
        _print_account(console, account, night, folder)
        if wrong := [total.name for total in account if not total.is_right]:
            raise CommandError(f"the demo's totals are wrong: {', '.join(wrong)}; everything it made is in {folder}")
        if url is not None:
            console.print(f"Click an object at {url}#/objects to see its light curve.", soft_wrap=True)
            console.print("Ctrl-C ends the dashboard.")
            wait_for_signal()


@contextlib.contextmanager
def _dashboard(settings: "Settings") -> "Iterator[str]":
    """Serve the dashboard, at any free port if its own is taken; give its address."""
    from stream_assoc.apps.web.server import Dashboard, DashboardPortError

    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(Dashboard(settings))
        except DashboardPortError as error:
            typer.echo(f"{error}; taking a free port", err=True)
            anywhere = settings.dashboard.model_copy(update={"port": 0})
            server = stack.enter_context(Dashboard(settings.model_copy(update={"dashboard": anywhere})))
        yield server.url


def _empty_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="stream-assoc-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty; give --folder a new one")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print_account(console: "Console", account: "list[Total]", night: "NightReport", folder: Path) -> None:
    from rich.table import Table

    table = Table(title="Totals of the night", title_justify="left")
    for heading in ("", "value", "expected", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for total in account:
        table.add_row(total.name, total.value, total.expected, "[green]ok" if total.is_right else "[red]WRONG")
    console.print(table)
    visits = len({metrics.visit for metrics in night.metrics})
    seconds = max(night.seconds, 1e-9)
    console.print(
        f"Per second: {visits / seconds:.1f} visits, {night.n_sent / seconds:.0f} batches, "
        f"{sum(metrics.numDiaSources for metrics in night.metrics) / seconds:,.0f} sources"
    )
    images = ", images, light.parquet" if night.settings.images.roots else ""
    console.print(f"Outputs in {folder}:", soft_wrap=True)
    console.print(f"apdb.sqlite3 (the APDB), batches.avro, truth.parquet{images}, daemon.log")

"""``stream-assoc cache``: compare the cache with the APDB, and fill it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

from stream_assoc.apps.cli.app import App, ConfigOption, SetOption, closing, settings_of
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_assoc.core.model.types import IntArray
    from stream_assoc.pipeline.ports.apdb import Apdb
    from stream_assoc.pipeline.ports.cache import InspectableCache
    from stream_assoc.pipeline.warming import Warmed
    from stream_assoc.tools.maintenance.checkpoints import Kept
    from stream_assoc.tools.maintenance.stores import Stores
    from stream_assoc.tools.maintenance.verify import Tally, Verification

    Work = TypeVar("Work", Kept, Warmed, Verification)

app = App(help="Compare the cache with the APDB, and fill it. No result ever depends on it.", no_args_is_help=True)

RaOption: TypeAlias = Annotated[
    float | None, typer.Option("--ra", min=0.0, max=360.0, help="Centre of the region, degrees.", show_default=False)
]
DecOption: TypeAlias = Annotated[
    float | None,
    typer.Option("--dec", min=-90.0, max=90.0, help="Centre of the region, degrees.", show_default=False),
]
RadiusOption: TypeAlias = Annotated[
    float | None,
    typer.Option("--radius", min=0.0, max=20.0, help="Radius of the region, degrees.", show_default=False),
]
TileOption: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--tile", metavar="N", help="HTM index at sky.tile_level; may be repeated.", show_default=False),
]


@app.command(
    epilog=closing(
        "stream-assoc cache verify",
        "stream-assoc cache verify --ra 150.1 --dec 2.2 --radius 1.9 --repair",
        codes="0 when all agree or were repaired, 1 when something is different, 2 when a setting is wrong",
    )
)
def verify(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    ra: RaOption = None,
    dec: DecOption = None,
    radius: RadiusOption = None,
    tile: TileOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Write anew what is different.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Compare cached tiles and states with the APDB, object by object; daemons may run.

    Needs the APDB and Redis. Without a region, every tile that any batch has
    changed. What is missing or stale costs time and no result; what is
    different would have been believed.
    """
    from stream_assoc.tools.maintenance.verify import Verification
    from stream_assoc.tools.maintenance.verify import verify as verify_tiles

    region = Region.of(ra, dec, radius, tile)
    with _stores(settings_of(config, set_)) as stores:
        tiles = region.tiles_in(stores)
        pieces = verify_tiles(stores, tiles, repair=repair)
        found = _total(pieces, Verification(), len(tiles), lambda one: one.tiles.checked)
        unreadable = stores.cache.unreadable
    for line in _lines(found, unreadable):
        typer.echo(line)
    if found.n_left:
        raise typer.Exit(1)


@app.command(epilog=closing("stream-assoc cache rebuild", "stream-assoc cache rebuild --tile 12582913"))
def rebuild(
    ra: RaOption = None,
    dec: DecOption = None,
    radius: RadiusOption = None,
    tile: TileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write tiles and states anew from the APDB, whatever the cache holds; daemons may run.

    Needs the APDB and Redis. Without a region, every tile that any batch has changed.
    """
    from stream_assoc.tools.maintenance.fill import rebuild as rebuild_tiles

    region = Region.of(ra, dec, radius, tile)
    with _stores(settings_of(config, set_)) as stores:
        tiles = region.tiles_in(stores)
        _tell_written(rebuild_tiles(stores, tiles), len(tiles))


@app.command(
    epilog=closing(
        "stream-assoc cache warm",
        "stream-assoc cache warm --ra 150.1 --dec 2.2 --radius 1.9",
        "stream-assoc cache warm --follow --set metrics.prometheus_port=9101",
    )
)
def warm(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    ra: RaOption = None,
    dec: DecOption = None,
    radius: RadiusOption = None,
    tile: TileOption = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Warm the sky of each visit that is announced, until SIGTERM, SIGINT or SIGHUP."
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write what the cache lacks, or holds of an older version: before a visit, or after a flush; daemons may run.

    Needs the APDB and Redis. Without a region, every tile that any batch has changed. No lock is taken.

    With --follow, read kafka.next_visits_topic and warm the sky around each position before the visit begins
    ([warming]). Several followers share the visits. With metrics.prometheus_port set, /metrics answers there.
    """
    region, settings = Region.of(ra, dec, radius, tile), settings_of(config, set_)
    if follow:
        if region.is_given:
            raise typer.BadParameter("--follow takes its regions from announcements; leave the region out")
        _follow(settings)
    else:
        _warm(settings, region)


@app.command(
    epilog=closing("stream-assoc cache checkpoint", "stream-assoc cache checkpoint --ra 150.1 --dec 2.2 --radius 1.9")
)
def checkpoint(
    ra: RaOption = None,
    dec: DecOption = None,
    radius: RadiusOption = None,
    tile: TileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write checkpoints of states to the APDB where they are missing or far behind; daemons may run.

    Needs the APDB and Redis. For an APDB that has grown without checkpoints: a batch writes them too,
    but the first visit of each field would take long. Without a region, every tile that any batch has changed.
    """
    from stream_assoc.tools.maintenance.checkpoints import Kept, keep

    region = Region.of(ra, dec, radius, tile)
    with _stores(settings_of(config, set_)) as stores:
        tiles = region.tiles_in(stores)
        kept = _total(keep(stores, tiles), Kept(), len(tiles), lambda one: one.tiles)
    typer.echo(f"{kept.written} checkpoints of {kept.states} states in {kept.tiles} tiles written")


@dataclass(frozen=True, slots=True)
class Region:
    """What part of the sky a command is about: a circle, some tiles, or all that is known."""

    circle: tuple[float, float, float] | None
    tiles: Sequence[int]

    @classmethod
    def of(cls, ra: float | None, dec: float | None, radius: float | None, tiles: Sequence[int] | None) -> "Region":
        """Return the region of the options, or refuse half a circle and two regions at once."""
        if ra is None or dec is None or radius is None:
            if (ra, dec, radius) != (None, None, None):
                raise typer.BadParameter("a circle needs all of --ra, --dec and --radius")
            return cls(None, tiles or ())
        if tiles:
            raise typer.BadParameter("give either --ra, --dec and --radius or --tile")
        return cls((ra, dec, radius), ())

    @property
    def is_given(self) -> bool:
        """Whether it is a part only."""
        return self.circle is not None or bool(self.tiles)

    def tiles_in(self, stores: "Stores") -> "IntArray":
        """Return the sorted tiles."""
        if self.circle is not None:
            return stores.tiles_around(*self.circle)
        return stores.tiles_named(self.tiles) if self.tiles else stores.apdb.known_tiles()


def _warm(settings: Settings, region: Region) -> None:
    from stream_assoc.logs import log_beside_output
    from stream_assoc.wiring.stores import open_stores
    from stream_assoc.wiring.warming import warmer_of

    log_beside_output()
    with open_stores(settings) as (apdb, cache):
        tiles = region.tiles_in(_stores_of(settings, apdb, cache))
        _tell_written(warmer_of(settings, apdb, cache).warm(tiles), len(tiles))


def _follow(settings: Settings) -> None:
    import structlog

    from stream_assoc.apps.cli.serve import answering
    from stream_assoc.logs import configure_logging
    from stream_assoc.service.daemon.process import StopRequest
    from stream_assoc.service.warming.instruments import WarmingInstruments
    from stream_assoc.wiring.settings_check import check_settings
    from stream_assoc.wiring.warming import follow

    check_settings(settings)
    configure_logging(settings.logging.format, settings.logging.level)
    stop = StopRequest(settings.daemon.drain_deadline_seconds)
    stop.on_signals()
    instruments = WarmingInstruments()
    log = structlog.get_logger("stream_assoc.warming")
    with answering(settings, instruments, {}) as port:
        log.info("starting", http_port=port)
        follow(settings, stop, instruments)
    log.info("stopped", asked_by=stop.asked_by)


def _tell_written(pieces: "Iterator[Warmed]", n_tiles: int) -> None:
    from stream_assoc.pipeline.warming import Warmed

    written = _total(pieces, Warmed(), n_tiles, lambda one: one.tiles)
    typer.echo(
        f"{written.written_tiles} of {written.tiles} tiles "
        f"and {written.written_states} of {written.states} states written"
    )


@contextlib.contextmanager
def _stores(settings: Settings) -> "Iterator[Stores]":
    from stream_assoc.logs import log_beside_output
    from stream_assoc.wiring.stores import open_stores

    log_beside_output()
    with open_stores(settings) as (apdb, cache):
        yield _stores_of(settings, apdb, cache)


def _stores_of(settings: Settings, apdb: "Apdb", cache: "InspectableCache") -> "Stores":
    from stream_assoc.tools.maintenance.stores import Stores
    from stream_assoc.wiring.pipeline import calculator_of, checkpoints_of, partition_of

    return Stores(apdb, cache, calculator_of(settings), partition_of(settings), checkpoints_of(settings))


def _total(pieces: "Iterator[Work]", nothing: "Work", n_tiles: int, tiles_of: "Callable[[Work], int]") -> "Work":
    """Add up pieces of work, and say on standard error how far that is."""
    with Progress().count("tiles", n_tiles) as tell:

        def add(so_far: "Work", piece: "Work") -> "Work":
            done = so_far + piece
            tell(tiles_of(done))
            return done

        return reduce(add, pieces, nothing)


def _lines(found: "Verification", unreadable: int) -> Iterator[str]:
    yield _line("tiles", found.tiles)
    yield _line("states", found.states)
    if unreadable:
        yield f"{unreadable} of the missing are there but damaged, or not ours"
    if found.objects.different:
        yield f"APDB: {found.objects.different} objects whose rows contradict each other{_examples(found.objects)}"
    if found.checkpoints.checked:
        of = found.checkpoints
        yield f"checkpoints in the APDB: {of.checked} checked, {of.different} different{_examples(of)}"
    if found.drift:
        yield "largest difference of each field that differs:"
    for name, largest in found.drift.items():
        yield f"  {name}: {largest:.6g}"
    if found.repaired:
        yield f"{found.repaired} tiles and states repaired"


def _line(kind: str, tally: "Tally") -> str:
    return (
        f"{kind}: {tally.checked} checked, {tally.missing} missing, {tally.stale} stale, "
        f"{tally.different} different{_examples(tally)}"
    )


def _examples(tally: "Tally") -> str:
    if not tally.examples:
        return ""
    more = ", ..." if tally.different > len(tally.examples) else ""
    return f" ({', '.join(map(str, tally.examples))}{more})"

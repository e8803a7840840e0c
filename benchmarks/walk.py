"""How many files a reader opens who follows one batch: ``python -m benchmarks.walk``.

One batch, whose objects exist already, is answered on an SQLite APDB while every
call is noted. Each function of stream_assoc counts once, where it is first
called. A *stop* is a run of such calls in one file; a *climb* is a stop whose
file imports, at whatever distance, the file before it. Compiled kernels, and
Python's own and other packages' code, are not seen.
"""

import importlib
import itertools
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import grimp

import stream_assoc

ROOT = Path(stream_assoc.__file__).parent


def named(*names: str) -> Any:
    """Return the class or function of stream_assoc that bears the first of these names, wherever it is."""
    for module in pkgutil.walk_packages(stream_assoc.__path__, "stream_assoc."):
        if module.name.endswith("__main__"):
            continue
        for name in names:
            found = getattr(importlib.import_module(module.name), name, None)
            if getattr(found, "__module__", None) == module.name:
                return found
    raise LookupError(f"nothing in stream_assoc is called {' or '.join(names)}")


def answered(folder: Path) -> list[tuple[str, str]]:
    """Return (file, function) in the order in which answering a second visit first calls them."""
    from tests.pipeline import skies

    services = next(
        getattr(skies, name)(folder) for name in ("pinned_services", "pinned_rooms") if hasattr(skies, name)
    )
    handler = named("MessageHandler")(named("BatchDecoder")(), services, "dead-letters", named("Instruments")())
    encoder = named("BatchEncoder")()
    offsets = [0, 10, 20, 40]

    def message(visit: int, shift: float) -> Any:
        places = [2.0 + (offset + shift) * skies.ARCSEC for offset in offsets]
        one = skies.batch(visit, [150.0] * len(places), places, footprint=skies.square(150.0, 2.0))
        return named("InputMessage")(skies.position(visit), 0, None, encoder.encode(one), ())

    first, second = message(1, 0.0), message(2, 0.1)
    handler.answer([first])
    calls: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (path := Path(frame.f_code.co_filename)).is_relative_to(ROOT):
            calls.setdefault((str(path.relative_to(ROOT)), frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        handler.answer([second])
    finally:
        sys.setprofile(None)
        services.apdb.close()
    return list(calls)


def stops_of(calls: list[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each run of calls in one file."""
    file, functions = calls[0][0], list[str]()
    for at, function in calls:
        if at != file:
            yield file, functions
            file, functions = at, []
        functions.append(function)
    yield file, functions


def main() -> None:
    """Print every stop, how many there are, and how many in the files of the handler and the pipeline alone."""
    graph = grimp.build_graph("stream_assoc", exclude_type_checking_imports=True)

    def module(file: str) -> str:
        return "stream_assoc." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def is_climb(before: str, after: str) -> bool:
        return graph.find_shortest_chain(module(after), module(before)) is not None

    with tempfile.TemporaryDirectory() as folder:
        calls = answered(Path(folder) / "apdb")
    # The overlay of the cache and its port are the pipeline's, wherever they lie.
    parts = ("pipeline/", "daemon/", "service/daemon/", "cache/port", "cache/stag")
    own = [call for call in calls if call[0].startswith(parts)]
    for name, chosen in (("all", calls), ("handler and pipeline", own)):
        stops = list(stops_of(chosen))
        climbs = [False, *(is_climb(before, after) for (before, _), (after, _) in itertools.pairwise(stops))]
        for place, (climb, (file, functions)) in enumerate(zip(climbs, stops, strict=True), start=1):
            print(f"{place:3} {'^' if climb else ' '} {file:45} {', '.join(functions)}")
        n_files = len({file for file, _ in stops})
        print(f"{name}: {len(stops)} stops in {n_files} files, {sum(climbs)} climbs\n")


if __name__ == "__main__":
    main()

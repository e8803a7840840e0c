"""Parses hostile inputs in a process of its own: ``python -m tests.fuzz.worker FOLDER N_INPUTS [FIRST]``.

The process may die of a segmentation fault, an abort, its memory limit or
the watchdog; the input in hand is in ``FOLDER/input`` and which one it was in
``FOLDER/name`` then. What it survived is told as JSON on standard output.
"""

import faulthandler
import json
import mmap
import random
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.targets import TARGETS, Target

MEMORY_LIMIT_BYTES = 3 * 1024**3
"""Of address space: the interpreter, its libraries and their threads' stacks take half of it."""

DEADLINE_SECONDS = 5.0
"""Of processor time, so that a busy machine is no hang; a hundred times what the slowest input takes."""

SILENCE_SECONDS = 300.0
"""After so long on one input, the process stands still."""

WARM_UP_INPUTS = 20
"""Tried without the deadline first: where kernels were never compiled, one compiles for longer than it."""

_SLOT_BYTES = 1024**2


class Notebook:
    """Notes each input before it is tried, in files that survive the process."""

    def __init__(self, folder: Path) -> None:
        self._name = folder / "name"
        path = folder / "input"
        path.write_bytes(bytes(_SLOT_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SLOT_BYTES)

    def begin(self, target: str) -> None:
        self._name.write_text(target)

    def note(self, data: bytes) -> None:
        self._map[:8] = len(data).to_bytes(8, "little")
        kept = data[: _SLOT_BYTES - 8]
        self._map[8 : 8 + len(kept)] = kept


def noted(folder: Path) -> tuple[str, bytes]:
    """Return the target and the input that a worker had in hand."""
    data = (folder / "input").read_bytes()
    return (folder / "name").read_text(), data[8 : 8 + int.from_bytes(data[:8], "little")]


def try_all(target: Target, numbers: range, notebook: Notebook) -> dict[str, object]:
    """Try inputs by their numbers; return what came of them."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    # What is made once, kernels and tables, is no part of any input's time; one input does not reach all of it.
    for number in range(WARM_UP_INPUTS):
        data = target.make(random.Random(number))
        notebook.note(data)
        target.parse(data)
    for number in numbers:
        data = target.make(random.Random(number))
        notebook.note(data)
        # Without a handler of Python's, this signal ends the process in the midst of native code, too.
        signal.setitimer(signal.ITIMER_PROF, DEADLINE_SECONDS)
        faulthandler.dump_traceback_later(SILENCE_SECONDS, exit=True)
        start = time.process_time()
        outcomes[target.parse(data)] += 1
        slowest = max(slowest, time.process_time() - start)
    signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()
    return {"inputs": len(numbers), "outcomes": outcomes, "slowest_cpu_seconds": round(slowest, 4)}


def peak_megabytes() -> int:
    """Return the most memory this program has had; what `resource` says begins with that of its parent."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def main(folder: Path, n_inputs: int, first: int) -> None:
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    notebook = Notebook(folder)
    report: dict[str, object] = {}
    for name, target in TARGETS.items():
        notebook.begin(name)
        share = max(1, n_inputs * target.share // 100)
        report[name] = try_all(target, range(first, first + share), notebook)
        report["peak_megabytes"] = peak_megabytes()
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)

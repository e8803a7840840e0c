"""Run the model checker TLC, and read what it says."""

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from specifications.models import Run

TIMEOUT_SECONDS: Final = 3600

JVM_OPTIONS: Final = ("-Xmx3g", "-XX:+UseSerialGC")
"""The collector that suits one core."""

MESSAGE: Final = re.compile(r"@!@!@STARTMSG (\d+):\d+ @!@!@\n(.*?)\n?@!@!@ENDMSG \1 @!@!@", re.DOTALL)
"""A message in TLC's output for tools: its number and its text."""

FINISHED: Final = "2193"
STATES: Final = "2199"
TRACE_STEPS: Final = {"2217", "2218", "2122"}
"""A state of a counter-example, that it ends in stuttering, and that it goes back to an earlier state."""

VIOLATIONS: Final = {"2107", "2110", "2112", "2116"}
"""An invariant in an initial state, an invariant later, a property of steps, a property of whole behaviours."""

NAMED: Final = re.compile(r"(?:Invariant|property|Property) (\w+) is violated")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What TLC found.

    Parameters
    ----------
    finished : `bool`
        Whether TLC came to a verdict: it went through all states, or found a counter-example.
    violated : `str` or `None`
        The invariant or property that does not hold.
    states : `int`
        Distinct states seen.
    seconds : `float`
        How long it took.
    details : `str`
        The counter-example; or all that TLC said, if it came to no verdict.
    """

    finished: bool
    violated: str | None
    states: int
    seconds: float
    details: str


def check(run: Run, jars: Path, timeout: float = TIMEOUT_SECONDS) -> Outcome:
    """Run TLC on one model, with one worker."""
    with tempfile.TemporaryDirectory(prefix="stream_assoc_tlc_") as folder:
        configuration = Path(folder, "model.cfg")
        configuration.write_text(run.configuration(), encoding="utf-8")
        command = ["java", *JVM_OPTIONS, "-cp", f"{jars}/*", "tlc2.TLC", "-tool", "-workers", "1"]
        command += ["-metadir", folder, "-config", str(configuration), run.module.name]
        start = time.perf_counter()
        try:
            # TLC looks for a module, and for those that it extends, where it is started.
            result = subprocess.run(  # noqa: S603 - what is run is named here
                command,
                cwd=run.module.parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            message = f"not finished after {timeout:.0f} s"
            return Outcome(finished=False, violated=None, states=0, seconds=timeout, details=message)
        return read(result.stdout, run, time.perf_counter() - start)


def read(output: str, run: Run, seconds: float) -> Outcome:
    """Return what TLC's output for tools (``-tool``) says.

    TLC does not name a property of whole behaviours that is violated, so such
    a run is to check one only.
    """
    messages = MESSAGE.findall(output)
    violations = [text for number, text in messages if number in VIOLATIONS]
    counts = "\n".join(text for number, text in messages if number == STATES)
    counted = re.search(r"([\d,]+) distinct states found", counts)
    violated = None
    if violations:
        named = NAMED.search(violations[0])
        violated = named[1] if named else " or ".join(run.properties)
    finished = bool(violations) or any(number == FINISHED for number, _ in messages)
    trace = "\n\n".join(text.strip() for number, text in messages if number in TRACE_STEPS)
    return Outcome(
        finished=finished,
        violated=violated,
        states=int(counted[1].replace(",", "")) if counted else 0,
        seconds=seconds,
        details=trace if finished else output,
    )

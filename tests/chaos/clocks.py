"""Clocks that are off."""

from pathlib import Path
from typing import Final

OFF_CLOCK: Final = Path(__file__).parent / "off_clock"


def clock_off_by(seconds: float) -> dict[str, str]:
    """Return the environment of a daemon whose clock is off; Kafka's client library keeps the right time."""
    return {"PYTHONPATH": str(OFF_CLOCK), "OFF_CLOCK_SECONDS": str(seconds)}

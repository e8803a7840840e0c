"""``stream-assoc serve`` as operators run it: a process, configured by its environment."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.integration.deployment import Deployment

PROGRAM = Path(sys.executable).with_name("stream-assoc")
DRAIN_SECONDS = 20
EXIT_SECONDS = DRAIN_SECONDS + 20.0
"""Leaving the group and closing connections come after the drain."""


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with these settings only; ``kafka__group_id`` is kafka.group_id."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")}
    return inherited | {f"STREAM_ASSOC_{name.upper()}": str(value) for name, value in settings.items()}


def environment_of(deployment: Deployment, **settings: object) -> dict[str, str]:
    kafka, redis = deployment.settings.kafka, deployment.settings.redis
    names = ("bootstrap_servers", "group_id", "transactional_id")
    topics = ("input", "objects", "forced_sources", "metrics", "dead_letter", "next_visits", "alerts")
    return environment(
        **{f"kafka__{name}": getattr(kafka, name) for name in (*names, *(f"{topic}_topic" for topic in topics))},
        redis__url=redis.url.get_secret_value(),
        redis__prefix=redis.prefix,
        apdb__url=deployment.settings.apdb.url.get_secret_value(),
        daemon__poll_timeout_seconds=0.2,
        daemon__drain_deadline_seconds=DRAIN_SECONDS,
        logging__format="json",
        **settings,
    )


@contextlib.contextmanager
def serve(folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run the daemon in a folder without a configuration file; it has ended at the end."""
    log = folder / "serve.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [PROGRAM, "serve"], cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()

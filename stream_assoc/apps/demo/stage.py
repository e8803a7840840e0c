"""The services and the daemon of the demo, with their files in one folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from stream_assoc.exceptions import StreamAssocError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.tools.embedded.kafka import MockKafka
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from stream_assoc.tools.simulation.files import IMAGES_NAME

SETTINGS_FILE: Final = "stream-assoc.toml"
LOG_FILE: Final = "daemon.log"
APDB_FILE: Final = "apdb.sqlite3"

_CACHE_MEMORY: Final = "1gb"
_DRAIN_SECONDS: Final = 30.0
_LOG_TAIL_LINES: Final = 15


class DemoError(StreamAssocError):
    """The demo could not be completed, or its totals are wrong."""


@contextlib.contextmanager
def services(folder: Path) -> Iterator[Settings]:
    """Start a mock Kafka, a Valkey and an SQLite APDB; yield settings for a daemon on them.

    The settings stay in the folder, so that its APDB can be opened later.
    """
    with MockKafka() as kafka, EmbeddedValkey(_CACHE_MEMORY) as valkey:
        images = folder / IMAGES_NAME
        roots = [str(images.resolve())] if images.is_dir() else []
        text = _settings_text(kafka, valkey.url, folder / APDB_FILE, roots)
        (folder / SETTINGS_FILE).write_text(text, encoding="utf-8")
        # Not `load_settings`: the environment variables of this shell are for another deployment.
        settings = Settings(**tomllib.loads(text))
        topics = settings.kafka
        kafka.make_topics(
            topics.input_topic,
            topics.objects_topic,
            topics.forced_sources_topic,
            topics.metrics_topic,
            topics.dead_letter_topic,
        )
        init(settings.apdb.url.get_secret_value())
        yield settings


def _settings_text(kafka: MockKafka, valkey_url: str, apdb: Path, image_roots: list[str]) -> str:
    consumer = "\n".join(f'"{name}" = {value}' for name, value in kafka.consumer_settings.items())
    return f"""[kafka]
bootstrap_servers = "{kafka.bootstrap_servers}"
[kafka.librdkafka]
"log_level" = 3
[kafka.librdkafka_consumer]
{consumer}
[redis]
url = "{valkey_url}"
[apdb]
url = "sqlite:///{quote(str(apdb.resolve()))}"
[images]
roots = {json.dumps(image_roots)}
[daemon]
poll_timeout_seconds = 0.1
[logging]
format = "json"
"""


class DaemonProcess:
    """``stream-assoc serve`` as a process that logs into the demo's folder.

    Parameters
    ----------
    folder : `pathlib.Path`
        The demo's folder, with the settings file in it.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / LOG_FILE
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program is this package
                [sys.executable, "-m", "stream_assoc", "serve", "--config", str(folder / SETTINGS_FILE)],
                stdout=log,
                stderr=subprocess.STDOUT,
                # As above: these variables are for another deployment.
                env={name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")},
            )

    def check(self) -> None:
        """Raise `DemoError` with the end of the log if the daemon has ended."""
        if self._process.poll() is not None:
            tail = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
            raise DemoError(
                f"the daemon ended with code {self._process.returncode}; its log {self._log} ends:\n"
                + "\n".join(tail)
            )

    def stop(self) -> None:
        """Stop the daemon with SIGTERM; raise `DemoError` unless it ends cleanly."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DemoError(
                f"the daemon did not stop within {_DRAIN_SECONDS:.0f} s of SIGTERM; see {self._log}"
            ) from None
        if code != 0:
            raise DemoError(f"the daemon ended with code {code} after SIGTERM; see {self._log}")

    def kill(self) -> None:
        """Kill the daemon if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

"""What a recorded replay is: its file, its options, its topic, and the totals of what is sent."""

import hashlib
import json
import os
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from stream_assoc.exceptions import reason_of
from stream_assoc.tools.replay.alerts.sources import files_of
from stream_assoc.tools.replay.exceptions import ManifestError
from stream_assoc.tools.replay.messages import unstamped_headers
from stream_assoc.tools.replay.options import ReplayOptions
from stream_assoc.tools.replay.plan import Step

_NONE: Final = (2**64 - 1).to_bytes(8, "big")


class PlanTotals(BaseModel):
    """Counts of the steps of a plan, and their checksum.

    Attributes
    ----------
    n_steps : `int`
        All, the dropped ones too.
    n_sent, n_bytes : `int`
        Messages that are sent, and the bytes of their values.
    n_copies, n_late, n_damaged : `int`
        Of those sent.
    n_dropped : `int`
        Messages that are not.
    checksum : `str`
        SHA-256 over position, key, value and headers of each step in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: int
    n_sent: int
    n_bytes: int
    n_copies: int
    n_late: int
    n_damaged: int
    n_dropped: int
    checksum: str


class Tally:
    """Adds up steps."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys([name for name in PlanTotals.model_fields if name != "checksum"], 0)
        self._checksum = hashlib.sha256()

    def add(self, step: Step) -> Self:
        """Count a step."""
        counts = self._counts
        counts["n_steps"] += 1
        counts["n_dropped"] += step.is_dropped
        if not step.is_dropped:
            counts["n_sent"] += 1
            counts["n_bytes"] += len(step.message.value or b"")
            counts["n_copies"] += step.is_copy
            counts["n_late"] += step.is_late
            counts["n_damaged"] += step.is_damaged
        self._checksum.update(b"%d %d" % (step.position, step.is_dropped))
        for part in (step.message.key, step.message.value, *_flat(step)):
            self._checksum.update(_NONE if part is None else len(part).to_bytes(8, "big") + part)
        return self

    def totals(self) -> PlanTotals:
        """Return what has been added up."""
        return PlanTotals(**self._counts, checksum=self._checksum.hexdigest())


def _flat(step: Step) -> list[bytes]:
    return [part for name, value in unstamped_headers(step.message.headers) for part in (name.encode(), value)]


MANIFEST_NAME: Final = "manifest.json"
_CHUNK_BYTES: Final = 1 << 20


class SourceFile(BaseModel):
    """The file or the folder of alerts that is replayed: its place, its size and its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return a file as it is now.

        Raises
        ------
        ManifestError
            If it cannot be read.
        """
        digest = hashlib.sha256()
        n_bytes = 0
        for one in files_of(path) if path.is_dir() else [path]:
            if one != path:
                digest.update(f"{one.relative_to(path)}\n".encode())
            try:
                with one.open("rb") as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        digest.update(chunk)
                        n_bytes += len(chunk)
            except OSError as error:
                raise ManifestError(f"cannot read {one}: {reason_of(error)}") from error
        return cls(path=path.resolve(), n_bytes=n_bytes, sha256=digest.hexdigest())

    def check(self) -> None:
        """Raise `ManifestError` unless the file is still what it was."""
        if SourceFile.of(self.path) != self:
            raise ManifestError(
                f"{self.path} is not the file it was when the replay began; restore it, or begin anew"
            )


class Manifest(BaseModel):
    """A recorded replay.

    Attributes
    ----------
    run : `str`
        Its name; every message carries it.
    source : `SourceFile`
    options : `ReplayOptions`
    topic : `str`
        Where the messages go.
    begin_offsets : `dict` [`int`, `int`]
        The end of each partition when the replay began.
    began_ms : `int`
        When that was, milliseconds since 1970 UTC.
    totals : `PlanTotals` or `None`
        What was sent; `None` until all is.
    n_producers : `int`
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["stream_assoc.replay.v1"] = "stream_assoc.replay.v1"
    run: str
    source: SourceFile
    options: ReplayOptions
    topic: str
    begin_offsets: dict[int, int]
    began_ms: int
    n_producers: int = 1
    totals: PlanTotals | None = None

    def write(self, folder: Path) -> None:
        """Write it into a folder, whole or not at all, with its own checksum."""
        content = self.model_dump(mode="json")
        text = json.dumps({**content, "checksum": _checksum(content)}, indent=2) + "\n"
        partial = folder / f"{MANIFEST_NAME}.partial"
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / MANIFEST_NAME)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it back.

        Raises
        ------
        ManifestError
            If there is none, or it was changed or damaged.
        """
        path = folder / MANIFEST_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ManifestError(
                f"{folder} holds no recorded replay: {reason_of(error)}; `stream-assoc replay run --record` makes one"
            ) from error
        except ValueError as error:
            raise ManifestError(f"{path} is damaged: {reason_of(error)}") from error
        checksum = content.pop("checksum", None) if isinstance(content, dict) else None
        if checksum != _checksum(content):
            raise ManifestError(f"{path} does not match its checksum: it was changed or damaged; begin anew")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ManifestError(f"{path} is of another version: {error.errors()[0]['msg']}; begin anew") from error

    def check_totals(self, totals: PlanTotals) -> None:
        """Raise `ManifestError` if the plan, made again, comes to something else than what was sent."""
        if self.totals is not None and self.totals != totals:
            raise ManifestError(
                f"the plan of {self.source.path} made again differs from what was sent "
                f"({totals.n_sent} messages with checksum {totals.checksum[:12]}, then {self.totals.n_sent} with "
                f"{self.totals.checksum[:12]}); was this package or a mapping changed in between?"
            )


def _checksum(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

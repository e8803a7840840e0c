"""Earlier releases of the program, as source that the interpreter of the tests runs."""

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import fastavro
import pytest

from stream_assoc.messaging.avro.schemas import BATCH, BATCH_SCHEMA_ID, known_schemas
from stream_assoc.messaging.avro.wire import HEADER_BYTES, header, rubin_schema_id

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = REPOSITORY / ".cache" / "releases"
"""Kept from run to run: its kernels take a minute to compile."""

SCHEMA_ID: Final = rubin_schema_id(1, 1)
"""Under which releases wrote batches before each schema had ids of its own."""


def source_of(commit: str) -> Path:
    """Return the folder with the program as it was at a commit, for ``PYTHONPATH``.

    Its dependencies are those of today.
    """
    folder = FOLDER / commit
    if not (folder / "stream_assoc").is_dir():
        archived = subprocess.run(
            ["git", "archive", commit, "stream_assoc", "schemas"], cwd=REPOSITORY, capture_output=True, check=False
        )
        if archived.returncode:
            pytest.skip(f"the release {commit} is not in this clone: {archived.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder


def written_before(value: bytes) -> bytes:
    """Return the message of a batch as producers of the first releases write it, which every daemon reads."""
    schemas = known_schemas(BATCH)
    datum = io.BytesIO(value[HEADER_BYTES:])
    record = fastavro.schemaless_reader(datum, fastavro.parse_schema(schemas.writer_schema(BATCH_SCHEMA_ID)))
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(schemas.writer_schema(SCHEMA_ID)), record)
    return header(SCHEMA_ID) + target.getvalue()

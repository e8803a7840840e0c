import json
from pathlib import Path

import pytest

from stream_assoc.messaging.avro.schema_generation import generate_schema, schema_text, write_schemas
from stream_assoc.messaging.avro.schemas import NAMES, schema_folder


@pytest.mark.parametrize("name", NAMES)
def test_the_checked_in_schema_is_the_generated_one(name) -> None:
    checked_in = (schema_folder() / f"{name}.avsc").read_text(encoding="utf-8")
    assert checked_in == schema_text(generate_schema(name)), "run `stream-assoc schemas generate`"


def test_schemas_are_written_to_a_folder(tmp_path: Path) -> None:
    files = write_schemas(tmp_path / "new")
    assert [json.loads(file.read_text()) for file in files] == [generate_schema(name) for name in NAMES]


def test_there_is_no_file_that_is_not_generated() -> None:
    assert sorted(file.name for file in schema_folder().iterdir()) == sorted(f"{name}.avsc" for name in NAMES)

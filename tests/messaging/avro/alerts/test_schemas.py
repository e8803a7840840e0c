import subprocess
import sys

import fastavro
import pytest
from lsst.alert.packet import Schema, get_latest_schema_version, get_schema_path

from stream_assoc.messaging.avro.alerts.columns import TableWriter
from stream_assoc.messaging.avro.alerts.schemas import (
    LATEST,
    VERSIONS,
    alert_schema,
    alert_schema_id,
    known_alert_schemas,
)
from stream_assoc.messaging.exceptions import AvroSchemaError


@pytest.mark.parametrize("version", VERSIONS)
def test_a_schema_is_rubins_in_one_record(version: str) -> None:
    major, minor = version.split(".")
    rubins = Schema.from_file(f"{get_schema_path(int(major), int(minor))}/lsst.v{major}_{minor}.alert.avsc")
    ours = alert_schema(version)
    assert fastavro.schema.to_parsing_canonical_form(ours) == fastavro.schema.to_parsing_canonical_form(
        rubins.definition
    )
    assert alert_schema_id(version) == rubins.get_schema_id()
    assert known_alert_schemas().writer_schema(rubins.get_schema_id()) is ours


def test_the_latest_is_the_packages() -> None:
    assert ".".join(map(str, get_latest_schema_version())) == LATEST


@pytest.mark.parametrize("version", ["7.3", "12.0", "latest", ""])
def test_another_version_is_an_error_that_names_those_there_are(version: str) -> None:
    with pytest.raises(AvroSchemaError, match=r"7\.4, 8\.0.*11\.1"):
        alert_schema(version)
    with pytest.raises(AvroSchemaError, match=r"7\.4, 8\.0.*11\.1"):
        alert_schema_id(version)


def test_a_record_that_requires_what_no_column_has_is_an_error() -> None:
    schema = {"type": "record", "name": "diaSource", "fields": [{"name": "programId", "type": "int"}]}
    with pytest.raises(AvroSchemaError, match="diaSource requires programId"):
        TableWriter("DiaSource", schema)


def test_schemas_are_read_without_the_packages_imports() -> None:
    """Its own import loads an HTTP client."""
    code = (
        "import sys; from stream_assoc.messaging.avro.alerts.schemas import alert_schema; alert_schema(); "
        "sys.exit('requests' in sys.modules or 'lsst.resources' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

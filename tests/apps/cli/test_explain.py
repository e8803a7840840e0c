"""``stream-assoc explain`` on a stored night."""

import json

import pytest

from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.reading.port import NotStoredError
from tests.apps.cli.invoking import Invoke
from tests.pipeline.skies import night
from tests.stores.apdb.reading.nights import sqlite_night

__all__ = ["sqlite_night"]


@pytest.fixture
def sources(sqlite_night):
    reader = open_reader(sqlite_night.url)
    rows = reader.sources_of_batch(night()[-1].id).to_pylist()
    reader.close()
    return rows


@pytest.fixture
def explain(invoke: Invoke, sqlite_night):
    return lambda *arguments: invoke("explain", *arguments, "--set", f"apdb.url={sqlite_night.url}")


def test_a_source_that_joined(explain, sources) -> None:
    joined = next(one for one in sources if one["diaObjectId"] not in {None, one["diaSourceId"]})
    shown = explain(joined["diaSourceId"]).output
    assert f"It joined DIAObject {joined['diaObjectId']}" in shown.replace("\n", " ")
    assert "The recomputation agrees with what is stored." in shown
    assert max(map(len, shown.splitlines())) <= 80
    # The table too holds the whole id.
    assert sum(str(joined["diaObjectId"]) in line for line in shown.splitlines()) == 2


def test_what_is_in_brackets_is_not_taken_for_markup(explain, sources) -> None:
    joined = next(one for one in sources if one["diaObjectId"] not in {None, one["diaSourceId"]})
    shown = explain(joined["diaSourceId"], "--set", "association.max_distance_arcsec=1e-6").output.replace("\n", " ")
    assert "The recomputation does not agree with what is stored." in shown
    assert "the [association] settings" in shown


def test_json_is_one_line_of_everything(explain, sources) -> None:
    one = sources[0]
    (line,) = explain(one["diaSourceId"], "--json").stdout.splitlines()
    told = json.loads(line)
    assert told["source"]["diaSourceId"] == one["diaSourceId"]
    assert told["verdict"] in {"joined", "founded", "solar_system"}
    assert {"candidates", "agrees", "limits", "margin", "unmatched_cost", "summary"} <= set(told)


def test_a_source_of_the_solar_system(explain, sources) -> None:
    solar = next(one for one in sources if one["ssObjectId"] is not None)
    shown = explain(solar["diaSourceId"]).output.replace("\n", " ")
    assert f"solar-system object {solar['ssObjectId']}" in shown
    assert "A recomputation cannot tell." in shown


def test_an_unknown_source_is_an_error_that_says_what_is_not_stored(explain) -> None:
    with pytest.raises(NotStoredError, match="the metrics of their batch count them"):
        explain(17)


def test_what_is_no_id_is_wrong_usage(explain) -> None:
    assert explain("object").exit_code == 2

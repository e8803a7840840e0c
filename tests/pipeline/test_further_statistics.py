"""Statistics that DiaObject has no column for: stored beside it, published with it, in the same transaction."""

import math
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.statistics.registry import ALL_PLUGINS, OPTIONAL_PLUGINS, find_plugin
from stream_assoc.messaging.avro.output_decoder import decode_objects
from stream_assoc.pipeline.batches import Processed
from tests.contents import FURTHER, columns, n_rows
from tests.pipeline.skies import apdb_url, night, pinned_services, process_from

KEY = ("diaObjectId", "validityStartMjdTai")
NAMES = tuple(column.name for column in further_statistics())
ALL = {"statistics": {"plugins": ALL_PLUGINS}}


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory):
    """Return services with every plugin after a night, what came of it, and where."""
    folder = tmp_path_factory.mktemp("further")
    services = pinned_services(folder, **ALL)
    outcomes = process_from(services, 0, *night())
    yield services, outcomes, apdb_url(folder)
    services.apdb.close()


def published(outcomes):
    messages = [one for outcome in outcomes for one in outcome.outputs if one.topic == "dia-objects"]
    return decode_objects([message.value for message in messages]).to_pylist()


def stored(url):
    rows = columns(url, FURTHER, *KEY, *NAMES)
    return {row[:2]: dict(zip(NAMES, row[2:], strict=True)) for row in rows}


def test_every_version_has_a_row(processed) -> None:
    _, _, url = processed
    assert set(stored(url)) == set(columns(url, "DiaObject", *KEY))


def test_what_is_published_is_what_is_stored(processed) -> None:
    _, outcomes, url = processed
    assert all(isinstance(outcome, Processed) for outcome in outcomes)
    rows = published(outcomes)
    assert {tuple(row[name] for name in KEY): row["statistics"] for row in rows} == stored(url)
    assert len(rows) == len(stored(url))


def test_they_are_those_of_the_stored_sources(processed) -> None:
    services, outcomes, url = processed
    kept = stored(url)
    last = {row["diaObjectId"]: row["validityStartMjdTai"] for row in published(outcomes)}
    ids = np.array(sorted(last), np.int64)
    tiles = services.apdb.known_tiles()
    with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as session:
        statistics = services.calculator.statistics(services.calculator.rebuild(session.load_histories(ids)))
    computed = [name for name in NAMES if name in statistics]
    assert len(computed) == 1 + 6 * 12
    for name in computed:
        ours = [kept[key, last[key]][name] for key in ids.tolist()]
        assert ours == [None if math.isnan(value) else value for value in statistics[name].tolist()], name
    assert {value for row in kept.values() for name, value in row.items() if name not in computed} == {None}
    assert sum(row["r_psfFluxStetsonJ"] is not None for row in kept.values()) > 50


def test_upstreams_default_plugins_compute_none(tmp_path: Path) -> None:
    services = pinned_services(tmp_path)
    outcomes = process_from(services, 0, *night()[:4])
    assert {row["statistics"] for row in published(outcomes)} == {None}
    assert n_rows(apdb_url(tmp_path), FURTHER) == 0
    services.apdb.close()


def test_every_column_is_computed_by_a_plugin_and_none_is_forgotten() -> None:
    plugins = [find_plugin(name) for name in (*ALL_PLUGINS, *OPTIONAL_PLUGINS)]
    columns_of = {name for plugin in plugins for name in plugin.columns}
    bare = {name if name in columns_of else name.partition("_")[2] for name in NAMES}
    assert bare <= columns_of
    assert {"psfFluxSkew", "period", "u_multiAmp", "multiFap", "flags", "scienceFluxSigma"} <= bare

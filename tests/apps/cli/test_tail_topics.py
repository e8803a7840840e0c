"""``metrics tail`` and ``objects tail`` on a real broker: what was committed, what was asked for, and no more."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from stream_assoc.apps.cli import live
from stream_assoc.tools.subscription.since import SubscriptionError
from tests.apps.cli.invoking import Invoke
from tests.outputs import ended, forced_sources_of, metrics_of, metrics_value, objects_of, publish


@pytest.fixture
def tail(invoke: Invoke, kafka_bootstrap: str, topic):
    """Print what is on the topic from its beginning to its end; return the lines."""

    def tail(kind, *options):
        result = invoke(
            *(kind, "tail", "--from-beginning", "--until-end", *options),
            f"--set=kafka.bootstrap_servers={kafka_bootstrap}",
            f"--set=kafka.{kind.replace('-', '_')}_topic={topic}",
        )
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()

    return tail


@pytest.mark.integration
def test_metrics_are_printed_from_the_beginning_up_to_the_limit(tail, kafka_bootstrap: str, topic) -> None:
    records = [metrics_of(visit) for visit in (1, 2, 3)]
    publish(kafka_bootstrap, topic, list(map(metrics_value, records)))
    printed = tail("metrics", "--limit", 2, "--json")
    assert [json.loads(line) for line in printed] == [asdict(record) for record in records[:2]]


@pytest.mark.integration
def test_filters_choose_and_the_limit_counts_what_is_left(tail, kafka_bootstrap: str, topic) -> None:
    records = [
        metrics_of(1, midpointMjdTai=61041.1),
        metrics_of(2, band="g", midpointMjdTai=61042.1),
        metrics_of(3, detector=9, midpointMjdTai=61042.1),
        metrics_of(4, midpointMjdTai=61042.1),
    ]
    publish(kafka_bootstrap, topic, list(map(metrics_value, records)))

    def visits(*options):
        return [json.loads(line)["visit"] for line in tail("metrics", "--json", *options)]

    assert visits() == [1, 2, 3, 4]
    assert visits("--visit", 2, "--visit", 4) == [2, 4]
    assert visits("--detector", 9) == [3]
    assert visits("--band", "g") == [2]
    assert visits("--night", "2026-01-01") == [2, 3, 4]
    assert visits("--night", "20260101", "--limit", 1) == [2]


@pytest.mark.integration
def test_bad_messages_are_told_beside_the_others(tail, kafka_bootstrap: str, topic) -> None:
    publish(kafka_bootstrap, topic, [b"aborted"], commit=False)
    publish(kafka_bootstrap, topic, [metrics_value(metrics_of(1)), b"rubbish", metrics_value(metrics_of(2))])
    assert [line.split(" detector")[0] for line in tail("metrics")] == ["visit 1", "visit 2"]


@pytest.mark.integration
def test_objects_are_chosen_by_id_place_and_band(tail, kafka_bootstrap: str, topic) -> None:
    large = 2**60 + 1
    objects = objects_of([1, large], ra=[10.0, 20.0], dec=[0.0, -30.0], g_psfFluxMean=[5.0, None])
    publish(kafka_bootstrap, topic, [*objects, ended(1)])

    def ids(*options):
        return [json.loads(line)["diaObjectId"] for line in tail("objects", "--json", *options)]

    assert ids() == [1, large, 1]
    assert ids("--object", large) == [large]
    assert ids("--cone", 10, 0.5, 1) == [1]
    assert ids("--band", "g") == [1]
    lines = tail("objects", "--object", 1)
    assert lines == ["1  10.000000 +0.000000  0 sources  g 5 nJy", "1  ended"]


@pytest.mark.integration
def test_forced_sources_are_chosen_and_printed(tail, kafka_bootstrap: str, topic) -> None:
    large = 2**60 + 1
    fluxes: dict[str, Any] = {"psfFlux": [-1.5, None], "psfFluxErr": [0.5, None], "visit": [7, 8], "band": ["g", "r"]}
    publish(kafka_bootstrap, topic, forced_sources_of([large, 2], **fluxes))
    (record,) = map(json.loads, tail("forced-sources", "--json", "--visit", 7))
    assert (record["diaObjectId"], record["psfFlux"], record["scienceFlux"]) == (large, -1.5, None)
    assert tail("forced-sources", "--band", "r") == ["2  visit 8 detector 0 r  no flux"]
    assert tail("forced-sources", "--object", large) == [f"{large}  visit 7 detector 0 g  psfFlux -2 ± 0 nJy"]


@pytest.mark.integration
def test_a_terminal_gets_a_table_that_follows(
    tail, kafka_bootstrap: str, topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(kafka_bootstrap, topic, [metrics_value(metrics_of(visit, numDiaSources=1234)) for visit in range(50)])
    monkeypatch.setattr(live, "on_a_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("LINES", "20")
    printed = "\n".join(tail("metrics"))
    assert "50 in all" in printed
    assert "1,234" in printed
    # The last fit; the first have made room.
    assert "│ 49 " in printed
    assert "│ 2 " not in printed


@pytest.mark.integration
def test_a_time_is_compared_with_that_of_publication(invoke: Invoke, kafka_bootstrap: str, topic) -> None:
    publish(kafka_bootstrap, topic, [metrics_value(metrics_of(1))], time_ms=1_600_000_000_000)
    publish(kafka_bootstrap, topic, [metrics_value(metrics_of(2))], time_ms=1_700_000_000_000)
    options = (f"--set=kafka.bootstrap_servers={kafka_bootstrap}", f"--set=kafka.metrics_topic={topic}")
    printed = invoke("metrics", "tail", "--since", "2022-01-01", "--until-end", "--json", *options).stdout
    assert json.loads(printed)["visit"] == 2


def test_options_that_contradict_or_say_nothing_are_refused(invoke: Invoke) -> None:
    refused = invoke("metrics", "tail", "--since", "2h", "--from-beginning")
    assert (refused.exit_code, "not both" in refused.stderr) == (2, True)
    refused = invoke("metrics", "tail", "--night", "soon")
    assert (refused.exit_code, "YYYYMMDD" in refused.stderr) == (2, True)
    with pytest.raises(SubscriptionError, match="a duration such as 2h"):
        invoke("metrics", "tail", "--since", "soon")

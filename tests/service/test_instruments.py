import platform
from dataclasses import replace

import pytest

from stream_assoc import __version__
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.service.instruments import Instruments

METRICS = AssociationMetrics(
    visit=1,
    detector=2,
    band="g",
    midpointMjdTai=61000.0,
    timeProcessedMjdTai=61000.0 + 45.0 / 86400.0,
    numDiaSources=12,
    numAssociatedDiaSources=5,
    numNewDiaObjects=3,
    numUpdatedDiaObjects=5,
    numUnassociatedDiaObjects=15,
    fracUpdatedDiaObjects=0.25,
    totalUnassociatedDiaObjects=1003,
    numTotalSolarSystemObjects=2,
    numAssociatedSsObjects=1,
    numMarginalDiaSources=2,
    numDroppedDiaSources=1,
    numAmbiguousDiaSources=4,
    medianMargin=0.5,
    medianRaOffset=0.01,
    medianDecOffset=-0.02,
    rmsSeparation=0.07,
    stageSeconds={"decode": 0.001, "associate": 0.5},
    inputTopic=None,
    inputPartition=None,
    inputOffset=None,
)


@pytest.fixture
def instruments():
    return Instruments()


def value(instruments, name, **labels):
    return instruments.registry.get_sample_value(f"stream_assoc_{name}", labels)


def test_every_source_is_counted_once(instruments) -> None:
    instruments.observe(METRICS)
    instruments.observe(METRICS)
    outcomes = ("associated", "solar_system", "new", "marginal", "dropped")
    counts = [value(instruments, "dia_sources_total", outcome=outcome) for outcome in outcomes]
    assert counts == [10, 2, 6, 4, 2]
    assert sum(counts) == 2 * METRICS.numDiaSources
    assert value(instruments, "batches_total", outcome="processed") == 2
    assert value(instruments, "ambiguous_dia_sources_total") == 8


def test_objects_stages_latency_and_levels(instruments) -> None:
    instruments.observe(METRICS)
    assert value(instruments, "dia_objects_total", outcome="unassociated") == 15
    assert value(instruments, "stage_seconds_sum", stage="associate") == 0.5
    assert value(instruments, "latency_seconds_sum") == pytest.approx(45.0, abs=1e-3)
    assert value(instruments, "unassociated_dia_objects") == 1003
    assert value(instruments, "last_midpoint_mjd_tai") == 61000.0
    assert value(instruments, "astrometric_offset_arcsec", axis="dec") == -0.02
    assert value(instruments, "rms_separation_arcsec") == 0.07
    assert value(instruments, "frac_updated_dia_objects") == 0.25
    assert value(instruments, "runner_up_margin") == 0.5
    assert value(instruments, "solar_system_objects_total") == 2
    assert value(instruments, "batch_dia_sources_sum") == 12
    assert value(instruments, "last_processed_timestamp_seconds") > 1.7e9


def test_steps_of_a_micro_batch_are_observed(instruments) -> None:
    instruments.observe_micro_batch({"store": 0.02, "publish": 0.04})
    instruments.observe_micro_batch({"store": 0.3})
    value = instruments.registry.get_sample_value
    assert value("stream_assoc_micro_batch_step_seconds_sum", {"step": "store"}) == pytest.approx(0.32)
    assert value("stream_assoc_micro_batch_step_seconds_count", {"step": "publish"}) == 1


def test_an_undefined_offset_leaves_the_last_one(instruments) -> None:
    instruments.observe(METRICS)
    instruments.observe(
        replace(METRICS, medianRaOffset=None, medianDecOffset=None, rmsSeparation=None, fracUpdatedDiaObjects=None)
    )
    assert value(instruments, "astrometric_offset_arcsec", axis="ra") == 0.01
    assert value(instruments, "frac_updated_dia_objects") == 0.25


def test_what_is_not_processed_is_counted_too(instruments) -> None:
    instruments.count_redelivery()
    instruments.count_decided_again()
    instruments.count_dead_letter("unknown_band")
    instruments.count_retry("apdb")
    instruments.count_cache_reads("tile", hits=3, misses=1)
    assert value(instruments, "batches_total", outcome="redelivered") == 1
    assert value(instruments, "batches_total", outcome="dead_letter") == 1
    assert value(instruments, "decided_again_total") == 1
    assert value(instruments, "dead_letters_total", reason="unknown_band") == 1
    assert value(instruments, "retries_total", service="apdb") == 1
    assert value(instruments, "cache_reads_total", kind="tile", result="hit") == 3
    assert value(instruments, "cache_reads_total", kind="tile", result="miss") == 1


def test_lag_is_shown_for_the_partitions_read_here(instruments) -> None:
    instruments.set_lag("dia-sources", 3, 17)
    assert value(instruments, "lag_messages", topic="dia-sources", partition="3") == 17
    instruments.forget_lag("dia-sources", 3)
    assert value(instruments, "lag_messages", topic="dia-sources", partition="3") is None


def test_what_a_rule_asks_for_is_there_before_it_first_happens(instruments) -> None:
    for outcome in ("processed", "redelivered", "dead_letter"):
        assert value(instruments, "batches_total", outcome=outcome) == 0
    assert value(instruments, "dead_letters_total", reason="quarantine") == 0
    assert value(instruments, "last_processed_timestamp_seconds") == 0
    assert value(instruments, "build_info", version=__version__, python_version=platform.python_version()) == 1
    assert instruments.registry.get_sample_value("process_resident_memory_bytes") > 1e6


def test_gaps_of_the_input_are_counted_by_cause(instruments: Instruments) -> None:
    assert value(instruments, "input_gaps_total", cause="recreated") == 0
    instruments.count_gap("deleted", 3)
    assert value(instruments, "input_gaps_total", cause="deleted") == 1
    assert value(instruments, "skipped_offsets_total") == 3


def test_messages_of_a_micro_batch_are_observed_by_number_and_size(instruments) -> None:
    instruments.observe_messages([1000, 3000])
    assert value(instruments, "micro_batch_messages_sum") == 2
    assert value(instruments, "micro_batch_messages_count") == 1
    assert value(instruments, "message_bytes_sum") == 4000


def test_membership(instruments) -> None:
    instruments.set_membership(joined=True, n_partitions=4, n_rebalances=1)
    instruments.set_membership(joined=False, n_partitions=0, n_rebalances=2)
    assert value(instruments, "consumer_group_joined") == 0
    assert value(instruments, "assigned_partitions") == 0
    assert value(instruments, "rebalances_total") == 3


def test_two_daemons_in_one_process_do_not_mix(instruments) -> None:
    other = Instruments()
    instruments.show_up("apdb", lambda: True)
    other.show_up("apdb", lambda: False)
    assert value(instruments, "service_up", service="apdb") == 1
    assert value(other, "service_up", service="apdb") == 0

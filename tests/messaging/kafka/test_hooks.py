"""What librdkafka's statistics say of the group, from a real consumer of a mock cluster."""

import json

import pytest

from stream_assoc.messaging.kafka.hooks import GroupState, SourceHooks, group_state
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.tools.embedded.kafka import MockKafka


def test_a_document_without_a_group_is_no_member() -> None:
    assert group_state("{}") == GroupState(joined=False, n_partitions=0, n_rebalances=0, n_brokers_up=0)


@pytest.mark.parametrize(
    ("state", "join_state", "joined"),
    [("up", "steady", True), ("up", "wait-join", False), ("wait-broker", "steady", False)],
)
def test_only_a_settled_member_has_joined(state: str, join_state: str, joined: bool) -> None:
    group = {"state": state, "join_state": join_state, "assignment_size": 3, "rebalance_cnt": 2}
    brokers = {"a": {"state": "UP"}, "b": {"state": "DOWN"}, "c": {"state": "UP"}}
    assert group_state(json.dumps({"cgrp": group, "brokers": brokers})) == GroupState(joined, 3, 2, 2)


def test_a_source_tells_when_it_has_joined() -> None:
    with MockKafka() as kafka:
        kafka.make_topics("in")
        options = {"bootstrap.servers": kafka.bootstrap_servers, **kafka.consumer_settings}
        told: list[GroupState] = []
        source = KafkaSource(options, ["in"], group_id="told", hooks=SourceHooks(on_group_state=told.append))
        try:
            while not (told and told[-1].joined):
                assert len(told) < 30
                source.poll(1, 0.1)
        finally:
            source.close()
    assert told[-1].n_partitions > 0
    assert told[-1].n_brokers_up > 0

"""The reference of the topics, from the settings, their specifications and their schemas."""

from collections.abc import Iterator

from documentation.markdown import head, table
from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER
from stream_assoc.messaging.authority import SIGNATURE_SUFFIX
from stream_assoc.messaging.avro.dead_letters import LEFT_OUT_HEADER, PREFIX, RECORD_HEADER
from stream_assoc.messaging.avro.schemas import (
    BATCH,
    DEAD_LETTER,
    FORCED_SOURCE,
    METRICS,
    NAMES,
    NEXT_VISIT,
    OBJECT,
    known_schemas,
    load_schema,
    schema_id,
)
from stream_assoc.messaging.kafka.topics import topic_specs
from stream_assoc.settings import Settings

INTRODUCTION = """\
`stream-assoc topics init` creates these topics, with the settings in the table and the broker's defaults for the
rest. It does not change topics that exist, and reports what is wrong with them. Names, partitions and replicas are
settings of [`[kafka]`](../configuration.md#kafka). Messages with one key keep their order: even several daemons
publish the versions of an object one after the other, so compaction keeps the latest.

With `message.timestamp.type=LogAppendTime` the age of a message counts from when it is written. With Kafka's default,
`CreateTime`, it counts from the time that the producer gave: the broker deletes a night of last year, copied with its
times, within five minutes. `topics init`, `config check --topics` and the start of `serve` warn of topics that would
lose messages in this way, or before they are read. To change a topic that exists:

```console
$ kafka-configs.sh --bootstrap-server localhost:9092 --topic dia-sources --alter --add-config message.timestamp.type=LogAppendTime
```

On a cluster set `kafka.replication_factor = 3`: `min.insync.replicas`, below for one broker, becomes 2, more than half, so that
a message that was acknowledged survives any one broker, and one broker may be away. Both are warned of where they
are less, as are unclean elections. To change a topic that exists, `--add-config min.insync.replicas=2` as above, and
`kafka-reassign-partitions.sh` for its replicas.

`subscribe` and `tail` compare `--since` with that time: when a message was published.
"""  # noqa: E501 - a command is one line

WIRE = """\
## Format of a message

A value is Avro in the Confluent wire format: the byte 0, the schema id in 4 bytes (big-endian), the record. With
`kafka.schema_registry_url` set, ids are the registry's and schemas are registered under `TOPIC-value`, by daemons,
`replay`, `simulate` and `announce`. Without a registry, ids are our own: a billion, a million times the number of the
schema, 100 times the major version, and the minor one. None is an id of Rubin's alert packets (100 times the major
version plus the minor one) or one that a registry comes to by counting, so that one table, or one registry that
takes ids as they are given (Confluent's mode `IMPORT`), may hold all of them.

A daemon with a registry knows our own ids as well, and does not ask for them: batches that were written without the
registry stay readable. The header `dlq.record` always has our own.
"""

READING = """\
Earlier releases wrote every schema under 100 and its minor version, so that one id stood for several schemas. Readers
know by the topic which is meant.

Read the outputs with `isolation.level=read_committed`: then you see each exactly once, and nothing that a daemon sent
just before it was killed.

## Headers
"""


def page() -> str:
    """Return the page."""
    lines = [*head("Topics", "stream_assoc/messaging and the settings"), INTRODUCTION]
    lines += table(["topic", "setting", "one message", "key", "settings"], _topics())
    lines += [WIRE]
    lines += table(["schema", "id", "earlier ones that are read"], _ids())
    lines += [READING]
    lines += table(
        ["header", "on", "meaning"],
        [
            (f"`{REPROCESSING_HEADER}: true`", "input", "signed: the batch takes the place of the one before"),
            (f"`{RELEASE_HEADER}: quarantine`", "input", "signed: the batch may create any number of objects"),
            (f"one of these names and `{SIGNATURE_SUFFIX}`", "input", "its [signature](../order.md#signatures)"),
            *(
                (f"`{PREFIX}{field['name']}`", "dead letters", field.get("doc", ""))
                for field in load_schema(DEAD_LETTER)["fields"]
            ),
            (
                f"`{LEFT_OUT_HEADER}`",
                "dead letters",
                "which of `value`, `headers` and `key` do not fit; the input topic still holds the message",
            ),
            (
                f"`{RECORD_HEADER}`",
                "dead letters",
                f"all of these in one, as Avro: [{DEAD_LETTER}](schemas.md#{DEAD_LETTER})",
            ),
        ],
    )
    return "\n".join(lines).rstrip() + "\n"


def _ids() -> Iterator[tuple[str, int, str]]:
    for name in NAMES:
        current = schema_id(name)
        earlier = ", ".join(str(one) for one in sorted(known_schemas(name)) if one != current)
        yield f"[{name}](schemas.md#{name})", current, earlier


def _topics() -> Iterator[tuple[str, str, str, str, str]]:
    kafka = Settings().kafka
    specs = {spec.name: spec for spec in topic_specs(kafka)}
    for setting, schema, key in (
        ("input_topic", BATCH, "the producer's; `replay` and `simulate` take the sky cell of the footprint"),
        ("objects_topic", OBJECT, "diaObjectId in decimal; no value when the object is closed"),
        ("forced_sources_topic", FORCED_SOURCE, "diaObjectId in decimal"),
        ("metrics_topic", METRICS, "visit.detector"),
        ("dead_letter_topic", DEAD_LETTER, "the original key; the value is the original's, unchanged"),
        ("next_visits_topic", NEXT_VISIT, "the producer's; plain JSON is read too"),
    ):
        spec = specs[getattr(kafka, setting)]
        made = ", ".join(f"`{name}={value}`" for name, value in spec.config.items()) or "defaults"
        doc = load_schema(schema).get("doc", "")
        yield f"`{spec.name}`", f"`kafka.{setting}`", f"{doc} ([schema](schemas.md#{schema}))", key, made

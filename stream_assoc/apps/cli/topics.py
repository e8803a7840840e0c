"""``stream-assoc topics``: make the Kafka topics."""

import typer

from stream_assoc.apps.cli.app import App
from stream_assoc.apps.cli.options import ConfigOption, SetOption, closing, note, settings_of, without_client_logs

app = App(help="Make the Kafka topics.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make the Kafka topics."""


@app.command(
    epilog=closing(
        "stream-assoc topics init",
        "stream-assoc topics init --set kafka.partitions=16 --set kafka.replication_factor=3",
    )
)
def init(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Create the topics that do not exist yet; those that do are left as they are.

    Needs Kafka at kafka.bootstrap_servers and a user that may create topics:
    the input, the objects (compacted), the metrics and the dead letters.
    """
    from stream_assoc.messaging.kafka.client import kafka_named
    from stream_assoc.messaging.kafka.topics import ensure_topics

    kafka = without_client_logs(settings_of(config, set_).kafka)
    with kafka_named(kafka, note):
        created = ensure_topics(kafka)
    typer.echo(f"created: {', '.join(created)}" if created else "All topics exist.")

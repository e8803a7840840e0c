"""The reference of the metrics, from the published record and the Prometheus instruments."""

import dataclasses
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from documentation.markdown import head, table
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.instruments import Instruments
from stream_assoc.service.loop_instruments import LoopInstruments

INTRODUCTION = """\
## Prometheus

`http://HOST:PORT/metrics` on `metrics.prometheus_port`; `/healthz` and `/readyz` answer there too
([how to monitor](../how-to/monitor.md)). Counters end in `_total`; a histogram `x` has the series `x_bucket`, `x_sum`
and `x_count`. The daemon also serves the `process_*` metrics of every Prometheus client: processor time, memory,
open files. Each daemon has its own numbers; the alert rules and the Grafana dashboard combine them.
"""

ALERTS = """\
### Of `stream-assoc alerts`

It has those of its loop too: lag, group, gaps, retries, services.
"""

RECORD = """\
## The metrics topic

One record a batch on `kafka.metrics_topic` ([schema](schemas.md#association_metrics)), named and defined as the
metrics of `lsst.ap.association`.
"""


def page() -> str:
    """Return the page."""
    lines = [*head("Metrics", "stream_assoc/service/instruments.py"), INTRODUCTION]
    lines += table(["metric", "kind", "labels", "meaning"], instruments())
    lines += ["", ALERTS]
    lines += table(["metric", "kind", "labels", "meaning"], alert_instruments())
    lines += [RECORD]
    lines += table(
        ["field", "unit", "meaning"],
        [
            (f"`{one.name}`", one.metadata["unit"], one.metadata["doc"])
            for one in dataclasses.fields(AssociationMetrics)
        ],
    )
    return "\n".join(lines).rstrip() + "\n"


def instruments() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, kind, labels and help of each instrument of a daemon that associates, by name."""
    return _described(Instruments().registry)


def alert_instruments() -> Iterator[tuple[str, str, str, str]]:
    """Yield those that only a daemon which makes alerts has."""
    known = set(_described(LoopInstruments().registry))
    return (one for one in _described(AlertInstruments().registry) if one not in known)


def _described(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    found = {one for one in registry._collector_to_names if isinstance(one, MetricWrapperBase)}
    for instrument in sorted(found, key=lambda one: one._name):
        (family,) = instrument.describe()
        suffix = "_total" if family.type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in instrument._labelnames)
        yield f"`{family.name}{suffix}`", family.type, labels, family.documentation

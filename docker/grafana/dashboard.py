"""The Grafana dashboard, written down once: ``python docker/grafana/dashboard.py`` makes the JSON (`make docs`).

With ``--check`` it only tells whether the JSON has drifted (`make check`).
"""

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OUTPUT: Final = Path(__file__).parent / "dashboards" / "stream-assoc.json"
WIDTH: Final = 24
DATASOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
HERE: Final = 'instance=~"$instance"'


@dataclass(frozen=True, slots=True)
class Query:
    """A line of a panel: PromQL, in which ``{}`` stands for the chosen instances, and its legend."""

    expression: str
    legend: str

    def target(self, letter: str) -> dict[str, Any]:
        """Return it as Grafana reads it."""
        expression = self.expression.replace("{}", "{" + HERE + "}").replace("{,", "{" + HERE + ", ")
        return {"refId": letter, "expr": expression, "legendFormat": self.legend, "datasource": DATASOURCE}


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: what it shows, in what unit, how wide of 24, and values from which it turns yellow and red."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    stacked: bool = False
    thresholds: tuple[float | None, float | None] | None = None

    def as_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana reads it, at its place in a grid of 24 columns."""
        defaults: dict[str, Any] = {"unit": self.unit, "custom": {}}
        if self.kind == "timeseries":
            defaults["custom"] = {
                "fillOpacity": 30 if self.stacked else 8,
                "stacking": {"mode": "normal" if self.stacked else "none"},
                "spanNulls": False,
            }
        if self.thresholds is not None:
            yellow, red = self.thresholds
            steps = [{"color": "green", "value": None}]
            steps += [
                {"color": color, "value": value}
                for color, value in (("yellow", yellow), ("red", red))
                if value is not None
            ]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        options: dict[str, Any] = {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}}
        if self.kind == "stat":
            options = {"colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto"}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": [query.target(letter) for letter, query in zip("ABCDEFGH", self.queries, strict=False)],
        }


def stat(
    title: str,
    description: str,
    unit: str,
    expression: str,
    thresholds: tuple[float | None, float | None] | None = None,
) -> Panel:
    """Return a panel of one number."""
    query = Query(expression, title)
    return Panel(title, description, unit, (query,), kind="stat", width=4, height=4, thresholds=thresholds)


def share(numerator: str, denominator: str) -> str:
    """Return the share that one counter has of another, as far as there is anything."""
    return f"sum(rate({numerator}[$__rate_interval])) / sum(rate({denominator}[$__rate_interval]))"


def mean(name: str, label: str) -> str:
    """Return the mean of a histogram by a label."""
    return (
        f"sum by ({label}) (rate({name}_sum{{}}[$__rate_interval])) "
        f"/ sum by ({label}) (rate({name}_count{{}}[$__rate_interval]))"
    )


def quantiles(name: str) -> tuple[Query, ...]:
    """Return median, 95th and 99th percentile of a histogram."""
    return tuple(
        Query(f"histogram_quantile({q}, sum by (le) (rate({name}_bucket{{}}[$__rate_interval])))", legend)
        for q, legend in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
    )


ANNOUNCED_READS: Final = "stream_assoc_announced_cache_reads_total"
STATES: Final = '{,kind="state"}'
HITS: Final = '{,kind="state",result="hit"}'


def elsewhere(labels: str) -> str:
    """Return the rate of reads of the cache outside of announced sky."""
    everywhere, announced = (
        f"sum(rate({name}{labels}[$__rate_interval]))" for name in ("stream_assoc_cache_reads_total", ANNOUNCED_READS)
    )
    return f"{everywhere} - {announced}"


SOURCES: Final = "stream_assoc_dia_sources_total"

ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Now": (
        stat("Daemons", "Daemons that answer on their metrics port.", "none", 'sum(up{,job="stream-assoc"})'),
        stat(
            "Services away",
            "Services that do not answer a daemon. The daemon waits for them; nothing is lost.",
            "none",
            "sum(stream_assoc_service_up{} == bool 0)",
            thresholds=(None, 1),
        ),
        stat(
            "Waiting for",
            "Age of the oldest message that was read and is not published yet.",
            "s",
            "max(stream_assoc_lag_seconds{})",
            thresholds=(60, 120),
        ),
        stat(
            "Since the last batch",
            "Time since a batch was processed.",
            "s",
            "time() - max(stream_assoc_last_processed_timestamp_seconds{})",
        ),
        stat(
            "Dead letters, 24 h",
            "Messages that could not be processed.",
            "none",
            'sum(increase(stream_assoc_batches_total{,outcome="dead_letter"}[24h]))',
            thresholds=(1, 100),
        ),
        stat(
            "Quarantined, 24 h",
            "Batches that wait for an operator: stream-assoc dlq ls --reason quarantine",
            "none",
            'sum(increase(stream_assoc_dead_letters_total{,reason="quarantine"}[24h]))',
            thresholds=(1, 10),
        ),
    ),
    "Flow": (
        Panel(
            "Messages by outcome",
            "Messages processed, redelivered and set aside as dead letters.",
            "ops",
            (Query("sum by (outcome) (rate(stream_assoc_batches_total{}[$__rate_interval]))", "{{outcome}}"),),
        ),
        Panel(
            "DIASources by outcome",
            "Sources associated, new, marginal and dropped, and those of the solar system.",
            "ops",
            (Query(f"sum by (outcome) (rate({SOURCES}{{}}[$__rate_interval]))", "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "DIAObjects by outcome",
            "New and updated objects, and those in a footprint that gained no source.",
            "ops",
            (Query("sum by (outcome) (rate(stream_assoc_dia_objects_total{}[$__rate_interval]))", "{{outcome}}"),),
        ),
        Panel("Sources of a batch", "How large batches are.", "none", quantiles("stream_assoc_batch_dia_sources")),
        Panel("Size of a message", "Encoded.", "decbytes", quantiles("stream_assoc_message_bytes")),
        Panel(
            "Messages of a micro-batch",
            "Messages that share a transaction: 1 on a daemon that keeps up.",
            "none",
            quantiles("stream_assoc_micro_batch_messages"),
        ),
    ),
    "Lag": (
        Panel(
            "Unread messages",
            "By partition.",
            "none",
            (Query("sum by (topic, partition) (stream_assoc_lag_messages{})", "{{topic}}[{{partition}}]"),),
            width=12,
            stacked=True,
        ),
        Panel(
            "Age of the oldest unpublished message",
            "Grows while a daemon waits for a service.",
            "s",
            (Query("stream_assoc_lag_seconds{}", "{{instance}}"),),
            width=12,
        ),
        Panel(
            "Gaps of the input",
            "Partitions that did not continue at the next offset, by cause: messages were deleted or passed "
            "over, the partition was truncated, or the topic was recreated. The log has the offsets.",
            "none",
            (Query("sum by (cause) (increase(stream_assoc_input_gaps_total{}[$__rate_interval]))", "{{cause}}"),),
            width=12,
        ),
        Panel(
            "Offsets skipped",
            "Offsets that were deleted before they were read.",
            "none",
            (Query("increase(stream_assoc_skipped_offsets_total{}[$__rate_interval])", "{{instance}}"),),
            width=12,
        ),
    ),
    "Latency": (
        Panel(
            "From the middle of the exposure",
            "Until the processing time. Rubin allows 60 s from shutter to alert. Years in a replay.",
            "s",
            quantiles("stream_assoc_latency_seconds"),
        ),
        Panel(
            "Stages of a batch",
            "Mean time of each stage of a batch.",
            "s",
            (Query(mean("stream_assoc_stage_seconds", "stage"), "{{stage}}"),),
            stacked=True,
        ),
        Panel(
            "Steps of a micro-batch",
            "Mean time of each step that the messages of a micro-batch share: locks, stores, Kafka.",
            "s",
            (Query(mean("stream_assoc_micro_batch_step_seconds", "step"), "{{step}}"),),
            stacked=True,
        ),
    ),
    "Association": (
        Panel(
            "Share of sources",
            "Sources that match a known object, create one, are of too low a quality, or have no usable position.",
            "percentunit",
            tuple(
                Query(share(f'{SOURCES}{{,outcome="{outcome}"}}', "stream_assoc_batch_dia_sources_sum{}"), outcome)
                for outcome in ("associated", "new", "solar_system", "marginal", "dropped")
            ),
        ),
        Panel(
            "Share of known objects seen again",
            "fracUpdatedDiaObjects of the last batch.",
            "percentunit",
            (Query("avg(stream_assoc_frac_updated_dia_objects{})", "fracUpdatedDiaObjects"),),
        ),
        Panel(
            "Astrometric offset",
            "Median of source - object of the last batch, and the root mean square separation, arcsec.",
            "none",
            (
                Query("avg by (axis) (stream_assoc_astrometric_offset_arcsec{})", "{{axis}}"),
                Query("avg(stream_assoc_rms_separation_arcsec{})", "rms separation"),
            ),
        ),
        Panel(
            "Ambiguous matches",
            "Share of the matched sources that had more than one candidate.",
            "percentunit",
            (
                Query(
                    share("stream_assoc_ambiguous_dia_sources_total{}", f'{SOURCES}{{,outcome="associated"}}'),
                    "ambiguous",
                ),
            ),
            width=6,
        ),
        Panel(
            "Runner-up's margin",
            "Median of the runner-up's score minus the match's. A small margin means doubtful matches.",
            "none",
            (Query("avg(stream_assoc_runner_up_margin{})", "margin"),),
            width=6,
        ),
        Panel(
            "Objects with one source",
            "Of the whole APDB: totalUnassociatedDiaObjects.",
            "none",
            (Query("max(stream_assoc_unassociated_dia_objects{})", "unassociated"),),
            width=6,
        ),
        Panel(
            "Solar-system objects",
            "Predicted, and matched by a source.",
            "ops",
            (
                Query("sum(rate(stream_assoc_solar_system_objects_total{}[$__rate_interval]))", "predicted"),
                Query(f'sum(rate({SOURCES}{{,outcome="solar_system"}}[$__rate_interval]))', "matched"),
            ),
            width=6,
        ),
    ),
    "Services": (
        Panel(
            "Services that answer",
            "1 if a service answers every daemon.",
            "none",
            (Query("min by (service) (stream_assoc_service_up{})", "{{service}}"),),
        ),
        Panel(
            "Cache hits",
            "Share of tiles and states found in the cache. The others are rebuilt from the APDB.",
            "percentunit",
            (
                Query(
                    'sum by (kind) (rate(stream_assoc_cache_reads_total{,result="hit"}[$__rate_interval])) '
                    "/ sum by (kind) (rate(stream_assoc_cache_reads_total{}[$__rate_interval]))",
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Retries, restarts, rebalances",
            "In the last 5 minutes.",
            "none",
            (
                Query("sum by (service) (increase(stream_assoc_retries_total{}[5m]))", "retries of {{service}}"),
                Query("sum(increase(stream_assoc_restarts_total{}[5m]))", "restarts"),
                Query("sum(increase(stream_assoc_rebalances_total{}[5m]))", "rebalances"),
            ),
        ),
        Panel(
            "Partitions",
            "Partitions that each daemon reads, and whether it is a settled member of the group.",
            "none",
            (
                Query("stream_assoc_assigned_partitions{}", "{{instance}}"),
                Query("stream_assoc_consumer_group_joined{}", "{{instance}} joined"),
            ),
            width=12,
        ),
        Panel(
            "Dead letters by reason",
            "In the last 15 minutes.",
            "none",
            (Query("sum by (reason) (increase(stream_assoc_dead_letters_total{}[15m]))", "{{reason}}"),),
            width=12,
        ),
    ),
    "Announced visits": (
        Panel(
            "Announcements",
            "Visits announced that can be warmed, and announcements dropped by reason, in the last 15 minutes. The "
            "faults among these are coordinates, position, start, undecodable.",
            "none",
            (
                Query("sum(increase(stream_assoc_announced_visits_total{}[15m]))", "announced"),
                Query(
                    "sum by (reason) (increase(stream_assoc_dropped_announcements_total{}[15m]))",
                    "dropped: {{reason}}",
                ),
            ),
            width=6,
        ),
        Panel(
            "Lead",
            "From when a visit was warm to when it begins. Negative: too late.",
            "s",
            quantiles("stream_assoc_warming_lead_seconds"),
            width=6,
        ),
        Panel(
            "Warming",
            "Tiles and states written a second, and the time a visit takes, pauses left out.",
            "none",
            (
                Query("sum by (kind) (rate(stream_assoc_warming_written_total{}[$__rate_interval]))", "{{kind}}s"),
                Query(
                    "sum(rate(stream_assoc_warming_seconds_sum{}[$__rate_interval])) "
                    "/ sum(rate(stream_assoc_warming_seconds_count{}[$__rate_interval]))",
                    "seconds a visit",
                ),
            ),
            width=6,
        ),
        Panel(
            "States found in the cache",
            "Share of the states that batches ask for, where the sky was announced and where it was not.",
            "percentunit",
            (
                Query(share(f"{ANNOUNCED_READS}{HITS}", f"{ANNOUNCED_READS}{STATES}"), "announced"),
                Query(f"({elsewhere(HITS)}) / ({elsewhere(STATES)})", "not announced"),
            ),
            width=6,
        ),
    ),
    "Process": (
        Panel(
            "Processors",
            "Used.",
            "none",
            (Query('rate(process_cpu_seconds_total{,job="stream-assoc"}[$__rate_interval])', "{{instance}}"),),
        ),
        Panel(
            "Memory",
            "Resident.",
            "bytes",
            (Query('process_resident_memory_bytes{,job="stream-assoc"}', "{{instance}}"),),
        ),
        Panel(
            "Open files",
            "Sockets included.",
            "none",
            (Query('process_open_fds{,job="stream-assoc"}', "{{instance}}"),),
        ),
        Panel(
            "What runs",
            "Version of each daemon.",
            "none",
            (Query("stream_assoc_build_info{}", "{{instance}}: {{version}}, Python {{python_version}}"),),
            width=12,
        ),
        Panel(
            "Since the last progress",
            "Time since the main loop made progress. Waiting for messages or for a service counts as progress.",
            "s",
            (Query("time() - stream_assoc_last_progress_timestamp_seconds{}", "{{instance}}"),),
            width=12,
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    numbers = itertools.count(1)
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": next(numbers),
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
                "panels": [],
            }
        )
        y += 1
        x = height = 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            panels.append(panel.as_json(next(numbers), x, y))
            x, height = x + panel.width, panel.height
        y += height
    instance = {
        "name": "instance",
        "label": "Daemon",
        "type": "query",
        "datasource": DATASOURCE,
        "query": "label_values(stream_assoc_build_info, instance)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "uid": "stream-assoc",
        "title": "stream_assoc",
        "description": "A running association daemon: flow, lag, latency, association, services.",
        "tags": ["stream_assoc"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [instance]},
        "annotations": {"list": []},
        "panels": panels,
    }


def text() -> str:
    """Return the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        OUTPUT.write_text(text(), encoding="utf-8")
    elif not OUTPUT.is_file() or OUTPUT.read_text(encoding="utf-8") != text():
        sys.exit(f"{OUTPUT.name}: not as docker/grafana/dashboard.py has it; run `make docs`")

"""`python -m deploy.grafana` writes dashboards/palabre.json; `--check` fails when it is stale."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("dashboards") / "palabre.json"
WIDTH = 24  # columns that Grafana has
HEIGHT = 8
# Where a Prometheus reads several environments, these tell them apart (docs/operations.md); elsewhere no series has them.
ENVIRONMENT = ("namespace", "release")
OURS = re.compile(r"\b(palabre_\w+|process_\w+|up(?=\{))(\{?)")


@dataclass(frozen=True)
class Panel:
    """One graph: a question, and what answers it, by its legend. `unit` is one of Grafana's."""

    question: str
    unit: str
    answers: dict[str, str]


def _quantiles(metric: str, by: str = "") -> dict[str, str]:
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"{name}{legend}": f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"
        for name, share in (("half", 0.5), ("99 of 100", 0.99))
    }


def _rate(metric: str, by: str) -> dict[str, str]:
    return {f"{{{{{by}}}}}": f"sum by ({by}) (rate({metric}[$__rate_interval]))"}


PANELS = {
    "Can people talk?": [
        Panel("Who is up?", "short", {"{{job}}": 'sum by (job) (up{job=~"palabre-.+"})'}),
        Panel(
            "Do RabbitMQ and MongoDB work for everybody?",
            "bool_yes_no",
            {"{{dependency}} for {{job}}": "min by (job, dependency) (palabre_dependency_up)"},
        ),
        Panel("Sockets", "short", {"{{instance}}": "palabre_gateway_connections"}),
        Panel("Frames received", "reqps", _rate("palabre_gateway_frames_in_total", "type")),
        Panel("Frames sent", "reqps", _rate("palabre_gateway_frames_out_total", "type")),
        Panel("What is refused", "reqps", _rate("palabre_gateway_refusals_total", "code")),
        Panel(
            "Are the keys of tokens fetched?",
            "short",
            {"{{outcome}}": "sum by (outcome) (increase(palabre_gateway_key_fetches_total[10m]))"},
        ),
    ],
    "Who is slow?": [
        Panel("From a send to stored", "s", _quantiles("palabre_gateway_send_to_stored_seconds")),
        Panel("From stored to delivered", "s", _quantiles("palabre_gateway_stored_to_delivered_seconds", "instance")),
        Panel("Storing a batch", "s", _quantiles("palabre_persister_store_seconds", "instance")),
        Panel("Publishing a batch", "s", _quantiles("palabre_persister_publish_seconds", "instance")),
        Panel("Commands in a batch", "short", _quantiles("palabre_persister_batch_commands")),
        Panel("Commands in an AMQP message", "short", _quantiles("palabre_gateway_batch_commands")),
    ],
    "Where do messages wait?": [
        Panel(
            "In RabbitMQ, for a persister",
            "short",
            {"{{queue}}": 'rabbitmq_detailed_queue_messages{queue=~".*persister\\\\.[0-9]{2}"}'},
        ),
        Panel(
            "In RabbitMQ, for the notifier and for somebody to look",
            "short",
            {"{{queue}}": 'rabbitmq_detailed_queue_messages{queue=~".*(notifier\\\\..+|chat\\\\.dead)"}'},
        ),
        Panel("In gateways, for their answer", "short", {"{{instance}}": "palabre_gateway_pending_commands"}),
        Panel("In gateways, to be handed on", "short", {"{{instance}}": "palabre_gateway_queue_waiting"}),
        Panel("In persisters", "short", {"{{instance}}": "palabre_persister_waiting_messages"}),
        Panel("In notifiers", "short", {"{{instance}}": "palabre_notifier_waiting_events"}),
    ],
    "Is anything lost, late or wrong?": [
        Panel(
            "Holes",
            "short",
            {
                "healed": "sum(increase(palabre_gateway_holes_healed_total[5m]))",
                "told to clients": "sum(increase(palabre_gateway_resyncs_total[5m]))",
                "fan-out failures": "sum(increase(palabre_gateway_fanout_failures_total[5m]))",
            },
        ),
        Panel(
            "Set aside",
            "short",
            {
                "commands": "sum(increase(palabre_persister_dead_letters_total[5m]))",
                "events": "sum(increase(palabre_notifier_dead_letters_total[5m]))",
            },
        ),
        Panel("How far behind is the notifier?", "s", _quantiles("palabre_notifier_behind_seconds")),
        Panel(
            "Storing again",
            "short",
            {
                "a server was away": "sum(increase(palabre_persister_retries_total[5m]))",
                "somebody else wrote": "sum(increase(palabre_persister_fenced_total[5m]))",
            },
        ),
        Panel("Stored before", "reqps", _rate("palabre_persister_repeats_total", "cause")),
        Panel("Partitions of each persister", "short", {"{{instance}}": "palabre_persister_preferred_partitions"}),
    ],
    "Who is reached elsewhere?": [
        Panel("People here", "short", {"{{instance}}": "palabre_notifier_people_here"}),
        Panel("News for people, and what became of it", "reqps", _rate("palabre_notifier_second_looks_total", "what")),
        Panel("Entries of notification centres", "reqps", _rate("palabre_notifier_entries_total", "kind")),
        Panel("Handed to a channel", "reqps", _rate("palabre_notifier_deliveries_total", "channel")),
        Panel("Pushes", "reqps", _rate("palabre_notifier_pushes_total", "outcome")),
        Panel("Mails", "reqps", _rate("palabre_notifier_mails_total", "outcome")),
        Panel("Calls of webhooks", "reqps", _rate("palabre_notifier_webhook_calls_total", "outcome")),
        Panel("How long they take", "s", _quantiles("palabre_notifier_webhook_seconds")),
        Panel("Events for webhooks", "reqps", _rate("palabre_notifier_webhook_jobs_total", "result")),
        Panel("Events for webhooks in hand", "short", {"{{instance}}": "palabre_notifier_webhook_held"}),
        Panel(
            "Webhooks paused",
            "short",
            {"{{reason}}": "sum by (reason) (increase(palabre_notifier_webhooks_paused_total[1h]))"},
        ),
        Panel("Asked of the notifier", "reqps", _rate("palabre_notifier_commands_total", "type")),
    ],
    "What do clients do?": [
        Panel(
            "Flooding",
            "reqps",
            {
                "{{instance}}": "sum by (instance) "
                '(rate(palabre_gateway_refusals_total{code="RATE_LIMITED"}[$__rate_interval]))'
            },
        ),
        Panel("Strangers cut off", "reqps", _rate("palabre_gateway_strangers_cut_off_total", "instance")),
        Panel("Sockets closed by us", "reqps", _rate("palabre_gateway_closes_total", "code")),
        Panel(
            "Typing and presence not sent to slow ones",
            "reqps",
            _rate("palabre_gateway_droppable_frames_dropped_total", "instance"),
        ),
        Panel("Commands handled", "reqps", _rate("palabre_persister_commands_total", "type")),
        Panel("Notified", "reqps", _rate("palabre_notifier_recipients_total", "kind")),
        Panel(
            "Memory",
            "bytes",
            {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"palabre-.+"}'},
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """As Grafana imports it (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/)."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row, questions in PANELS.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
                "panels": [],
            }
        )
        top += 1
        for number, panel in enumerate(questions):
            x, y = number % 3 * (WIDTH // 3), top + number // 3 * HEIGHT
            panels.append(_graph(panel, len(panels) + 1, {"x": x, "y": y, "w": WIDTH // 3, "h": HEIGHT}))
        top += -(-len(questions) // 3) * HEIGHT
    return {
        "uid": "palabre",
        "title": "Palabre",
        "tags": ["palabre"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                *(_choice(label) for label in ENVIRONMENT),
            ]
        },
        "panels": panels,
    }


def _choice(label: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f'label_values(up{{job=~"palabre-.+"}}, {label})',
        "refresh": 2,  # with each change of the time that is looked at
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _chosen(query: str) -> str:
    """Of the chosen environments. What RabbitMQ tells of its queues has their prefix in its names instead."""
    matchers = ",".join(f'{label}=~"${label}"' for label in ENVIRONMENT)
    return OURS.sub(lambda found: f"{found[1]}{{{matchers}{',' if found[2] else '}'}", query)


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.question,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {
            "tooltip": {"mode": "multi", "sort": "desc"},
            "legend": {"displayMode": "list", "placement": "bottom"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "legendFormat": legend, "expr": _chosen(query)}
            for index, (legend, query) in enumerate(panel.answers.items())
        ],
    }


def main() -> None:
    text = json.dumps(dashboard(), indent=1) + "\n"
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text)
    elif FILE.read_text() != text:
        sys.exit(f"{FILE} is stale: run python -m deploy.grafana")


if __name__ == "__main__":
    main()

"""Alerts and the dashboard: each is raised when it has to be, means something that exists, and says what to do."""

import importlib
import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from contracts.topology import Topology
from deploy import grafana
from deploy.grafana.__main__ import FILE as DASHBOARD
from deploy.grafana.__main__ import dashboard
from deploy.local import tools
from deploy.local.process import free_port

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = (ROOT / "docs" / "operations.md").read_text()
RULES = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule["alert"] for rule in RULES]
PREFIXES = ("", "blue.", "blue-", "blue", "gateway.", "my-gateway.", "probe.persister.peer.")
# What RabbitMQ (its plugin rabbitmq_prometheus, 3.10 to 4.x), haproxy, Prometheus itself and its client for Python give.
OTHERS = {
    "up",
    "haproxy_process_current_connections",
    "haproxy_process_max_connections",
    "process_open_fds",
    "process_max_fds",
    "process_resident_memory_bytes",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_detailed_queue_consumers",
    "rabbitmq_detailed_queue_messages",
}


def ours() -> set[str]:
    """Every series that our services expose."""
    for module in ("gateway.metrics", "persister.metrics", "notifier.metrics", "health"):
        importlib.import_module(f"services.{module}")
    names = set()
    for metric in REGISTRY.collect():
        if metric.name.startswith("palabre_"):
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ("",))
            names |= {metric.name + ending for ending in endings}
    return names


def named(text: str) -> set[str]:
    """The metrics that a query or a page names."""
    return set(
        re.findall(
            r"\b(?:up(?=\{)|(?:palabre_(?:gateway|persister|notifier|dependency)|rabbitmq|haproxy|process)_\w+)", text
        )
    )


def promtool(*arguments: str) -> None:
    program = tools.promtool()
    if program is None:
        pytest.skip("no promtool on this machine, and none to be had")
    done = subprocess.run([program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_is_raised_when_it_has_to_be_and_not_otherwise() -> None:
    promtool("test", "rules", "alerts.test.yaml")


def test_each_has_such_a_test() -> None:
    raised = {
        case["alertname"]
        for test in yaml.safe_load((PROMETHEUS / "alerts.test.yaml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert raised == set(ALERTS)


def test_the_configuration_of_compose_is_valid() -> None:
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_has_a_runbook(alert: str) -> None:
    section = re.search(rf"^### {alert}\n(.+?)(?=^##|\Z)", RUNBOOKS, re.M | re.S)
    assert section is not None
    assert len(section[1].split()) > 20


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Palabre\w+)$", RUNBOOKS, re.M)) == set(ALERTS)


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_each_asks_for_metrics_that_exist(rule: dict[str, str]) -> None:
    asked = named(rule["expr"])
    assert asked
    assert asked <= ours() | OTHERS


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_each_can_be_asked_of_one_environment(rule: dict[str, str]) -> None:
    """The chart puts its own matchers in place of these: a series without one would be that of all environments."""
    series = re.findall(r"\b(rabbitmq_\w+|(?:palabre|process|haproxy)_\w+|up(?=\{))(\{[^,}]*)?", rule["expr"])
    assert {name for name, _ in series} == named(rule["expr"])
    for name, matcher in series:
        assert matcher == ('{broker=~".*"' if name.startswith("rabbitmq_") else '{environment=~".*"'), name


@pytest.mark.parametrize("prefix", PREFIXES)
def test_queues_are_found_whatever_their_prefix_is(prefix: str) -> None:
    topology = Topology(prefix, 3)
    wanted = {*(f"{prefix}persister.{n:02d}" for n in range(3)), f"{prefix}chat.dead", f"{prefix}notifier.events"}
    for text in ((PROMETHEUS / "alerts.yaml").read_text(), json.dumps(dashboard()).replace('\\"', '"')):
        asked = {re.sub(r"\\+", r"\\", regex) for regex in re.findall(r'(?<=queue=~")\.\*.+?(?=")', text)}
        assert wanted <= {q.name for q in topology.queues if any(re.fullmatch(regex, q.name) for regex in asked)}
    jobs = {
        job["job_name"]: job for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    }
    (dropped,) = jobs["rabbitmq-queues"]["metric_relabel_configs"]
    for come_and_go in (topology.gateway_queue("0193"), topology.peer_queue("0193")):
        assert re.fullmatch(dropped["regex"], come_and_go.name)
    assert not [queue.name for queue in topology.queues if re.fullmatch(dropped["regex"], queue.name)]


def test_the_page_names_metrics_that_exist() -> None:
    histograms = {name.removesuffix("_bucket") for name in ours() if name.endswith("_bucket")}
    assert named(RUNBOOKS) <= ours() | histograms | OTHERS


def test_the_dashboard_is_fresh_and_asks_for_metrics_that_exist() -> None:
    assert json.loads(DASHBOARD.read_text()) == dashboard(), f"python -m {grafana.__name__}"
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    for query in queries:
        assert named(query), query
        assert named(query) <= ours() | OTHERS
        for name, matcher in re.findall(r"\b((?:palabre|process)_\w+|up(?=\{))(\{[^}]*)?", query):
            assert matcher.startswith('{namespace=~"$namespace",release=~"$release"'), name


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert() -> None:
    text = DASHBOARD.read_text() + (PROMETHEUS / "alerts.yaml").read_text()
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named(text)}
    # What is counted for those who ask something particular.
    particular = {
        "palabre_gateway_presence_items_total",
        "palabre_persister_refusals_total",
        "palabre_notifier_events_total",
    }
    series = {re.sub(r"_(bucket|count|sum)$", "", name) for name in ours()}
    assert series - shown <= particular


def test_the_proxy_of_compose_accepts_its_configuration() -> None:
    program = tools.haproxy()
    if program is None:
        pytest.skip("no haproxy on this machine, and none to be had")
    done = subprocess.run(
        [program, "-c", "-f", ROOT / "deploy/haproxy/haproxy.cfg"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_proxy_of_compose_takes_as_many_sockets_as_it_has_files_for_and_says_so(tmp_path: Path) -> None:
    program = tools.haproxy()
    if program is None:
        pytest.skip("no haproxy on this machine, and none to be had")
    port = free_port()
    written = (ROOT / "deploy/haproxy/haproxy.cfg").read_text()
    for theirs, ours in (("bind :3000", free_port()), ("bind :8405", port), ("bind 127.0.0.1:8404", free_port())):
        assert theirs in written
        written = written.replace(theirs, f"bind 127.0.0.1:{ours}")
    (tmp_path / "haproxy.cfg").write_text(written)
    limited = f"ulimit -n 5000 && exec {program} -db -f {tmp_path / 'haproxy.cfg'}"
    with subprocess.Popen(["/bin/sh", "-c", limited], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            told = _read(f"http://127.0.0.1:{port}/metrics")
        finally:
            running.terminate()
    (most,) = re.findall(r"^haproxy_process_max_connections (\d+)$", told, re.M)
    assert 2000 < int(most) < 2500
    limits = dict(re.findall(r'^haproxy_frontend_limit_sessions\{proxy="(\w+)"\} (\d+)$', told, re.M))
    assert limits["chat"] == most
    assert "haproxy_process_current_connections" in told


def _read(url: str) -> str:
    """As soon as somebody answers there."""
    give_up = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - ours, on loopback
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)

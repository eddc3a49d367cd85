"""The chart without a cluster: rendered with several sets of values, and held against what Kubernetes accepts."""

import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

from deploy.helm import generate
from deploy.local import tools
from services.cli.preparing import LAST_TRY
from services.gateway.app import create_app
from services.gateway.settings import Settings as Gateway
from services.notifier.settings import Settings as Notifier
from services.persister.settings import Settings as Persister

HERE = Path(__file__).parent
CHART = generate.CHART
CHECKOUT = HERE.parents[1]
OPERATIONS = CHECKOUT / "docs" / "operations.md"
PROMETHEUS = CHECKOUT / "deploy" / "prometheus" / "prometheus.yml"
SETS = sorted(path.stem for path in (HERE / "values").glob("*.yaml"))
VERSIONS = ["1.27", "1.31", "1.34", "1.37"]  # the oldest that the chart takes, the newest that there is, and between
CUSTOM = {
    (crd["apiVersion"], crd["kind"]): crd["schema"]
    for crd in (json.loads(p.read_text()) for p in (HERE / "crds").glob("*.json"))
}
Resource = dict[str, Any]

pytestmark = pytest.mark.skipif(tools.helm() is None, reason="no helm on this machine, and none to be had")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = tools.helm()
    assert program is not None
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@cache
def rendered(values: str, *more: str) -> list[Resource]:
    """What would be installed with one of the sets of values."""
    done = helm("template", "release", str(CHART), f"--values={HERE / 'values' / values}.yaml", *more)
    assert done.returncode == 0, done.stderr
    return [resource for resource in yaml.safe_load_all(done.stdout) if resource]


def of_kind(kind: str, values: str) -> dict[str, Resource]:
    return {resource["metadata"]["name"]: resource for resource in rendered(values) if resource["kind"] == kind}


def pods(values: str) -> Iterator[tuple[str, Resource]]:
    """Every pod that would run, by the name of what makes it."""
    for resource in rendered(values):
        match resource["kind"]:
            case "Deployment" | "Job":
                yield resource["metadata"]["name"], resource["spec"]["template"]["spec"]
            case "Pod":
                yield resource["metadata"]["name"], resource["spec"]


def closed(schema: Any) -> Any:
    """The same schema, in which every object has the fields that it names and no others."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: {field: closed(item) for field, item in value.items()} if name == "properties" else closed(value)
        for name, value in schema.items()
    }
    if "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if isinstance(pattern := made.get("pattern"), str):
        made["pattern"] = pattern.replace("^(?i)", "(?i)^")  # Go takes the flag anywhere, Python in front
    return made


def judge(resource: Resource, version: str) -> None:
    """Raises where Kubernetes would refuse it, or drop a part of it."""
    schema = CUSTOM.get((resource["apiVersion"], resource["kind"]))
    if schema is None:
        kubernetes_validate.validate(resource, version, strict=True)
        return
    schema = closed(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(resource, schema, cls=jsonschema.Draft202012Validator)


def test_generated_files_are_fresh() -> None:
    for path, text in generate.files().items():
        assert path.read_text() == text, f"{path} is stale: python -m deploy.helm.generate"


@pytest.mark.parametrize("values", SETS)
def test_it_passes_helms_own_lint(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), f"--values={HERE / 'values' / values}.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", SETS)
def test_kubernetes_accepts_every_resource(values: str, version: str) -> None:
    resources = rendered(values, f"--kube-version={version}")
    assert len(resources) > 8
    for resource in resources:
        judge(resource, version)


def _bad_field(resource: Resource) -> None:
    resource["spec"]["replica"] = 3


def _bad_type(resource: Resource) -> None:
    resource["spec"] = "three"


@pytest.mark.parametrize("spoil", [_bad_field, _bad_type])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Deployment", "production"),
        ("ScaledObject", "production"),
        ("TriggerAuthentication", "production"),
        ("ServiceMonitor", "production"),
        ("PrometheusRule", "production"),
        ("RabbitmqCluster", "operators"),
        ("MongoDBCommunity", "operators"),
    ],
)
def test_the_judge_is_strict(kind: str, values: str, spoil: Callable[[Resource], None]) -> None:
    resource: Resource = json.loads(json.dumps(next(iter(of_kind(kind, values).values()))))
    spoil(resource)
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        judge(resource, VERSIONS[-1])


@pytest.mark.parametrize("values", SETS)
def test_no_two_resources_have_one_name(values: str) -> None:
    names = [(r["kind"], r["metadata"]["name"]) for r in rendered(values)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("values", SETS)
def test_every_pod_is_restricted(values: str) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and nothing written to.
    for name, pod in pods(values):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        kinds = {kind for volume in pod.get("volumes", []) for kind in volume.keys() - {"name"}}
        assert kinds <= {"emptyDir", "configMap"}  # the latter of the values, and only read
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("values", SETS)
def test_what_a_pod_reads_is_there(values: str) -> None:
    """A ConfigMap or Secret that a pod names is the chart's, an operator's or of the values; hooks read hooks."""
    given = {
        *("palabre", "chat-keys", "chat-rabbitmq-default-user", "chat-mongodb-url"),
        *("palabre-gateway", "palabre-notifier"),
    }
    resources = rendered(values)
    for resource in resources:
        if resource["kind"] not in {"Deployment", "Job"}:
            continue
        hook = "helm.sh/hook" in resource["metadata"].get("annotations", {})
        made = {
            (r["kind"], r["metadata"]["name"], key)
            for r in resources
            if r["kind"] in {"ConfigMap", "Secret"} and ("helm.sh/hook" in r["metadata"].get("annotations", {})) == hook
            for key in (*r["data"], None)
        }
        (container,) = resource["spec"]["template"]["spec"]["containers"]
        for source in container["envFrom"]:
            if "secretRef" in source:
                assert source["secretRef"]["name"] in given
            else:
                assert ("ConfigMap", source["configMapRef"]["name"], None) in made
        for variable in container["env"]:
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["name"] in given or ("Secret", reference["name"], reference["key"]) in made


@pytest.mark.parametrize("values", SETS)
def test_settings_are_those_of_the_services(values: str) -> None:
    kinds: dict[str, type[BaseSettings]] = {"gateway": Gateway, "persister": Persister, "notifier": Notifier}
    known = {service: {name.upper() for name in kind.model_fields} for service, kind in kinds.items()}
    maps = of_kind("ConfigMap", values)
    for name, deployment in of_kind("Deployment", values).items():
        service = name.rpartition("-")[2]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        variables = {variable["name"] for variable in container["env"]}
        for source in container["envFrom"]:
            if "configMapRef" in source:
                data = maps[source["configMapRef"]["name"]]["data"]
                variables |= data.keys()
                for setting, value in data.items():
                    field = kinds[service].model_fields[setting.lower()]
                    annotated: Any = Annotated[field.annotation, field]
                    TypeAdapter(annotated).validate_python(value)
        assert variables <= known[service]
        assert {"AMQP_URL", "MONGODB_URL", "PARTITIONS", "SHUTDOWN_TIMEOUT"} <= variables


@pytest.mark.parametrize("values", SETS)
def test_probes_and_grace(values: str) -> None:
    settings = {m["metadata"]["name"]: m["data"] for m in rendered(values) if m["kind"] == "ConfigMap"}
    for name, deployment in of_kind("Deployment", values).items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        # A restart brings neither RabbitMQ nor MongoDB back.
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
        waits = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        drains = float(settings[name.rpartition("-")[0]]["SHUTDOWN_TIMEOUT"])
        assert pod["terminationGracePeriodSeconds"] >= float(waits[1]) + drains + 5


@pytest.mark.parametrize("values", SETS)
def test_selectors_find_their_pods_and_no_others(values: str) -> None:
    labels = {n: d["spec"]["template"]["metadata"]["labels"] for n, d in of_kind("Deployment", values).items()}
    for kind, path in (
        ("Deployment", ("selector", "matchLabels")),
        ("PodDisruptionBudget", ("selector", "matchLabels")),
        ("Service", ("selector",)),
        ("ServiceMonitor", ("selector", "matchLabels")),
    ):
        for name, resource in of_kind(kind, values).items():
            if name.endswith("-rabbitmq"):
                continue  # its pods are the operator's
            selector = resource["spec"]
            for step in path:
                selector = selector[step]
            found = [n for n, pod in labels.items() if selector.items() <= pod.items()]
            assert found == [name.removesuffix("-metrics")]


@pytest.mark.parametrize("values", SETS)
def test_what_is_the_operators_is_on_a_port_that_nothing_leads_to_from_outside(values: str) -> None:
    """Health and metrics have a port of their own, since a rule about paths is got around by writing them otherwise."""
    services = of_kind("Service", values)
    for name, service in services.items():
        ports = {port["targetPort"] for port in service["spec"]["ports"]}
        if name.endswith("-metrics"):
            assert service["spec"]["clusterIP"] == "None"
            assert ports == {"metrics"}
        else:
            assert ports == {"http"}
    for ingress in of_kind("Ingress", values).values():
        backends = [path["backend"]["service"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        for backend in backends:
            assert backend["port"] == {"name": "http"}
            assert backend["name"] == "release-palabre-gateway"
    for name, deployment in of_kind("Deployment", values).items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        open_ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert open_ports == ({"http": 3000, "metrics": 3100} if name.endswith("-gateway") else {"metrics": 3100})
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            assert container[probe]["httpGet"]["port"] == "metrics"
    for name, monitor in of_kind("ServiceMonitor", values).items():
        ports = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
        assert ports == ({"prometheus"} if name.endswith("-rabbitmq") else {"metrics"})


def test_network_policies_let_in_whom_they_name_and_nobody_else() -> None:
    def let_in(values: str) -> dict[str, dict[int, Any]]:
        return {
            name.removeprefix("release-palabre-"): {
                port["port"]: rule.get("from") for rule in policy["spec"]["ingress"] for port in rule["ports"]
            }
            for name, policy in of_kind("NetworkPolicy", values).items()
            if policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        }

    neighbours: list[Resource] = [{"podSelector": {}}]
    assert let_in("smallest") == {
        "gateway": {3000: None, 3100: neighbours},
        "persister": {3100: neighbours},
        "notifier": {3100: neighbours},
        "prepare": {},
    }
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    ingress, test = let_in("production")["gateway"].pop(3000)
    assert ingress == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert let_in("production") == {
        "gateway": {3000: [ingress, test], 3100: monitoring},
        "persister": {3100: monitoring},
        "notifier": {3100: monitoring},
        "prepare": {},
    }


def test_servers_of_its_own_are_prepared_after_they_were_made() -> None:
    hooks = {
        v: of_kind("Job", v).popitem()[1]["metadata"]["annotations"]["helm.sh/hook"] for v in ("smallest", "operators")
    }
    assert hooks == {"smallest": "pre-install,pre-upgrade", "operators": "post-install,pre-upgrade"}
    assert not of_kind("Job", "trial")


def test_servers_of_its_own_have_what_is_asked_for() -> None:
    mongodb = of_kind("MongoDBCommunity", "operators")["chat-mongodb"]["spec"]["statefulSet"]["spec"]
    (container,) = mongodb["template"]["spec"]["containers"]
    assert container["name"] == "mongod"
    assert container["resources"]["limits"]["memory"] == "4Gi"
    classes = {c["metadata"]["name"]: c["spec"]["storageClassName"] for c in mongodb["volumeClaimTemplates"]}
    assert classes == {"data-volume": "fast", "logs-volume": "fast"}
    rabbitmq = of_kind("RabbitmqCluster", "operators")["chat-rabbitmq"]["spec"]
    lines = rabbitmq["rabbitmq"]["additionalConfig"].splitlines()
    grown = f"quorum_queue.continuous_membership_reconciliation.target_group_size = {rabbitmq['replicas']}"
    assert grown in lines


@pytest.mark.parametrize("seconds", [10, 90, 300, 3600])
def test_preparing_ends_before_its_pod_and_its_log_are_taken_away(seconds: int) -> None:
    (job,) = [r for r in rendered("smallest", f"--set=prepare.deadlineSeconds={seconds}") if r["kind"] == "Job"]
    assert job["spec"]["activeDeadlineSeconds"] == seconds
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["palabre", "prepare"]
    (waits,) = [int(a.removeprefix("--wait=")) for a in container["command"] if a.startswith("--wait=")]
    # What a last try may take beyond, and some seconds until the pod runs.
    assert waits + LAST_TRY < seconds or waits <= seconds / 2
    # The time is used up; a second pod would end with the Job, and take its log along.
    assert job["spec"]["backoffLimit"] == 0


def test_a_command_of_an_operators_reads_what_the_release_has() -> None:
    """As docs/operations.md says it."""
    done = helm(
        *("template", "palabre", str(CHART), f"--values={HERE / 'values' / 'smallest.yaml'}"),
        *("--show-only", "templates/command.yaml", "--set", "command={restored,--yes}"),
    )
    assert done.returncode == 0, done.stderr
    (job,) = yaml.safe_load_all(done.stdout)
    assert (job["kind"], job["metadata"]["name"]) == ("Job", "palabre-command")
    assert "annotations" not in job["metadata"]
    assert job["spec"]["backoffLimit"] == 0
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["palabre", "restored", "--yes"]
    assert container["envFrom"] == [{"configMapRef": {"name": "palabre"}}]
    # The network policy of what prepares lets it out to the servers.
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "prepare"
    assert not [r for r in rendered("smallest") if r["metadata"]["name"].endswith("-command")]


def test_what_scales_itself_has_no_number() -> None:
    for deployment in of_kind("Deployment", "production").values():
        assert "replicas" not in deployment["spec"]
    assert of_kind("Deployment", "trial")["release-palabre-notifier"]["spec"]["replicas"] == 0


def test_keda_counts_the_queues_of_this_environment() -> None:
    (trigger,) = of_kind("ScaledObject", "production")["release-palabre-persister"]["spec"]["triggers"]
    assert re.fullmatch(trigger["metadata"]["queueName"], "blue.persister.07")
    assert not re.fullmatch(trigger["metadata"]["queueName"], "blue.persister.peer.01")
    assert not re.fullmatch(trigger["metadata"]["queueName"], "persister.07")


def test_the_ingress_lets_in_what_is_called_from_outside_and_nothing_of_an_operators() -> None:
    app = create_app(Gateway(auth_dev=True, web_root=CHECKOUT / "web/public"))
    routes = {str(getattr(route, "path", "/")) for route in app.routes}
    served = (
        routes | app.openapi()["paths"].keys() | {"/index.html", "/assets/index.js", "/emoji/fr/data.json", "/sw.js"}
    )
    rules = {rule["host"]: rule["http"]["paths"] for rule in ingress("production")["spec"]["rules"]}

    def enters(host: str, path: str) -> bool:
        return any(
            path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(rule["path"] + "/"))
            for rule in rules[host]
        )

    for host in ("chat.example", "www.example"):
        assert {path for path in served if not enters(host, path)} == {"/metrics", "/healthz", "/readyz"}
        assert not enters(host, "/elsewhere")


def ingress(values: str) -> Resource:
    (found,) = of_kind("Ingress", values).values()
    return found


def test_a_change_of_settings_is_a_rollout() -> None:
    def checksum(*more: str) -> dict[str, str]:
        return {
            r["metadata"]["name"]: r["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for r in rendered("smallest", *more)
            if r["kind"] == "Deployment"
        }

    before, all_changed, one_changed = (
        checksum(),
        checksum("--set=config.LOG_LEVEL=debug"),
        checksum("--set=gateway.config.RATE_SENDS=5"),
    )
    assert all(before[name] != all_changed[name] for name in before)
    assert [name for name in before if before[name] != one_changed[name]] == ["release-palabre-gateway"]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://collector.observe:4318", 4318), ("http://collector/v1/traces", 80), ("https://otlp.example/x", 443)],
)
def test_traces_are_switched_on_and_let_out(endpoint: str, port: int) -> None:
    resources = rendered("production", f"--set=traces.endpoint={endpoint}")
    assert {"TRACES": endpoint}.items() <= next(r for r in resources if r["kind"] == "ConfigMap")["data"].items()
    for service in ("gateway", "persister", "notifier"):
        (policy,) = [
            r
            for r in resources
            if (r["kind"], r["metadata"]["name"]) == ("NetworkPolicy", f"release-palabre-{service}")
        ]
        assert policy["spec"]["egress"][-1] == {"ports": [{"port": port, "protocol": "TCP"}]}
    variables = {
        r["metadata"]["name"]: {v["name"]: v.get("value") for v in c["env"]}
        for r in resources
        if r["kind"] == "Deployment"
        for c in r["spec"]["template"]["spec"]["containers"]
    }
    assert [name for name, env in variables.items() if "TRACES_RATIO" in env] == ["release-palabre-gateway"]
    assert variables["release-palabre-gateway"]["TRACES_RATIO"] == "0.001"
    assert not any("4318" in json.dumps(r) or "TRACES" in json.dumps(r) for r in rendered("smallest"))


def test_what_is_secret_and_what_is_a_file_comes_in_beside_the_settings() -> None:
    """`existingSecret`, and volumes: the Jobs speak to the same servers, so they have the persister's."""
    jobs = of_kind("Job", "production")
    assert jobs.keys() == {"release-palabre-prepare", "release-palabre-command"}
    for resource in (*of_kind("Deployment", "production").values(), *jobs.values()):
        pod = resource["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert {"name": "authorities", "configMap": {"name": "our-authorities"}} in pod["volumes"]
        assert {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True} in container["volumeMounts"]
    for service, secrets in (("gateway", ["palabre-gateway"]), ("persister", []), ("notifier", ["palabre-notifier"])):
        deployment = of_kind("Deployment", "production")[f"release-palabre-{service}"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert [s["secretRef"]["name"] for s in container["envFrom"] if "secretRef" in s] == secrets


@pytest.mark.parametrize("values", SETS)
def test_what_the_chart_sets_cannot_be_set_beside_it(values: str) -> None:
    """One of the two would do nothing, silently."""
    given = yaml.safe_load((HERE / "values" / f"{values}.yaml").read_text())
    asked = {name for part in (given, *given.values()) if isinstance(part, dict) for name in part.get("config", {})}
    made = {
        *(name for m in of_kind("ConfigMap", values).values() if "PARTITIONS" in m["data"] for name in m["data"]),
        *(v["name"] for _, pod in pods(values) for c in pod["containers"] for v in c.get("env", [])),
    }
    assert made - asked <= {name.upper() for name in generate.SET_ELSEWHERE}


def test_what_sets_a_setting_is_a_value_of_the_chart() -> None:
    described = (CHART / "README.md").read_text()
    for places in set(generate.SET_ELSEWHERE.values()) - {"the image"}:
        for place in places.split(" or "):
            assert re.search(rf"^\| `{re.escape(place)}[.`]", described, re.M), place


def test_rabbitmq_of_its_own_is_watched_as_in_compose_and_as_the_page_says() -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]}
    (page,) = re.findall(r"^   ```yaml\n(   apiVersion: monitoring.+?)^   ```$", OPERATIONS.read_text(), re.M | re.S)
    own = of_kind("ServiceMonitor", "operators")["chat-rabbitmq"]
    for monitor in (own, yaml.safe_load(textwrap.dedent(page))):
        judge(monitor, VERSIONS[-1])
        found = {endpoint["relabelings"][0]["replacement"]: endpoint for endpoint in monitor["spec"]["endpoints"]}
        assert found.keys() == {"rabbitmq", "rabbitmq-queues"}
        for name, endpoint in found.items():
            assert endpoint["path"] == jobs[name].get("metrics_path", "/metrics")
            assert endpoint.get("params") == jobs[name].get("params")
            kept = {"sourceLabels": "source_labels"}
            dropped = [{kept.get(k, k): v for k, v in r.items()} for r in endpoint.get("metricRelabelings", [])]
            assert dropped == jobs[name].get("metric_relabel_configs", [])
    assert own["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in of_kind("RabbitmqCluster", "operators")
    assert not [name for name in of_kind("ServiceMonitor", "production") if "rabbitmq" in name]


@pytest.mark.parametrize(
    ("values", "ours", "broker", "prefix"),
    [
        (
            "operators",
            'namespace="default",release="release"',
            'namespace="default",release="release"',
            "blue-",
        ),
        ("production", 'namespace="default",release="release"', 'namespace="rabbitmq",service="blue"', r"blue\\."),
    ],
)
def test_alerts_are_about_one_environment(values: str, ours: str, broker: str, prefix: str) -> None:
    """They are those of Compose, but for what they ask of whom."""
    (made,) = of_kind("PrometheusRule", values).values()
    source = yaml.safe_load((PROMETHEUS.with_name("alerts.yaml")).read_text())
    assert [group["name"] for group in made["spec"]["groups"]] == [group["name"] for group in source["groups"]]
    for group, written in zip(made["spec"]["groups"], source["groups"], strict=True):
        for rule, as_written in zip(group["rules"], written["rules"], strict=True):
            narrowed = (
                as_written["expr"]
                .replace('environment=~".*"', ours)
                .replace('broker=~".*"', broker)
                .replace('queue=~".*', f'queue=~"{prefix}')
            )
            labels = {"namespace": "default", "release": "release", **as_written["labels"]}
            assert rule == {**as_written, "expr": narrowed, "labels": labels}
            assert '=~".*' not in rule["expr"]


def test_one_environment_does_not_hide_another(tmp_path: Path) -> None:
    """Two are in one Prometheus: in ours nothing runs, in the other everything does."""
    program = tools.promtool()
    if program is None:
        pytest.skip("no promtool on this machine, and none to be had")
    (made,) = of_kind("PrometheusRule", "operators").values()
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(made["spec"]))
    other = 'namespace="other",release="release"'
    about = {"namespace": "default", "release": "release"}
    raised = ["PalabreGatewaysDown", "PalabrePersistersDown", "PalabreNotifiersDown", "PalabreRabbitmqUnwatched"]
    summaries = {r["alert"]: (r["labels"], r["annotations"]) for g in made["spec"]["groups"] for r in g["rules"]}
    case = {
        "interval": "1m",
        "input_series": [
            *({"series": f'up{{{other},job="palabre-{s}"}}', "values": "1x20"} for s in ("gateway", "persister")),
            {"series": f'up{{{other},job="palabre-notifier"}}', "values": "1x20"},
            {"series": f'rabbitmq_detailed_queue_consumers{{{other},queue="blue-persister.00"}}', "values": "2x20"},
            {"series": f"rabbitmq_alarms_memory_used_watermark{{{other}}}", "values": "0x20"},
        ],
        "alert_rule_test": [
            {
                "alertname": alert,
                "eval_time": "15m",
                "exp_alerts": [
                    {"exp_labels": {**summaries[alert][0], **about}, "exp_annotations": summaries[alert][1]}
                ],
            }
            for alert in raised
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": [case]}))
    done = subprocess.run(
        [program, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("more", "addresses"),
    [
        ([], ["https://chat.example/", "https://www.example/"]),
        (["--set=ingress.tls[0].hosts={chat.example}"], ["https://chat.example/", "http://www.example/"]),
        (["--set=ingress.tls[0].hosts={*.example}"], ["https://chat.example/", "https://www.example/"]),
        (['--set-json=ingress.tls=[{"secretName": "chat-tls"}]'], ["https://chat.example/", "https://www.example/"]),
        (["--set=ingress.tls=null"], ["http://chat.example/", "http://www.example/"]),
    ],
)
def test_the_notes_say_where_the_page_is(more: list[str], addresses: list[str]) -> None:
    assert re.findall(r"^ +(https?://\S+)$", notes("production", *more), re.M) == addresses


def test_without_an_ingress_the_notes_say_how_to_reach_it_all_the_same() -> None:
    said = notes("smallest")
    assert "http://127.0.0.1:3000 after" in said
    assert "allowedOrigins" not in said
    assert "allowedOrigins has http://127.0.0.1:3000" in notes("production", "--set=ingress.enabled=false")


def notes(values: str, *more: str) -> str:
    """What is said after an installation."""
    done = helm(
        "install", "release", str(CHART), f"--values={HERE / 'values' / values}.yaml", "--dry-run=client", *more
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_secrets_are_in_secrets_only() -> None:
    text = yaml.safe_dump([r for r in rendered("smallest") if r["kind"] != "Secret"])
    assert "secret of the tests" not in text
    assert "palabre:secret" not in text


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("rabbitmq.url=", "rabbitmq.url"),
        ("mongodb.url=", "mongodb.url"),
        ("auth.jwtSecret=", "auth.jwtSecret"),
        ("auth.jwtSecret=short", "32 bytes"),
        ("partitions=0", "partitions"),
        ("traces.endpoint=collector:4318", "endpoint"),
        ("traces.ratio=2", "ratio"),
        ("partitions=101", "partitions"),
        ("replicas=3", "replicas"),
        ("gateway.replica=3", "replica"),
        ("config.logLevel=debug", "logLevel"),
        ("persister.config.WS_QUEUE_BYTES=1", "WS_QUEUE_BYTES"),
        ("persister.config.WEBHOOKS=off", "WEBHOOKS"),
        ("gateway.config.RATE_SEND=5", "RATE_SEND"),
        ("gateway.config.HTTP_PORT=3200", "the image sets it"),
        ("config.PARTITIONS=8", "partitions sets it"),
        ("gateway.config.JWT_ISSUER=me", "auth.issuer sets it"),
        ("notifier.config.SMTP_PASSWORD=hidden", "a Secret that existingSecret names"),
        ("notifier.config.VAPID_PRIVATE_KEY=hidden", "a Secret that existingSecret names"),
        ("gateway.config.EMAIL_SECRET=hidden", "a Secret that existingSecret names"),
        ("config.EMAIL_SECRET=hidden", "a Secret that existingSecret names"),
        ("ingress.hosts[0].path=/chat", "path"),
        ("persister.keda.enabled=true", "managementUrl"),
        ("mongodb.cluster.enabled=true", "passwordSecret"),
        ("ingress.enabled=true", "ingress.hosts"),
        ("rabbitmq.cluster.replicas=2", "replicas"),
    ],
)
def test_what_cannot_work_is_refused(wrong: str, complaint: str) -> None:
    done = helm("template", "release", str(CHART), f"--values={HERE / 'values' / 'smallest.yaml'}", f"--set={wrong}")
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "hidden" not in done.stderr

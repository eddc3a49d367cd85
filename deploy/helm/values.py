"""What can be set in the chart, once; `python -m deploy.helm.generate` writes values.yaml, its schema and the README of it.

Names are camelCase, as Helm has them. What is a setting of a service is in docs/configuration.md and goes into `config`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Config = dict[Variable, str | int | float | bool]
Port = Annotated[int, Field(ge=1, le=65535)]
# Parts of Kubernetes' own objects; what is in them is for Kubernetes to judge.
Resources = dict[str, Any]
Labels = dict[str, str]


class Values(BaseModel):
    """A group of values."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Image(Values):
    """Which images run."""

    registry: str = Field("", description="registry and path, as `registry.example/chat`; none for names without one")
    prefix: str = Field("palabre-", description="what stands before `gateway`, `persister` and `notifier`")
    tag: str = Field("", description="version of the images; the chart's appVersion when empty")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field("IfNotPresent", description="when to fetch them")
    pull_secrets: list[str] = Field([], description="names of Secrets of a private registry")


class ExistingSecret(Values):
    """A Secret that somebody else makes."""

    name: str = Field("", description="name of the Secret; none when empty")
    key: str = Field("url", description="key in it")


class RabbitmqCluster(Values):
    """A RabbitMQ of the chart's own, where the RabbitMQ Cluster Operator is installed."""

    enabled: bool = Field(False, description="make a RabbitmqCluster, and use it")
    replicas: Literal[1, 3, 5] = Field(3, description="nodes; quorum queues want an odd number")
    storage: str = Field("20Gi", description="disk of each node")
    storage_class_name: str = Field("", description="class of the disks; the cluster's default when empty")
    resources: Resources = Field(
        {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}, description="of each node"
    )


class Rabbitmq(Values):
    """Where RabbitMQ is."""

    url: str = Field("", description="amqp:// or amqps://user:password@host:port/vhost; goes into the chart's Secret")
    existing_secret: ExistingSecret = Field(ExistingSecret(), description="a Secret that holds the URL instead")
    management_url: str = Field(
        "",
        description="http://user:password@host:15672/vhost of the management plugin: where KEDA asks how long queues are",
    )
    management_existing_secret: ExistingSecret = Field(
        ExistingSecret(), description="a Secret that holds that URL instead"
    )
    cluster: RabbitmqCluster = Field(RabbitmqCluster(), description="a RabbitMQ of the chart's own")


class MongodbCluster(Values):
    """A MongoDB of the chart's own, where the MongoDB Community Operator is installed."""

    enabled: bool = Field(False, description="make a MongoDBCommunity resource, and use it")
    members: Literal[1, 3, 5] = Field(3, description="members of the replica set")
    version: str = Field("7.0.14", description="version of MongoDB")
    password_secret: str = Field(
        "", description="name of a Secret whose key `password` is the user's; has to exist before"
    )
    storage: str = Field("50Gi", description="disk of each member")
    storage_class_name: str = Field("", description="class of the disks; the cluster's default when empty")
    resources: Resources = Field(
        {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        description="of each member's `mongod`, which the operator would else give one CPU and 500 MB",
    )


class Mongodb(Values):
    """Where MongoDB is."""

    url: str = Field("", description="mongodb:// or mongodb+srv://, a replica set; goes into the chart's Secret")
    database: str = Field("palabre", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="database of this environment")
    existing_secret: ExistingSecret = Field(ExistingSecret(), description="a Secret that holds the URL instead")
    cluster: MongodbCluster = Field(MongodbCluster(), description="a MongoDB of the chart's own")


class Auth(Values):
    """Who is let in. One of the three ways is needed, but in development (`AUTH_DEV` in `gateway.config`)."""

    jwt_secret: str = Field("", description="key of HS256 tokens, at least 32 bytes; goes into the chart's Secret")
    existing_secret: ExistingSecret = Field(
        ExistingSecret(key="jwt-secret"), description="a Secret that holds the key instead"
    )
    jwks_url: str = Field("", description="where the keys of RS256, ES256 and EdDSA tokens are published")
    issuer: str = Field("", description="the `iss` that a token must have")
    audience: str = Field("", description="the `aud` that a token must have")
    allowed_origins: list[str] = Field([], description="browser origins let in; the gateway's own host when empty")


class Autoscaling(Values):
    """Of the gateways: by CPU, and by sockets where an adapter serves Prometheus' metrics to Kubernetes."""

    enabled: bool = Field(False, description="let a HorizontalPodAutoscaler choose the number of gateways")
    min_replicas: Annotated[int, Field(ge=1)] = Field(2, description="at least")
    max_replicas: Annotated[int, Field(ge=1)] = Field(10, description="at most; every gateway sees every message")
    cpu: Annotated[int, Field(ge=0, le=100)] = Field(
        70, description="percent of the requested CPU; 0 does not look at it"
    )
    connections: Annotated[int, Field(ge=0)] = Field(
        0, description="sockets a gateway (the metric palabre_gateway_connections); 0 does not look at it"
    )


class Keda(Values):
    """By the length of the queues, where KEDA is installed."""

    enabled: bool = Field(False, description="let KEDA choose the number; needs rabbitmq.managementUrl or its Secret")
    min_replicas: Annotated[int, Field(ge=1)] = Field(2, description="at least")
    max_replicas: Annotated[int, Field(ge=1)] = Field(
        8, description="at most; more persisters than partitions are idle"
    )
    queue_length: Annotated[int, Field(ge=1)] = Field(500, description="AMQP messages waiting that one more is worth")


class Service(Values):
    """What every service has."""

    replicas: Annotated[int, Field(ge=0)] = Field(2, description="how many; unless something scales it")
    config: Config = Field({}, description="its settings, by the names in docs/configuration.md; none that is secret")
    existing_secret: str = Field(
        "", description="name of a Secret whose keys are settings of it too, as SMTP_PASSWORD; none when empty"
    )
    resources: Resources = Field({}, description="CPU and memory")
    extra_volumes: list[Resources] = Field(
        [], description="more volumes of its pods, as one with certificates; those of the persister's are the Job's too"
    )
    extra_volume_mounts: list[Resources] = Field([], description="where they are in its container")
    pod_annotations: Labels = Field({}, description="more annotations of its pods")
    node_selector: Labels = Field({}, description="nodes that it may run on")
    tolerations: list[Resources] = Field([], description="taints that it does not mind")
    affinity: Resources = Field({}, description="beside what it wants to run; pods are spread in any case")
    max_unavailable: int | str = Field(1, description="pods that may be away for maintenance (PodDisruptionBudget)")


class GatewayService(Values):
    """Its Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field("ClusterIP", description="kind")
    port: Port = Field(80, description="port")
    annotations: Labels = Field({}, description="more annotations")


class Gateway(Service):
    """The gateways."""

    resources: Resources = Field(
        {"requests": {"cpu": "500m", "memory": "384Mi"}, "limits": {"memory": "1Gi"}},
        description="CPU and memory; some 14 KiB an open socket. No CPU limit: throttling is latency",
    )
    autoscaling: Autoscaling = Field(Autoscaling(), description="by load")
    service: GatewayService = Field(GatewayService(), description="its Service")


class Worker(Service):
    """What persisters and notifiers have."""

    resources: Resources = Field(
        {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}, description="CPU and memory"
    )
    keda: Keda = Field(Keda(), description="by queue length")


class Persister(Worker):
    """The persisters."""


class Notifier(Worker):
    """The notifiers."""


class Prepare(Values):
    """The Job before an installation or upgrade that declares queues and collections, or refuses what does not fit."""

    enabled: bool = Field(True, description="run it")
    change_partitions: bool = Field(
        False, description="let it change the number of partitions; see docs/operations.md first"
    )
    deadline_seconds: Annotated[int, Field(ge=10)] = Field(
        300,
        description="how long it may take; waiting for RabbitMQ and MongoDB it gives up a minute before, and says why. "
        "No longer than helm's --timeout (5m)",
    )
    resources: Resources = Field(
        {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}, description="CPU and memory"
    )


class Host(Values):
    """A host of the Ingress, all of it: the page is built for the root of one."""

    host: str = Field("", description="name; every name when empty")


class Tls(Values):
    """A certificate of the Ingress."""

    secret_name: str = Field("", description="name of the Secret")
    hosts: list[str] = Field([], description="names that it is for")


class Ingress(Values):
    """How browsers get in."""

    enabled: bool = Field(False, description="make an Ingress")
    class_name: str = Field("", description="class")
    annotations: Labels = Field(
        {
            "nginx.ingress.kubernetes.io/proxy-read-timeout": "90",
            "nginx.ingress.kubernetes.io/proxy-send-timeout": "90",
            "haproxy-ingress.github.io/timeout-tunnel": "90s",
        },
        description="an open WebSocket may be silent for HEARTBEAT_INTERVAL (30 s): time-outs have to be above",
    )
    hosts: list[Host] = Field([], description="hosts, each as `host: NAME`; the page wants a host to itself")
    tls: list[Tls] = Field([], description="certificates")


class NetworkPolicy(Values):
    """Who may speak to whom."""

    enabled: bool = Field(True, description="let pods be reached by, and reach, only what they need")
    gateway_from: list[Resources] = Field(
        [], description="peers that may reach the gateways, as in a NetworkPolicy; all when empty"
    )
    metrics_from: list[Resources] = Field(
        [], description="peers that may read metrics (port 3100); those of this namespace when empty"
    )
    egress_ports: list[Port] = Field(
        [5671, 5672, 27017, 443],
        description="RabbitMQ, MongoDB, and HTTPS for keys of tokens, pushes and webhooks; DNS besides. "
        "Mails want that of their relay too",
    )


class Monitor(Values):
    """For the Prometheus Operator."""

    enabled: bool = Field(
        False,
        description="make ServiceMonitors, also of the chart's own RabbitMQ; docs/operations.md has that of others",
    )
    interval: str = Field("15s", description="how often metrics are read")
    labels: Labels = Field({}, description="labels by which your Prometheus finds them")


class Rules(Values):
    """For the Prometheus Operator."""

    enabled: bool = Field(False, description="make a PrometheusRule of the alerts in docs/operations.md")
    labels: Labels = Field({}, description="labels by which your Prometheus finds it")
    rabbitmq_labels: Labels = Field(
        {},
        description="labels of the series of a RabbitMQ that is not the chart's own, as `namespace: rabbitmq`; "
        "all that Prometheus reads when empty",
    )


class Dashboard(Values):
    """For Grafana's sidecar."""

    enabled: bool = Field(False, description="make a ConfigMap of the dashboard")
    labels: Labels = Field({"grafana_dashboard": "1"}, description="labels by which Grafana's sidecar finds it")


class Metrics(Values):
    """Who reads the metrics."""

    service_monitor: Monitor = Field(Monitor(), description="for the Prometheus Operator")
    rules: Rules = Field(Rules(), description="alerts")
    dashboard: Dashboard = Field(Dashboard(), description="for Grafana")


class Traces(Values):
    """OpenTelemetry."""

    endpoint: str = Field(
        "",
        pattern=r"^(https?://[^/?#]+.*)?$",
        description="where traces are taken by OTLP/HTTP, as http://collector:4318 (TRACES); pods may reach its port",
    )
    ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="share of messages and other commands that are traced (TRACES_RATIO)"
    )


class Chart(Values):
    """Every value of the chart."""

    name_override: str = Field("", description="instead of the chart's name in names")
    fullname_override: str = Field("", description="instead of release and chart in names")
    image: Image = Field(Image(), description="which images run")
    config: Config = Field(
        {}, description="settings of every service, by the names in docs/configuration.md, as LOG_LEVEL"
    )
    partitions: Annotated[int, Field(ge=1, le=100)] = Field(
        16, description="queues that commands are spread over; docs/operations.md says how to change it"
    )
    prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,50}$", description="put before the names of exchanges and queues"
    )
    rabbitmq: Rabbitmq = Field(Rabbitmq(), description="where RabbitMQ is")
    mongodb: Mongodb = Field(Mongodb(), description="where MongoDB is")
    auth: Auth = Field(Auth(), description="who is let in")
    gateway: Gateway = Field(Gateway(), description="WebSocket, REST and the page")
    persister: Persister = Field(Persister(), description="stores what is said")
    notifier: Notifier = Field(Notifier(), description="reaches those who are absent")
    shutdown_seconds: Annotated[int, Field(ge=1)] = Field(
        30, description="what a service may take to finish what it has in hand (SHUTDOWN_TIMEOUT)"
    )
    pre_stop_seconds: Annotated[int, Field(ge=0)] = Field(
        5, description="time for load balancers to hear that a pod goes, before it drains"
    )
    prepare: Prepare = Field(Prepare(), description="the Job before an installation or upgrade")
    command: list[str] = Field(
        [],
        description="one command of `palabre` to make a Job of with `helm template`, as {restored,--yes}, and none where "
        "something is installed; see docs/operations.md",
    )
    ingress: Ingress = Field(Ingress(), description="how browsers get in")
    network_policy: NetworkPolicy = Field(NetworkPolicy(), description="who may speak to whom")
    metrics: Metrics = Field(Metrics(), description="who reads the metrics")
    traces: Traces = Field(Traces(), description="who takes the traces")
    service_account_annotations: Labels = Field({}, description="of the ServiceAccount, which has no token")

"""The Kubernetes manifests: what the API accepts, what a daemon can start with, and what holds them together."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

from documentation import postgresql
from stream_assoc.settings import Settings, load_settings
from stream_assoc.settings.fields import environment_name
from tests.manifests import FOLDER, OPERATORS, Manifest, manifests_in, pods, the

KUBERNETES_VERSIONS: Final = ("1.33", "1.37")

SECRETS: Final = "/run/secrets/stream-assoc"
DAEMON: Final = {"app.kubernetes.io/name": "stream-assoc", "app.kubernetes.io/component": "daemon"}

KEDA: Final[dict[str, type[ScaledObject | TriggerAuthentication]]] = {
    "ScaledObject": ScaledObject,
    "TriggerAuthentication": TriggerAuthentication,
}


def all_manifests() -> list[Manifest]:
    return [*manifests_in(FOLDER), *manifests_in(OPERATORS)]


def is_builtin(manifest: Manifest) -> bool:
    group, _, _ = manifest["apiVersion"].rpartition("/")
    return "." not in group or group.endswith(".k8s.io")


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_accepts_them(version: str) -> None:
    for manifest in filter(is_builtin, all_manifests()):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("kind", KEDA)
def test_keda_accepts_its_own(kind: str) -> None:
    (manifest,) = (one for one in manifests_in(OPERATORS) if one["kind"] == kind)
    # What a model does not know it leaves out.
    assert kept(KEDA[kind].model_validate(manifest)) == manifest


def kept(model: ScaledObject | TriggerAuthentication) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_every_object_of_an_operator_has_a_schema_or_is_known_to_have_none() -> None:
    """No package has those of Strimzi, K8ssandra and hyperspike, which are written from examples and sources."""
    without = {one["kind"] for one in all_manifests() if not is_builtin(one)} - KEDA.keys()
    assert without == {"Kafka", "KafkaNodePool", "KafkaUser", "K8ssandraCluster", "Valkey"}


def test_what_kubernetes_mounts_into_postgresql_is_what_is_advised() -> None:
    data = the("ConfigMap", "stream-assoc-postgresql")["data"]
    assert data == {"stream-assoc.conf": postgresql.settings(postgresql.KUBERNETES)}


def test_pods_are_restricted() -> None:
    """What the Pod Security Standard `restricted` asks for, and a root file system that nobody writes to."""
    found = list(pods(manifests_in(FOLDER)))
    assert len(found) == 2
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all({"hostPath"}.isdisjoint(volume) for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]


def test_compiled_kernels_have_a_place_to_be_written_to() -> None:
    for pod in pods(manifests_in(FOLDER)):
        (container,) = pod["containers"]
        empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
        written = [one["mountPath"] for one in container["volumeMounts"] if one["name"] in empty]
        (cache,) = (one["value"] for one in container["env"] if one["name"] == "NUMBA_CACHE_DIR")
        assert any(Path(cache).is_relative_to(place) for place in written)


@pytest.fixture(params=[("StatefulSet", "stream-assoc"), ("Job", "stream-assoc-init")], ids=["daemon", "init"])
def configured(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Manifest, Settings]:
    """A pod, and the settings that it starts with, its secrets from files."""
    pod = the(*request.param)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted["secrets"] == SECRETS
    for name in mounted_secrets(pod):
        (tmp_path / name).write_text("secret\n")
    file = tmp_path / "stream-assoc.toml"
    (text,) = the("ConfigMap", "stream-assoc")["data"].values()
    file.write_text(text.replace(SECRETS, str(tmp_path)))
    for variable in container["env"]:
        if variable["name"].startswith("STREAM_ASSOC_") and variable["name"] != "STREAM_ASSOC_CONFIG":
            value = str(variable["value"]).replace("$(POD_NAME)", "stream-assoc-0")
            monkeypatch.setenv(variable["name"], value.replace(SECRETS, str(tmp_path)))
    return pod, load_settings(file)


def mounted_secrets(pod: Manifest) -> set[str]:
    """Return the files of the projected volume: keys of our own secret, and those of others by their new names."""
    (volume,) = (one["projected"] for one in pod["volumes"] if one["name"] == "secrets")
    ours = the("Secret", "stream-assoc")
    files: set[str] = set()
    for source in (one["secret"] for one in volume["sources"]):
        items = source.get("items")
        if items is None:
            assert source["name"] == ours["metadata"]["name"]
            files |= ours["stringData"].keys()
        else:
            files |= {item["path"] for item in items}
    return files


def test_what_a_pod_starts_with_is_complete(configured: tuple[Manifest, Settings]) -> None:
    _, settings = configured
    passwords = (settings.kafka.sasl_password, settings.redis.password, settings.apdb.password)
    assert [one and one.get_secret_value() for one in passwords] == ["secret"] * 3
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert settings.redis.url.get_secret_value().startswith("rediss://")
    assert settings.apdb.ssl_mode == "verify-full"


def test_no_secret_is_in_an_environment() -> None:
    for pod in pods(manifests_in(FOLDER)):
        for container in pod["containers"]:
            names = {one["name"] for one in container["env"]}
            secrets = {environment_name(f"{name}.password") for name in ("apdb", "redis", "kafka")}
            assert names.isdisjoint({*secrets, environment_name("kafka.sasl_password")})
            assert all("secretKeyRef" not in one.get("valueFrom", {}) for one in container["env"])


def test_the_daemon_agrees_with_its_settings(configured: tuple[Manifest, Settings]) -> None:
    pod, settings = configured
    (container,) = pod["containers"]
    if "ports" not in container:
        return
    assert pod["terminationGracePeriodSeconds"] > settings.daemon.drain_deadline_seconds
    (port,) = container["ports"]
    assert port["containerPort"] == settings.metrics.prometheus_port
    assert settings.metrics.prometheus_host == "0.0.0.0"
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    # A pod that crashes takes its partitions up again; one that is scaled away leaves them to others.
    assert settings.kafka.group_instance_id == "stream-assoc-0"
    assert settings.kafka.leave_group_on_stop


def test_selectors_select_the_daemons() -> None:
    labels = the("StatefulSet", "stream-assoc")["spec"]["template"]["metadata"]["labels"]
    assert labels == DAEMON
    for kind in ("Service", "PodDisruptionBudget"):
        selector = the(kind, "stream-assoc")["spec"]["selector"]
        assert selector.get("matchLabels", selector) == DAEMON
    init = the("Job", "stream-assoc-init")["spec"]["template"]["metadata"]["labels"]
    policy = the("NetworkPolicy", "stream-assoc")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items() & init.items()


def test_a_daemon_may_reach_its_servers_and_nobody_else(configured: tuple[Manifest, Settings]) -> None:
    _, settings = configured
    policy = the("NetworkPolicy", "stream-assoc")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    allowed = [port["port"] for rule in policy["egress"] for port in rule["ports"] if port["protocol"] == "TCP"]
    assert all(rule["to"] for rule in policy["egress"])
    urls = (settings.redis.url, settings.apdb.url)
    needed = {int(settings.kafka.bootstrap_servers.rpartition(":")[2])}
    needed |= {urlsplit(url.get_secret_value()).port or 0 for url in urls}
    cassandra = 9042
    assert sorted(allowed) == sorted({*needed, cassandra, 53})


def test_the_autoscaler_asks_for_the_group_of_the_daemons(configured: tuple[Manifest, Settings]) -> None:
    _, settings = configured
    scaled = the("ScaledObject", "stream-assoc", OPERATORS)["spec"]
    target = the(scaled["scaleTargetRef"]["kind"], scaled["scaleTargetRef"]["name"])
    assert target["apiVersion"] == scaled["scaleTargetRef"]["apiVersion"]
    # Each apply would overrule the autoscaler.
    assert "replicas" not in target["spec"]
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    kafka = settings.kafka
    assert (asked["consumerGroup"], asked["topic"]) == (kafka.group_id, kafka.input_topic)
    assert asked["bootstrapServers"] == kafka.bootstrap_servers
    assert kafka.partitions % scaled["maxReplicaCount"] == 0


def test_users_are_those_that_operators_make() -> None:
    users = {one["metadata"]["name"] for one in manifests_in(OPERATORS) if one["kind"] == "KafkaUser"}
    (authority,) = {one["metadata"]["name"] for one in manifests_in(OPERATORS) if one["kind"] == "Kafka"}
    made = {*users, f"{authority}-cluster-ca-cert", "stream-assoc", "stream-assoc-autoscaler-login"}
    authentication = the("TriggerAuthentication", "stream-assoc", OPERATORS)["spec"]["secretTargetRef"]
    named = {one["name"] for one in authentication}
    for pod in pods(manifests_in(FOLDER)):
        (volume,) = (one["projected"] for one in pod["volumes"] if one["name"] == "secrets")
        named |= {source["secret"]["name"] for source in volume["sources"]}
    assert named == made

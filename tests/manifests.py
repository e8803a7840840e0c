"""The Kubernetes manifests that are shipped, as tests read them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parents[1] / "docker" / "kubernetes"
OPERATORS: Final = FOLDER / "operators"

Manifest = dict[str, Any]

AclRules = dict[tuple[str, str, str], tuple[str, ...]]
"""Operations on resources, in the words of Kafka's clients: ``{("TOPIC", name, "LITERAL"): ("READ",)}``."""


def manifests_in(folder: Path) -> list[Manifest]:
    """Return every object of the files of a folder."""
    files = sorted(folder.glob("*.yml"))
    assert files, folder
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def the(kind: str, name: str, folder: Path = FOLDER) -> Manifest:
    """Return the object of this kind and name."""
    (found,) = (one for one in manifests_in(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Yield what each workload says of its pods."""
    for one in manifests:
        if one["kind"] in {"Job", "StatefulSet"}:
            yield one["spec"]["template"]["spec"]


def acl_rules(user: str) -> AclRules:
    """Return what a user of Kafka may do."""
    acls = the("KafkaUser", user, OPERATORS)["spec"]["authorization"]["acls"]
    kinds = {"topic": "TOPIC", "group": "GROUP", "transactionalId": "TRANSACTIONAL_ID", "cluster": "BROKER"}
    patterns = {"literal": "LITERAL", "prefix": "PREFIXED"}
    return {
        (
            kinds[one["resource"]["type"]],
            one["resource"].get("name", "kafka-cluster"),
            patterns[one["resource"].get("patternType", "literal")],
        ): tuple(_snake(operation) for operation in one["operations"])
        for one in acls
    }


def _snake(operation: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).lstrip("_").upper()

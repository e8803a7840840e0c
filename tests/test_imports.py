"""Each import contract breaks when a dependency is turned round, so `make check` would see it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "stream_assoc"
LINTER = Path(sys.executable).with_name("lint-imports")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose imports may be changed."""
    folder = tmp_path_factory.mktemp("turned")
    shutil.copytree(PACKAGE, folder / "stream_assoc", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(REPOSITORY / ".importlinter", folder)
    return folder


def broken_contracts(folder: Path) -> list[str]:
    """Return the names of the contracts that do not hold in a copy."""
    result = subprocess.run([LINTER, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    assert "Contracts:" in result.stdout, result.stdout + result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    return [line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")]


def test_every_contract_holds(copy: Path) -> None:
    assert broken_contracts(copy) == []


@pytest.mark.parametrize(
    ("package", "turned", "contract"),
    [
        ("core", "import stream_assoc.pipeline", "Packages"),
        ("pipeline", "import stream_assoc.stores", "Packages"),
        ("pipeline", "import stream_assoc.messaging", "Packages"),
        ("stores", "import stream_assoc.service", "Packages"),
        ("service", "import stream_assoc.wiring", "Packages"),
        ("wiring", "import stream_assoc.tools", "Packages"),
        ("tools", "import stream_assoc.apps", "Packages"),
        ("core/model", "import stream_assoc.core.sky", "Inside the core"),
        ("pipeline", "import fastavro", "Core and pipeline"),
        ("core/statistics", "import redis", "Core and pipeline"),
        ("stores/cache", "import stream_assoc.stores.apdb", "The APDB and the cache"),
        ("stores/apdb/sqlite", "import stream_assoc.stores.apdb.postgresql", "A backend of the APDB"),
        ("messaging/avro", "import stream_assoc.messaging.kafka", "Avro knows no Kafka"),
        ("messaging/kafka", "import stream_assoc.messaging.avro", "Avro knows no Kafka"),
        ("tools/transform", "import stream_assoc.tools.replay", "Inside the tools"),
        ("apps/web", "import stream_assoc.apps.cli", "Inside the programs"),
        ("settings", "import numba", "Settings"),
    ],
)
def test_a_dependency_that_is_turned_round_breaks_a_contract(
    copy: Path, package: str, turned: str, contract: str
) -> None:
    file = copy / "stream_assoc" / package / "__init__.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(f"{before}\n{turned}\n", encoding="utf-8")
    try:
        assert any(name.startswith(contract) for name in broken_contracts(copy))
    finally:
        file.write_text(before, encoding="utf-8")

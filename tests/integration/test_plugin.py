"""The plugin of the docs, installed as another package is, through the daemon as operators run it."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.model.types import BANDS
from stream_assoc.stores.apdb.rows.tables import FURTHER
from tests.contents import columns
from tests.integration.deployment import Deployment
from tests.integration.program import EXIT_SECONDS, PROGRAM, environment_of, serve
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
PLUGINS = ["ap_meanPosition", "ap_nDiaSources", "ap_meanFlux", "brightPoints"]
NAMES = [f"{band}_{name}" for band in BANDS for name in ("psfFluxNumBright", "psfFluxSnrMax")]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder that holds the example as pip would install it: its module, and what announces it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    folder = tmp_path / "site"
    information = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    shutil.copy(EXAMPLE / "bright_points.py", folder)
    return folder


def run(variables: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_the_example_is_stored_published_and_subscribed_to(
    deployed: Callable[..., Deployment], site: Path, tmp_path: Path
) -> None:
    deployment = deployed()
    variables = environment_of(deployment, statistics__plugins=json.dumps(PLUGINS))
    variables["PYTHONPATH"] = os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    refused = run(variables, tmp_path, "serve")
    assert refused.returncode == 2
    assert f"{FURTHER} lacks u_psfFluxNumBright" in refused.stderr
    told = run(variables, tmp_path, "apdb", "init", "--dry-run")
    assert told.stdout == f"would add to {FURTHER}: {', '.join(NAMES)}\n"
    assert run(variables, tmp_path, "apdb", "init").returncode == 0
    deployment.send(night())
    with serve(tmp_path, variables) as process:
        deployment.wait_until(lambda: deployment.n_committed() >= deployment.sent)
        process.terminate()
        assert process.wait(EXIT_SECONDS) == 0

    url = deployment.settings.apdb.url.get_secret_value()
    stored = {
        row[:2]: dict(zip(NAMES, row[2:], strict=True))
        for row in columns(url, FURTHER, "diaObjectId", "validityStartMjdTai", *NAMES)
    }
    published = {
        (row["diaObjectId"], row["validityStartMjdTai"]): dict(row["pluginStatistics"])
        for row in deployment.objects().to_pylist()
    }
    assert published == stored
    assert_right(stored, url)
    assert_subscribed(variables, tmp_path, deployment, published)


def assert_right(stored: dict[tuple[int, float], dict[str, float | None]], url: str) -> None:
    """Compute the numbers anew, from the sources in the database, source by source."""
    sources = columns(url, "DiaSource", "diaObjectId", "band", "psfFlux", "psfFluxErr", "timeProcessedMjdTai")
    assert len(stored) > 50
    for (identifier, start), values in stored.items():
        for band in BANDS:
            ratios = [
                flux / error
                for source_object, source_band, flux, error, time in sources
                if (source_object, source_band) == (identifier, band) and time <= start and error
            ]
            assert values[f"{band}_psfFluxNumBright"] == sum(ratio >= 5.0 for ratio in ratios)
            expected = max(ratios, default=None)
            got = values[f"{band}_psfFluxSnrMax"]
            assert (got is None) == (expected is None)
            if got is not None and expected is not None:
                assert np.isclose(got, expected, rtol=1e-6)


def assert_subscribed(
    variables: dict[str, str],
    folder: Path,
    deployment: Deployment,
    published: dict[tuple[int, float], dict[str, float | None]],
) -> None:
    """Read the topic as a subscriber who has not installed the plugin."""
    del variables["PYTHONPATH"], variables["STREAM_ASSOC_STATISTICS__PLUGINS"]
    tailed = run(variables, folder, "objects", "tail", "--from-beginning", "--until-end", "--json")
    assert tailed.returncode == 0, tailed.stderr
    rows: list[dict[str, Any]] = [json.loads(line) for line in tailed.stdout.splitlines()]
    seen = {(row["diaObjectId"], row["validityStartMjdTai"]): {name: row[name] for name in NAMES} for row in rows}
    assert seen == published
    assert len(rows) == len(deployment.objects())


def test_the_page_names_what_the_example_has() -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text()
    announced = (EXAMPLE / "pyproject.toml").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert blocks[0] in announced
    assert all(name in page for name in ("brightPoints", NAMES[0], NAMES[-1]))

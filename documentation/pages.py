"""Which pages, and which files for deployment, are generated, and by what."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from documentation import cli, metrics, postgresql, schemas, topics

PAGES: Final[dict[str, Callable[[], str]]] = {
    "docker/kubernetes/postgresql.yml": postgresql.kubernetes,
    "docker/postgresql/stream-assoc.conf": postgresql.compose,
    "docs/reference/cli.md": cli.page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/schemas.md": schemas.page,
    "docs/reference/topics.md": topics.page,
}


def drifted(folder: Path) -> list[str]:
    """Return those generated pages under the repository ``folder`` that are not as they would be written now."""
    return [
        name
        for name, page in PAGES.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != page()
    ]

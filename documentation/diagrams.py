"""Pictures of the diagrams in the pages, made with Mermaid's own program when one has changed.

``python -m documentation.diagrams`` makes those that are missing and removes
those that no page shows any more. It needs npx and a Chromium (CHROMIUM names
one); building the site needs neither.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MERMAID: Final = "@mermaid-js/mermaid-cli@11"
FOLDER: Final = "diagrams"
FIGURES: Final = Path("docs/figures")

STYLE: Final = {
    "theme": "neutral",
    # Text of the SVG itself: a picture on a page shows no HTML within it.
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "fontFamily": "sans-serif",
}


def figure_of(diagram: str) -> str:
    """Return the file under docs/figures that holds the picture of a diagram, named after its text."""
    return f"{FOLDER}/{hashlib.sha256(diagram.encode()).hexdigest()[:16]}.svg"


def diagrams(folder: Path) -> dict[str, str]:
    """Return the file of each picture that the pages under ``folder`` need, and its diagram."""
    return {
        figure_of(diagram): diagram
        for page in sorted(folder.rglob("*.md"))
        for diagram in FENCE.findall(page.read_text(encoding="utf-8"))
    }


def main() -> None:
    """Make the pictures that are missing."""
    wanted = diagrams(Path("docs"))
    (FIGURES / FOLDER).mkdir(parents=True, exist_ok=True)
    for file in (FIGURES / FOLDER).iterdir():
        if f"{FOLDER}/{file.name}" not in wanted:
            file.unlink()
    for name, diagram in wanted.items():
        if not (FIGURES / name).exists():
            _draw(diagram, FIGURES / name)


def _draw(diagram: str, output: Path) -> None:
    npx = shutil.which("npx")
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if npx is None or browser is None:
        sys.exit("drawing a diagram needs npx and chromium; CHROMIUM may name one")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "diagram.mmd").write_text(diagram, encoding="utf-8")
        (folder / "style.json").write_text(json.dumps(STYLE), encoding="utf-8")
        (folder / "browser.json").write_text(
            json.dumps({"executablePath": browser, "args": ["--no-sandbox"]}), encoding="utf-8"
        )
        files = ["-i", "diagram.mmd", "-o", str(output.resolve()), "-c", "style.json", "-p", "browser.json"]
        subprocess.run(  # noqa: S603 - what is run is named here
            [npx, "--yes", MERMAID, *files, "--backgroundColor", "transparent"],
            cwd=folder,
            env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"},
            check=True,
        )


if __name__ == "__main__":
    main()

"""MkDocs hooks for links into the repository and for diagrams.

The pages can be read in the repository too. There a link may lead to a test or a
schema, and the repository's host draws the diagrams. The site must work without
a network, so the hooks copy each linked file into it and show a diagram as a
picture made beforehand (`python -m documentation.diagrams`).
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from documentation.diagrams import FENCE, figure_of

OUTWARD: Final = re.compile(r"(\]\(|^\[[^\]]+\]: )((?:\.\./)+[^)\s#]+)", re.MULTILINE)
"""A link that goes up: inline, or as a definition."""

COPIES: Final = "source"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make every file of the repository that a page links to a part of the site."""
    linked = {
        target
        for file in files.documentation_pages()
        for _, link in OUTWARD.findall(file.content_string)
        if (target := _outside(file.src_uri, link)) is not None
    }
    repository = os.path.dirname(config.config_file_path)
    for target in sorted(linked):
        path = Path(repository, target)
        if path.is_dir():
            names = sorted(one.name for one in path.iterdir() if not one.name.startswith(("_", ".")))
            files.append(File.generated(config, _copy(target), content="\n".join([f"{target}/", "", *names])))
        elif path.is_file():
            files.append(File.generated(config, _copy(target), abs_src_path=str(path)))
        else:
            raise PluginError(f"a page links to {target}, which is not in the repository")
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of docs/ to the copies, and put pictures in the place of diagrams."""
    source = page.file.src_uri

    def led_to_copy(link: re.Match[str]) -> str:
        target = _outside(source, link[2])
        return link[0] if target is None else link[1] + posixpath.relpath(_copy(target), posixpath.dirname(source))

    def pictured(fence: re.Match[str]) -> str:
        figure = f"figures/{figure_of(fence[1])}"
        if files.get_file_from_path(figure) is None:
            raise PluginError(
                f"{source}: a diagram has no picture; run `.venv/bin/python -m documentation.diagrams` (needs npx)"
            )
        path = posixpath.relpath(figure, posixpath.dirname(source))
        # A wide one is small on a page: it opens by itself in its own size.
        return f"[![Diagram]({path})]({path})"

    return FENCE.sub(pictured, OUTWARD.sub(led_to_copy, markdown))


def _outside(source: str, link: str) -> str | None:
    """Return the path within the repository that a link leads to, or `None` if that is within docs/."""
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), link))
    return None if target.startswith("docs/") else target


def _copy(target: str) -> str:
    # As text, so that a browser shows it whatever it is.
    return f"{COPIES}/{target}.txt"

"""What the site's builder does with links that leave the pages, and with diagrams."""

from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from documentation.diagrams import figure_of
from tests.documentation.console import REPOSITORY

DIAGRAM = "flowchart LR\n    A --> B\n"


@pytest.fixture
def build_page(tmp_path: Path):
    """Build a site of one page beside a file and a folder, every warning an error, and return its folder."""

    def made(page: str):
        (tmp_path / "docs" / "how-to").mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / "index.md").write_text("# Index\n")
        (tmp_path / "docs" / "how-to" / "page.md").write_text(page)
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / "file.py").write_text("answer = 42\n")
        config = tmp_path / "mkdocs.yml"
        hooks = REPOSITORY / "documentation" / "site.py"
        config.write_text(
            f"site_name: test\nuse_directory_urls: false\nhooks: [{hooks}]\nplugins: []\n"
            "theme: {name: material, font: false}\n"
        )
        build(load_config(str(config), strict=True))
        return tmp_path / "site"

    return made


def test_a_link_into_the_repository_leads_to_a_copy(build_page) -> None:
    site = build_page('# Page\n\n[code](../../code/file.py) and [all][all]\n\n[all]: ../../code "Everything"\n')
    html = (site / "how-to" / "page.html").read_text()
    assert 'href="../source/code/file.py.txt"' in html
    assert 'href="../source/code.txt"' in html
    assert (site / "source" / "code" / "file.py.txt").read_text() == "answer = 42\n"
    assert "file.py" in (site / "source" / "code.txt").read_text()


def test_a_link_to_nothing_is_refused(build_page) -> None:
    with pytest.raises(Abort, match="BuildError"):
        build_page("# Page\n\n[code](../../code/gone.py)\n")


def test_a_diagram_without_a_picture_is_refused(build_page) -> None:
    with pytest.raises(Abort, match="BuildError"):
        build_page(f"# Page\n\n```mermaid\n{DIAGRAM}```\n")


def test_a_diagram_becomes_its_picture(build_page, tmp_path: Path) -> None:
    picture = tmp_path / "docs" / "figures" / figure_of(DIAGRAM)
    picture.parent.mkdir(parents=True)
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    site = build_page(f"# Page\n\n```mermaid\n{DIAGRAM}```\n")
    assert f'src="../figures/{figure_of(DIAGRAM)}"' in (site / "how-to" / "page.html").read_text()

"""The night report, read on a phone and by keyboard."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from stream_assoc.core.model.times import parse_night
from stream_assoc.tools.report.night import Night
from stream_assoc.tools.report.page import page as report_of
from tests.apps.web.builders import metrics

LEAST_TEXT_PIXELS = 9.0

Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report."""
    batches = [metrics(visit, midpointMjdTai=61_042.1 + visit / 2000) for visit in range(40)]
    file: Path = tmp_path_factory.mktemp("report") / "night.html"
    file.write_text(report_of(Night(parse_night("2026-01-01"), batches, [])), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(browser: Browser, report: str) -> Open:
    """Open the report in a context of its own."""

    @contextmanager
    def opened(**options: Any) -> Iterator[Page]:
        context = browser.new_context(**options)
        page = context.new_page()
        page.goto(report)
        yield page
        context.close()

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_figures_and_tables_not_the_page(opened: Open, scheme: str) -> None:
    with opened(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        sizes = page.locator("figure svg text").evaluate_all(
            "texts => texts.map((one) => parseFloat(getComputedStyle(one).fontSize)"
            " * Math.hypot(one.getScreenCTM().a, one.getScreenCTM().b))"
        )
        assert len(sizes) > 20
        assert min(sizes) >= LEAST_TEXT_PIXELS
        wide = page.locator("figure.wide .drawing").first
        assert wide.evaluate("e => e.scrollWidth > e.clientWidth")
        assert wide.evaluate("e => getComputedStyle(e).backgroundAttachment") == "local, local, scroll, scroll"


def test_its_tables_are_scrolled_by_keyboard(opened: Open) -> None:
    with opened(viewport={"width": 390, "height": 844}) as page:
        table = page.get_by_role("region").first
        expect(table).to_be_visible()
        table.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.querySelector('.scroll').scrollLeft > 0")


def test_no_label_of_a_figure_lies_over_another(opened: Open) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as page:
        overlapping = page.locator("figure svg").evaluate_all(
            """figures => figures.flatMap((figure) => {
                const boxOf = (one) => [one.textContent, one.getBoundingClientRect()];
                const texts = [...figure.querySelectorAll("text")].map(boxOf);
                const isApart = (a, b) => a.right - 1 <= b.left || b.right - 1 <= a.left
                    || a.bottom - 1 <= b.top || b.bottom - 1 <= a.top;
                return texts.flatMap(([name, a], k) =>
                    texts.slice(0, k).filter(([, b]) => !isApart(a, b)).map(([other]) => [name, other]));
            })"""
        )
        assert overlapping == []

"""What a reader of the page can find, follow, zoom, and read by keyboard or on a phone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.apps.web.browser.conftest import Site
from tests.apps.web.builders import BIG, metrics
from tests.configured import configured
from tests.pipeline.skies import night
from tests.stores.apdb.reading.nights import StoredNight

OpenPage = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")


def curve_of(page: Page) -> dict[str, float]:
    """Return the box of the light curve once it is drawn."""
    expect(page.locator("svg.curve path[data-band]").first).to_be_visible()
    box = page.locator("svg.curve").bounding_box()
    assert box is not None
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def drag(page: Page, box: dict[str, float], start: float, end: float) -> None:
    """Drag over a part of a box, the ends as fractions of its width; the button stays down."""
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 140, steps=5)


@pytest.mark.parametrize("form", ["{0}", "visit {0}"])
def test_search_finds_a_visit(site: Site, open_page: OpenPage, form: str) -> None:
    visit, detector = night()[0].id
    page = open_page(site.url)
    search(page, form.format(visit))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Visit {visit}")
    page.get_by_role("region", name="Detectors").get_by_role("link", name=str(detector), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Visit {visit}, detector {detector}")
    page.get_by_role("heading", level=1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Visit {visit}")


@pytest.mark.parametrize("form", ["visit {0} detector {1}", "visit {0}/{1}"])
def test_search_finds_a_visit_and_detector(site: Site, open_page: OpenPage, form: str) -> None:
    batch = night()[0].id
    page = open_page(site.url)
    search(page, form.format(*batch))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Visit {batch.visit}, detector {batch.detector}")


def test_visits_are_links(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url)
    site.feed.add_batches([metrics(night()[0].id.visit)])
    page.get_by_role("region", name="Latest visits").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Visit {night()[0].id.visit}")
    page.goto(f"{site.url}#/sky")
    page.get_by_role("region", name="Latest visits").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Visit")


def test_no_label_of_the_light_curve_lies_over_another(
    site: Site, open_page: OpenPage, sqlite_night: StoredNight
) -> None:
    page = open_page(f"{site.url}#/object/{sqlite_night.forced_object}")
    curve_of(page)
    # Fluxes of many digits, which short labels would not show.
    page.route(
        "**/light_curve",
        lambda route: route.fulfill(
            json={
                "sources": [
                    {
                        **{"diaSourceId": str(k), "visit": "1", "detector": 0, "band": "r", "psfFluxErr": 0.001},
                        **{"midpointMjdTai": 61_000.0 + k, "timeWithdrawnMjdTai": None, "scienceFlux": None},
                        **{"psfFlux": -999_990.0 - 0.002 * k, "timeProcessedMjdTai": 61_000.0},
                    }
                    for k in range(3)
                ],
                "forced": [],
                "isComplete": True,
            }
        ),
    )
    page.reload()
    curve_of(page)
    boxes = page.locator("svg.curve text").evaluate_all(
        "texts => texts.map((one) => one.getBoundingClientRect()).map((b) => [b.left, b.top, b.right, b.bottom])"
    )
    assert len(boxes) > 6
    overlapping = [
        (one, other)
        for k, one in enumerate(boxes)
        for other in boxes[:k]
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]
    assert overlapping == []
    assert min(box[0] for box in boxes) >= page.locator("svg.curve").evaluate("e => e.getBoundingClientRect().left")


def test_a_narrow_light_curve_has_an_axis_of_time(site: Site, open_page: OpenPage, sqlite_night: StoredNight) -> None:
    page = open_page(f"{site.url}#/object/{sqlite_night.forced_object}", **PHONE)
    curve_of(page)
    assert page.locator("svg.curve text:not(.tick):not(.axis-label)").count() >= 3


def test_a_drag_draws_its_rectangle_and_its_zoom_can_be_undone(
    site: Site, open_page: OpenPage, sqlite_night: StoredNight
) -> None:
    page = open_page(f"{site.url}#/object/{sqlite_night.forced_object}")
    box = curve_of(page)
    rectangle = page.locator("svg.curve .chosen")
    for n_windows in (1, 2):
        # The last point is in each.
        drag(page, box, 0.5 if n_windows == 1 else 0.4, 0.99)
        expect(rectangle).to_be_visible()
        assert float(rectangle.get_attribute("width") or 0) > 100
        page.mouse.up()
        expect(rectangle).not_to_be_visible()
        expect(page.locator(".zoomed")).to_contain_text(re.compile(r"Shown: MJD \d+\.\d+ to \d+\.\d+"))
        assert page.evaluate("getSelection().toString()") == ""
    inner = page.locator(".zoomed").inner_text()
    page.get_by_role("button", name="One step back").click()
    expect(page.locator(".zoomed")).not_to_have_text(inner)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".zoomed")).to_contain_text("Drag to choose")


def test_a_tip_goes_with_what_it_is_about(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url, viewport={"width": 1280, "height": 500})
    site.feed.add_batches([metrics(BIG, detector) for detector in range(200)])
    expect(page.get_by_role("region", name="Latest visits").get_by_role("link").first).to_be_visible()
    chart = page.locator("canvas.chart").first
    tip = page.get_by_role("tooltip")
    for leave in (
        lambda: page.mouse.wheel(0, 200),
        lambda: page.keyboard.press("Escape"),
        lambda: page.mouse.move(5, 5),
        lambda: page.goto(f"{site.url}#/objects"),
    ):
        box = chart.bounding_box()
        assert box is not None
        chart.hover(position={"x": box["width"] - 8, "y": 100})
        expect(tip).to_be_visible()
        leave()
        expect(tip).to_have_count(0)


def test_a_tip_can_be_read_after_a_touch(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url, **PHONE)
    site.feed.add_batches([metrics(BIG, 3)])
    chart = page.locator("canvas.chart").first
    box = chart.bounding_box()
    assert box is not None
    chart.tap(position={"x": box["width"] - 7, "y": 120})
    expect(page.get_by_role("tooltip")).to_contain_text(f"visit {BIG} detector 3")
    page.locator("h1").tap()
    expect(page.get_by_role("tooltip")).to_have_count(0)


def test_the_sky_opens_on_its_data_with_legend_and_scale(site: Site, open_page: OpenPage) -> None:
    page = open_page(f"{site.url}#/sky")
    expect(page.get_by_role("status").filter(has_text="Click one")).to_be_visible()
    centre = page.locator(".controls .soft").inner_text()
    ra, dec, radius = map(float, re.findall(r"\d+(?:\.\d+)?", centre))
    sky = page.evaluate("fetch('/api/sky').then((answer) => answer.json())")
    assert all(
        abs(corner[0] - ra) <= 1.2 * radius and abs(corner[1] - dec) <= 1.2 * radius
        for visit in sky["visits"]
        for corner in visit["outline"]
    )
    expect(page.locator(".legend", has_text="outline of a visit")).to_contain_text("object with a single source")
    assert re.fullmatch(r"\d+[°′″]", page.locator("canvas.field").get_attribute("data-scale") or "")  # noqa: RUF001


def test_the_sky_says_that_it_is_loading(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/sky", hold)
    page.get_by_role("link", name="Sky").click()
    expect(page.get_by_role("status").filter(has_text="Loading the sky")).to_be_visible()
    page.wait_for_function("() => document.querySelector('canvas.field')")
    for route in held:
        route.continue_()
    expect(page.get_by_role("status").filter(has_text="Click one")).to_be_visible()


def test_counts_that_differ_say_what_they_count(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url)
    expect(page.locator(".tile", has_text="Object updates")).to_contain_text("once for each batch")
    site.feed.set_state("overview", {"n_objects": 7, "n_sources": 9, "n_single_source": 1, "last_processed": None})
    expect(page.locator(".tile", has_text="Objects stored")).to_contain_text("different ones")


def test_live_charts_have_an_axis_of_time(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url)
    site.feed.add_batches([metrics(k, timeProcessedMjdTai=61_000.0 + k / 1440.0) for k in range(60)])
    chart = page.locator("canvas.chart").first
    expect(chart).to_have_attribute("data-times", re.compile(r"^00:58:23( \d\d:\d\d:\d\d)+$"))


def test_batches_of_several_partitions_stand_in_the_order_of_time(site: Site, open_page: OpenPage) -> None:
    page = open_page(site.url)
    minutes = [3, 7, 40, 1, 5, 59, 2]
    site.feed.add_batches([metrics(k, timeProcessedMjdTai=61_000.0 + k / 1440.0) for k in minutes])
    site.feed.add_batches([metrics(4, timeProcessedMjdTai=61_000.0 + 4 / 1440.0)])
    expect(page.locator(".tile", has_text="Batches seen").locator("dd")).to_have_text("8")
    seen = page.evaluate("import('/static/js/live.js').then(({ live }) => live.batches.map((one) => one.visit))")
    assert seen == [str(k) for k in sorted([*minutes, 4])]


def test_bars_are_read_by_keyboard(site: Site, open_page: OpenPage) -> None:
    batches = [one.id for one in night()]
    page = open_page(site.url)
    site.feed.add_batches([metrics(*one, timeProcessedMjdTai=61_000.0 + k / 1440.0) for k, one in enumerate(batches)])
    expect(page.get_by_role("region", name="Latest visits").get_by_role("link").first).to_be_visible()
    page.locator("canvas.chart").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tooltip")).to_contain_text(f"visit {batches[-1].visit} detector {batches[-1].detector}")
    page.keyboard.press("Home")
    expect(page.locator("#said")).to_contain_text(f"visit {batches[0].visit} detector {batches[0].detector}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Visit {batches[0].visit}")


def test_a_light_curve_is_read_by_keyboard(site: Site, open_page: OpenPage, sqlite_night: StoredNight) -> None:
    page = open_page(f"{site.url}#/object/{sqlite_night.forced_object}")
    curve_of(page)
    page.locator("svg.curve").focus()
    page.keyboard.press("Home")
    expect(page.locator("#said")).to_contain_text("Point 1 of")
    expect(page.locator("svg.curve .marked")).to_be_visible()
    first = page.get_by_role("tooltip").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tooltip")).not_to_have_text(first)
    page.keyboard.press("+")
    expect(page.locator(".zoomed")).to_contain_text("Shown")
    page.keyboard.press("0")
    expect(page.locator(".zoomed")).to_contain_text("Drag to choose")
    page.keyboard.press("Home")
    # The first point is of forced photometry, which has no page of its own.
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tooltip")).to_contain_text("DIASource")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("DIASource")


def test_the_sky_is_read_by_keyboard(site: Site, open_page: OpenPage, sqlite_night: StoredNight) -> None:
    page = open_page(f"{site.url}#/object/{sqlite_night.forced_object}")
    page.get_by_role("link", name="on the sky").click()
    expect(page.get_by_role("status").filter(has_text="Click one")).to_be_visible()
    place = page.locator(".controls .soft")
    page.locator("canvas.field").focus()
    page.keyboard.press("n")
    expect(page.locator("#said")).to_contain_text(f"DIAObject {sqlite_night.forced_object}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"DIAObject {sqlite_night.forced_object}")
    page.go_back()
    expect(page.get_by_role("status").filter(has_text="Click one")).to_be_visible()
    for canvas, key in (("field", "ArrowLeft"), ("field", "+"), ("whole", "ArrowUp")):
        before = place.inner_text()
        page.locator(f"canvas.{canvas}").focus()
        page.keyboard.press(key)
        expect(place).not_to_have_text(before)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("object/17", "no object 17"),
        ("object/seventeen", "not an integer"),
        ("source/17", "no source 17"),
        ("visit/17", "visit 17 has not been processed"),
        ("visit/17/3", "visit 17 detector 3 has not been processed"),
        (f"object/{'9' * 400}", "64 bits"),
        ("object/%E0%A4%A", "not an integer"),
        ("objekt/17", "Nothing is at #/objekt/17"),
        ("object", "Nothing is at #/object"),
        ("visit/", "Nothing is at #/visit/"),
        ("live/17", "Nothing is at #/live/17"),
        ("__proto__", "Nothing is at"),
        ("sky/here", "here is not a position"),
        ("sky/1,100", "1,100 is not a position"),
    ],
)
def test_unknown_ids_and_addresses_say_so_once(site: Site, open_page: OpenPage, address: str, words: str) -> None:
    page = open_page(f"{site.url}#/{address}")
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("alert")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tables_of_a_phone_show_that_they_scroll(site: Site, open_page: OpenPage, scheme: str) -> None:
    visit, detector = night()[0].id
    page = open_page(f"{site.url}#/visit/{visit}/{detector}", color_scheme=scheme, **PHONE)
    region = page.get_by_role("region", name="Sources")
    expect(region).to_be_visible()
    assert region.evaluate("e => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX === 'auto'")
    assert region.evaluate("e => getComputedStyle(e).backgroundAttachment") == "local, local, scroll, scroll"
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('[aria-label=Sources]').scrollLeft > 0")


def test_an_empty_sky_is_not_loading_for_ever(open_page: OpenPage, empty_url: str) -> None:
    with Site(configured(apdb={"url": empty_url})).up() as site:
        page = open_page(f"{site.url}#/sky")
        expect(page.get_by_role("status").filter(has_text="Nothing has been stored yet")).to_be_visible()

"""Every page in a real browser: what it shows, when it is empty, and on a phone."""

import re
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from stream_assoc.stores.apdb.reading.open import open_reader
from tests.apps.web.browser.conftest import Site
from tests.apps.web.builders import BIG, metrics
from tests.configured import configured
from tests.pipeline.skies import night

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def has_ink(page, selector):
    """Tell whether anything but the background is drawn on a canvas."""
    return page.evaluate(
        """selector => {
            const canvas = document.querySelector(selector);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return data.some((value, index) => index % 4 === 3 && value > 0);
        }""",
        selector,
    )


@pytest.fixture
def stored_object(sqlite_night):
    return sqlite_night.forced_object


def test_live_visits(site, open_page) -> None:
    page = open_page(site.url)
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.get_by_text("No batch has been processed yet")).to_be_visible()
    site.feed.add_batches(
        [metrics(BIG, detector, numMarginalDiaSources=3, numDroppedDiaSources=4) for detector in (0, 1)]
    )
    row = page.locator("tbody tr", has_text=str(BIG))
    expect(row).to_have_count(1)
    expect(row.locator("td").nth(2)).to_have_text("20")
    expect(row.get_by_role("link")).to_have_text([str(BIG), "0", "1"])
    expect(row.get_by_role("link").first).to_have_attribute("href", f"#/visit/{BIG}")
    expect(row.get_by_role("link").nth(1)).to_have_attribute("href", f"#/visit/{BIG}/0")
    tile = page.locator(".tile", has_text="Not stored")
    expect(tile).to_contain_text("14")
    expect(tile).to_contain_text("6 marginal, 8 dropped")
    for canvas in ("canvas.chart >> nth=0", "canvas.chart >> nth=1"):
        page.locator(canvas).hover()
    assert has_ink(page, "canvas.chart")
    page.locator("canvas.chart").first.hover(
        position={"x": page.locator("canvas.chart").first.bounding_box()["width"] - 8, "y": 100}
    )
    expect(page.get_by_role("tooltip")).to_contain_text(f"visit {BIG} detector 1")


def test_states_of_services_lag_and_dead_letters(site, open_page) -> None:
    page = open_page(site.url)
    site.feed.set_state("lag", {"messages": 12345})
    site.feed.set_state(
        "overview", {"n_objects": 1_234_567, "n_sources": 2, "n_single_source": 3, "last_processed": None}
    )
    site.feed.add_dead_letter(
        {"reason": "invalid", "message": "<b>bad</b>", "topic": "t", "partition": 1, "offset": BIG, "time": 0}
    )
    expect(page.locator(".tile", has_text="Lag")).to_contain_text("12,345")
    expect(page.locator(".tile", has_text="Objects stored")).to_contain_text("1,234,567")
    letters = page.locator("section", has=page.get_by_role("heading", name="Dead letters"))
    expect(letters).to_contain_text(f"t 1:{BIG}")
    expect(letters).to_contain_text("<b>bad</b>")
    site.feed.set_service("kafka", is_up=False, message="no broker answers; check kafka.bootstrap_servers")
    banner = page.locator(".banner")
    expect(banner).to_contain_text("Kafka is unavailable: no broker answers; check kafka.bootstrap_servers")
    site.feed.set_service("kafka", is_up=True)
    expect(banner).to_have_count(0)


def test_from_the_list_to_the_light_curve_in_one_click(site, open_page) -> None:
    page = open_page(f"{site.url}#/objects")
    page.locator("tbody a").first.click()
    expect(page.locator("svg.curve path[data-band]").first).to_be_visible()
    expect(page.locator("svg.curve")).to_contain_text("psfFlux (nJy)")
    expect(page.locator("svg.curve")).to_contain_text("MJD TAI")


def test_an_object(site, open_page, stored_object) -> None:
    # What computes the statistics is compiled once on a machine, longer than a page waits for a text.
    urlopen(f"{site.url}api/objects/{stored_object}/statistics").close()
    page = open_page(f"{site.url}#/object/{stored_object}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(str(stored_object))
    bands = page.locator("svg.curve path[data-forced='no']")
    expect(bands.first).to_be_visible()
    n_bands = bands.count()
    expect(page.locator("svg.curve path[data-forced='yes']")).to_have_count(1)
    page.get_by_role("button", name="forced (1)").click()
    expect(page.locator("svg.curve path[data-forced='yes']")).to_have_count(0)
    page.get_by_role("button", name="scienceFlux").click()
    expect(page.locator("svg.curve")).to_contain_text("scienceFlux (nJy)")
    name = bands.first.get_attribute("data-band")
    page.locator(".controls").get_by_role("button", name=name, exact=True).click()
    expect(page.locator("svg.curve path[data-forced='no']")).to_have_count(n_bands - 1)
    statistics = page.locator("section", has=page.get_by_role("heading", name="Statistics"))
    expect(statistics).to_contain_text("psfFluxMean")
    # What the APDB has no column for comes later, computed.
    expect(statistics).to_contain_text("psfFluxPercentile50")
    versions = page.locator("section", has=page.get_by_role("heading", name="Versions"))
    expect(versions.locator("tbody tr").first).to_contain_text("open")
    association = page.locator("section", has=page.get_by_role("heading", name="Association of its sources"))
    rows = association.locator("tbody tr")
    expect(association.locator(".chip.good")).to_have_count(rows.count())
    expect(rows.last).to_contain_text("created it")


def test_a_point_of_the_light_curve_leads_to_its_reasons(site, open_page, stored_object) -> None:
    page = open_page(f"{site.url}#/object/{stored_object}")
    expect(page.locator("svg.curve path[data-forced='no']").first).to_be_visible()
    curve = page.locator("svg.curve").bounding_box()
    x, y = page.locator("svg.curve path[data-forced='no']").last.evaluate(
        "path => { const p = path.getPointAtLength(0); return [p.x, p.y]; }"
    )
    page.mouse.move(curve["x"] + x, curve["y"] + y)
    expect(page.get_by_role("tooltip")).to_contain_text("DIASource")
    page.mouse.click(curve["x"] + x, curve["y"] + y)
    expect(page.get_by_role("heading", level=1)).to_contain_text("DIASource")
    expect(page.locator(".sentence")).not_to_be_empty()
    expect(page.get_by_text("the recomputation agrees")).to_be_visible()


def test_the_reasons_of_a_source_that_joined(site, open_page, sqlite_night) -> None:
    reader = open_reader(sqlite_night.url)
    sources = reader.sources_of_batch(night()[-1].id).to_pylist()
    reader.close()
    joined = next(one for one in sources if one["diaObjectId"] not in {None, one["diaSourceId"]})
    page = open_page(f"{site.url}#/source/{joined['diaSourceId']}")
    row = page.locator("tr.match")
    expect(row).to_contain_text(str(joined["diaObjectId"]))
    expect(row).to_contain_text("matched")
    expect(page.locator("svg.target ellipse").first).to_be_visible()
    page.get_by_role("link", name=str(joined["diaObjectId"])).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"DIAObject {joined['diaObjectId']}")


def test_a_visit(site, open_page) -> None:
    visit, detector = night()[0].id
    page = open_page(f"{site.url}#/visit/{visit}/{detector}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Visit {visit}, detector {detector}")
    expect(page.get_by_text("new object", exact=True).first).to_be_visible()


@pytest.mark.parametrize("form", ["degrees", "sexagesimal"])
def test_search_by_position(site, open_page, stored_object, form: str) -> None:
    page = open_page(f"{site.url}#/object/{stored_object}")
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("sexagesimal")
    text = facts.locator("dd").nth(0 if form == "degrees" else 1).inner_text()
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tbody tr").first).to_contain_text(str(stored_object))
    expect(page.get_by_text("within 5″")).to_be_visible()


def test_search_by_id_and_what_is_not_found(site, open_page, stored_object) -> None:
    page = open_page(site.url)
    search = page.get_by_role("searchbox")
    search.fill(str(stored_object))
    search.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"DIAObject {stored_object}")
    search.fill("17")
    search.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Not found")
    search.fill("<img src=x onerror=alert(1)>")
    search.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("neither an id nor a position")
    assert page.locator("main img").count() == 0


def test_the_sky(site, open_page) -> None:
    page = open_page(f"{site.url}#/sky")
    expect(page.get_by_text(re.compile("objects. Click one"))).to_be_visible()
    assert has_ink(page, "canvas.whole")
    field = page.locator("canvas.field")
    before = page.locator(".controls .soft").inner_text()
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator(".controls .soft")).not_to_have_text(before)
    moved = page.locator(".controls .soft").inner_text()
    box = field.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 240, steps=4)
    page.mouse.up()
    expect(page.locator(".controls .soft")).not_to_have_text(moved)
    page.locator("canvas.whole").click()
    # The middle of the map is 180 degrees, on the equator.
    expect(page.locator(".controls .soft")).to_contain_text(re.compile(r"1(79|80)\.\d+ [+−][01]\.\d+"))  # noqa: RUF001


def test_a_dot_of_the_sky_leads_to_its_object(site, open_page, stored_object) -> None:
    page = open_page(f"{site.url}#/object/{stored_object}")
    page.get_by_role("link", name="on the sky").click()
    expect(page.get_by_text(re.compile("object.*Click one"))).to_be_visible()
    page.locator("canvas.field").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"DIAObject {stored_object}")


@pytest.mark.parametrize("path", ["", "sky", "objects"])
def test_an_empty_database_is_no_failure(open_page, empty_url, path: str) -> None:
    with Site(configured(apdb={"url": empty_url})).up() as site:
        page = open_page(f"{site.url}#/{path}")
        expect(page.get_by_text(re.compile("No batch|No visit|no object yet"))).to_be_visible()
        assert page.get_by_role("alert").count() == 0


@pytest.mark.parametrize("path", ["sky", "objects"])
def test_an_apdb_that_is_away_is_told_and_the_page_recovers(
    open_page, tmp_path: Path, sqlite_night, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "later.db"
    with Site(configured(apdb={"url": f"sqlite:///{file}"})).up() as site:
        page = open_page(f"{site.url}#/{path}")
        expect(page.get_by_role("alert")).to_contain_text("apdb init")
        site.feed.add_batches([metrics(5)])
        page.get_by_role("link", name="Live").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.go_back()
        expect(page.get_by_role("alert")).to_be_visible()
        with open(sqlite_night.url.removeprefix("sqlite:///"), "rb") as stored:
            file.write_bytes(stored.read())
        monkeypatch.setattr("stream_assoc.apps.web.library._FAILURE_SECONDS", 0.0)
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("tbody tr").first).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("", "dark"),
        ("sky", "light"),
        ("objects", "dark"),
        ("object/{}", "light"),
        ("source/{}", "dark"),
        ("visit/{}/{}", "light"),
    ],
)
def test_a_phone_scrolls_one_way_only(site, open_page, stored_object, scheme: str, path: str) -> None:
    batch = night()[0].id
    address = path.format(*(batch if path.startswith("visit") else (stored_object,)))
    site.feed.add_batches([metrics(visit, detector) for visit in range(30) for detector in range(9)])
    page = open_page(f"{site.url}#/{address}", color_scheme=scheme, **PHONE)
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_the_theme_can_be_chosen_and_is_kept(site, open_page) -> None:
    page = open_page(site.url, color_scheme="light")
    page.get_by_role("button", name="Dark colours").click()
    page.reload()
    expect(page.get_by_role("button", name="Light colours")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 20, 26)"

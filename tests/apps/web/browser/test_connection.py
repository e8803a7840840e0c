"""A connection that breaks and comes back, and one that has a lot to tell."""

from playwright.sync_api import expect

from tests.apps.web.browser.conftest import Site
from tests.apps.web.builders import metrics
from tests.configured import configured

FRAMES = 120
BATCHES_A_FRAME = 9
ROUNDS = 2
"""Frames come sixty times a second, so these are updates at that rate, of several batches each."""

FLOOD = """
async ([frames, batches, template]) => {
  const { append, live } = await import("/static/js/live.js");
  for (let frame = 0; frame < frames; frame += 1) {
    const visit = String(10n ** 15n + BigInt(live.total));
    append(Array.from({ length: batches }, () => ({ ...structuredClone(template), visit })));
    await new Promise(requestAnimationFrame);
  }
  gc();
  return [live.batches.length, live.total];
}
"""


def test_a_server_that_goes_away_is_told_and_its_return_is_noticed(open_page, empty_url) -> None:
    site = Site(configured(apdb={"url": empty_url}))
    with site.up():
        site.feed.add_batches([metrics(1)])
        page = open_page(site.url)
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("#connection")).to_have_text("live")
    banner = page.locator(".banner")
    expect(banner).to_contain_text("connection to the dashboard's server is lost")
    expect(page.locator("#connection")).to_have_text("disconnected")
    # What was shown stays, and the other pages say what is wrong with them.
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Objects").click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.get_by_role("link", name="Live").click()
    with site.up():
        site.feed.add_batches([metrics(2), metrics(3)])
        # By itself, however long it has been waiting between tries.
        expect(page.locator("#connection")).to_have_text("live")
        expect(banner).to_have_count(0)
        expect(page.locator("tbody tr")).to_have_count(2)
        site.feed.add_batches([metrics(4)])
        expect(page.locator("tbody tr")).to_have_count(3)


def test_nobody_has_to_wait_for_the_next_try(open_page, empty_url) -> None:
    site = Site(configured(apdb={"url": empty_url}))
    with site.up():
        page = open_page(site.url)
        expect(page.locator("#connection")).to_have_text("live")
    with site.up():
        page.get_by_role("button", name="Try now").click()
        expect(page.locator("#connection")).to_have_text("live")


def test_updates_come_through_the_stream_in_order_and_complete(site, open_page) -> None:
    page = open_page(site.url)
    expect(page.locator("#connection")).to_have_text("live")
    for visit in range(200):
        site.feed.add_batches([metrics(visit)])
    expect(page.locator(".tile", has_text="Batches seen").locator("dd")).to_have_text("200")
    seen = page.evaluate("import('/static/js/live.js').then(({ live }) => live.batches.map((one) => one.visit))")
    assert seen == [str(visit) for visit in range(200)]


def test_sixty_updates_a_second_do_not_fill_the_memory(site, open_page) -> None:
    """The heap after a collection grows until the page's own bound is reached, and not after that."""
    page = open_page(site.url)
    expect(page.locator("#connection")).to_have_text("live")
    site.feed.add_batches([metrics(1)])
    expect(page.locator("tbody tr")).to_have_count(1)
    template = page.evaluate("import('/static/js/live.js').then(({ live }) => live.batches[0])")
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")

    def measure_once() -> tuple[int, int, int]:
        page.evaluate("new Promise(requestAnimationFrame)")
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        counters = session.send("Memory.getDOMCounters")
        return heap, counters["nodes"], counters["jsEventListeners"]

    def measure() -> list[int]:
        # A table that has just been replaced may outlive a collection or two; what leaks outlives all of them.
        return [min(values) for values in zip(*(measure_once() for _ in range(15)), strict=True)]

    # The bound first, at once; then many updates, each a frame.
    page.evaluate(
        "([n, template]) => import('/static/js/live.js').then(({ append }) =>"
        " append(Array.from({ length: n }, () => structuredClone(template))))",
        [2500, template],
    )
    page.evaluate(FLOOD, [FRAMES, BATCHES_A_FRAME, template])
    heap, nodes, listeners = measure()
    n_before = page.evaluate("import('/static/js/live.js').then(({ live }) => live.total)")
    for _ in range(ROUNDS):
        kept, total = page.evaluate(FLOOD, [FRAMES, BATCHES_A_FRAME, template])
    heap_after, nodes_after, listeners_after = measure()
    assert total == n_before + ROUNDS * FRAMES * BATCHES_A_FRAME
    # One batch is about a kilobyte: without a bound these would be more than a megabyte.
    assert heap_after < heap + 500_000
    assert kept <= 2500
    assert nodes_after < nodes + 200
    assert listeners_after <= listeners + 5

"""What happens now, bounded and heard of at once."""

import asyncio
import json
import threading

from stream_assoc.apps.web.feed import Feed
from tests.apps.web.builders import metrics


def visits(text):
    return [one["visit"] for one in json.loads(text)]


def test_a_reader_gets_what_is_new_and_only_that() -> None:
    feed = Feed(10)
    feed.add_batches([metrics(visit) for visit in (1, 2)])
    text, number, version = feed.hello()
    assert visits(json.dumps(json.loads(text)["batches"])) == ["1", "2"]
    assert feed.batches_after(number) == (None, number)
    feed.add_batches([metrics(3)])
    new, number = feed.batches_after(number)
    assert visits(new) == ["3"]
    assert feed.states_after(version) == (None, version)


def test_a_slow_reader_misses_batches_instead_of_piling_them_up() -> None:
    feed = Feed(5)
    _, number, _ = feed.hello()
    feed.add_batches([metrics(visit) for visit in range(100)])
    new, number = feed.batches_after(number)
    assert visits(new) == ["95", "96", "97", "98", "99"]
    assert number == 100


def test_states_are_told_when_they_change() -> None:
    feed = Feed(5)
    _, _, version = feed.hello()
    feed.set_service("kafka", is_up=False, message="no broker")
    states, version = feed.states_after(version)
    assert states is not None
    assert json.loads(states)["services"] == {"kafka": {"isUp": False, "message": "no broker"}}
    feed.set_service("kafka", is_up=False, message="no broker")
    assert feed.states_after(version) == (None, version)
    feed.set_state("lag", {"messages": 3})
    states, _ = feed.states_after(version)
    assert states is not None
    assert json.loads(states)["lag"] == {"messages": 3}


def test_dead_letters_are_counted_by_reason_and_the_latest_are_kept() -> None:
    feed = Feed(5)
    for number in range(60):
        feed.add_dead_letter({"reason": "decode" if number % 2 else "invalid", "offset": number})
    letters = json.loads(feed.hello()[0])["states"]["deadLetters"]
    assert (letters["count"], letters["reasons"]) == (60, {"invalid": 30, "decode": 30})
    assert len(letters["latest"]) == 50
    assert letters["latest"][0]["offset"] == "59"


def test_a_waiting_loop_hears_of_a_change_in_another_thread() -> None:
    feed = Feed(5)

    async def wait():
        with feed.waiter() as changed:
            threading.Thread(target=feed.add_batches, args=([metrics(1)],)).start()
            await asyncio.wait_for(changed.wait(), 60)
        return feed.batches_after(0)[0]

    assert visits(asyncio.run(wait())) == ["1"]
    # The loop is closed; nobody waits any more.
    feed.add_batches([metrics(2)])


def test_closing_wakes_who_waits() -> None:
    feed = Feed(5)

    async def wait():
        with feed.waiter() as changed:
            threading.Thread(target=feed.close).start()
            await asyncio.wait_for(changed.wait(), 60)
        return feed.is_closed

    assert asyncio.run(wait())

"""A slow and lossy way between two network interfaces: what ``tc netem`` does where the kernel has it."""

import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

SOL_PACKET: Final = 263
PACKET_VNET_HDR: Final = 15
"""Frames come and go with what the kernel knows of them: a checksum yet to be computed, segments yet to be cut."""

ALL_PROTOCOLS: Final = 3
LARGEST_FRAME: Final = 1 << 17
LOOK_EVERY_SECONDS: Final = 0.1


@contextmanager
def slow_link(one: str, other: str, seconds: float, loss: float) -> Iterator[None]:
    """Carry frames between two interfaces.

    Parameters
    ----------
    one, other : `str`
        Their names; neither has an address.
    seconds : `float`
        How long each frame takes.
    loss : `float`
        Fraction of them that never arrives.
    """
    ended = threading.Event()
    with ExitStack() as stack:
        ends = [stack.enter_context(_frames_of(name)) for name in (one, other)]
        threads = [
            threading.Thread(target=_carry, args=(*pair, seconds, loss, ended), daemon=True)
            for pair in (ends, ends[::-1])
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _frames_of(interface: str) -> socket.socket:
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    frames.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    frames.bind((interface, ALL_PROTOCOLS))
    return frames


def _carry(source: socket.socket, sink: socket.socket, seconds: float, loss: float, ended: threading.Event) -> None:
    chance = random.Random(source.getsockname()[0])
    under_way: deque[tuple[float, bytes]] = deque()
    while not ended.is_set():
        wait = under_way[0][0] - time.monotonic() if under_way else LOOK_EVERY_SECONDS
        if select.select([source], [], [], max(0.0, wait))[0]:
            frame, address = source.recvfrom(LARGEST_FRAME)
            if address[2] != socket.PACKET_OUTGOING and chance.random() >= loss:
                under_way.append((time.monotonic() + seconds, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            sink.send(under_way.popleft()[1])

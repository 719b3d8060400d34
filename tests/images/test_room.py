"""Threads share memory without taking more than there is."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from facetscope.images.room import Room


def test_no_more_is_taken_than_there_is():
    """Whatever is needed in whatever order, and all get their turn."""
    room, lock, taken, most = Room(100), threading.Lock(), [0], [0]

    def take(needed):
        with room.taken(needed):
            with lock:
                taken[0] += needed
                most[0] = max(most[0], taken[0])
            time.sleep(0.001)
            with lock:
                taken[0] -= needed

    needs = random.Random(0).choices(range(1, 101), k=200)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, needs))
    assert 0 < most[0] <= 100


def test_who_needs_more_than_there_is_has_it_alone():
    """A large picture waits for the others; it is not refused."""
    room, entered = Room(100), threading.Event()

    def take():
        with room.taken(1):
            entered.set()

    with room.taken(1000):
        other = threading.Thread(target=take)
        other.start()
        assert not entered.wait(0.05)
    other.join()
    assert entered.is_set()

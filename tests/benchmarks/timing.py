"""How the benchmarks measure, and how they say what they found."""

import statistics
import time


def timed(work):
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(works, rounds):
    """Seconds of each of several works, done in turn, so that all see the same machine.

    Returns:
        A list of ``rounds`` times for each name; one more round before them is not counted.
    """
    taken = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            seconds = timed(work)
            if turn:
                taken[name].append(seconds)
    return taken


def report(name, measured, yardstick):
    """Print medians and their ratio, and the ratio of the shortest times."""
    ours, theirs = statistics.median(measured), statistics.median(yardstick)
    shortest = min(measured) / min(yardstick)
    print(
        f"{name}: {ours:.3f} s / {theirs:.3f} s = {ours / theirs:.2f} (shortest {shortest:.2f})",
        flush=True,
    )

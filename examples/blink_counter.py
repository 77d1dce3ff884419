"""Counts the blinks of each face, and says how many a minute those are.

    python examples/blink_counter.py                  # the bundled demo, which never blinks
    python examples/blink_counter.py picamera         # until Ctrl-C

Sit close: the lids of a face that is 100 pixels wide are 4 pixels apart.
"""

from __future__ import annotations

import contextlib
import sys

import fkp_edge as fkp


def main(source: str) -> None:
    """Prints a line for each blink, then the totals."""
    blinks: dict[int, int] = {}
    seen_s: dict[int, float] = {}
    begun_s: dict[int, float] = {}
    with contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source, model="keypoints68-int8", max_faces=4, measures=True):
            for face in result:
                begun_s.setdefault(face.id, result.time_s)
                seen_s[face.id] = result.time_s
                if face.measures and face.measures.blink and face.measures.blinks != blinks.get(face.id, 0):
                    blinks[face.id] = face.measures.blinks
                    print(f"face {face.id}: blink {blinks[face.id]}, {face.measures.blink.duration_s * 1000:.0f} ms")
    for number, last_s in seen_s.items():
        minutes = (last_s - begun_s[number]) / 60
        a_minute = f", {blinks.get(number, 0) / minutes:.0f} a minute" if minutes > 0 else ""
        print(f"face {number}: {blinks.get(number, 0)} blinks in {minutes * 60:.1f} s{a_minute}")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except fkp.FkpEdgeError as error:
        sys.exit(f"error: {error}")

"""Counts the faces in a video: how many are there at a time, and how many there were in all.

    python examples/count_faces.py                    # the bundled demo
    python examples/count_faces.py party.mp4

A face that leaves and comes back counts again. At most four are followed at a time.
"""

from __future__ import annotations

import sys
from collections import Counter

import fkp_edge as fkp


def main(source: str) -> None:
    """Prints a line whenever the number of faces changes, then the totals."""
    at_a_time: Counter[int] = Counter()
    ids: set[int] = set()
    before = -1
    for result in fkp.track(source, max_faces=4):
        at_a_time[len(result)] += 1
        ids.update(face.id for face in result)
        if len(result) != before:
            before = len(result)
            print(f"frame {result.sequence}: {before} faces", flush=True)
    print(f"{len(ids)} faces in {sum(at_a_time.values())} frames, at most {max(at_a_time)} at a time")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except fkp.FkpEdgeError as error:
        sys.exit(f"error: {error}")

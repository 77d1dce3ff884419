"""Moves the pointer by turning the head, and clicks when the mouth opens.

    sudo python examples/head_mouse.py picamera       # until Ctrl-C
    python examples/head_mouse.py demo --print        # no pointer: prints what it would do

Needs Linux and evdev (`pip install evdev`); writing to /dev/uinput takes root, or a udev rule. How the head is held at
the start is the middle.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import fkp_edge as fkp

DEAD, PIXELS = 3.0, 1.5
"""Degrees around the middle in which the pointer rests; pixels a frame for each degree beyond."""
OPEN, SHUT = 0.35, 0.2
"""Of the mouth: two bounds, so that one that is half open clicks once."""


def open_pointer() -> Callable[[int, int, bool], None]:
    """A mouse of its own for the system: called with pixels to the right and down, and whether to click."""
    from evdev import UInput, ecodes

    mouse = UInput({ecodes.EV_REL: [ecodes.REL_X, ecodes.REL_Y], ecodes.EV_KEY: [ecodes.BTN_LEFT]})

    def move(right: int, down: int, click: bool) -> None:
        mouse.write(ecodes.EV_REL, ecodes.REL_X, right)
        mouse.write(ecodes.EV_REL, ecodes.REL_Y, down)
        for pressed in (1, 0) if click else ():
            mouse.write(ecodes.EV_KEY, ecodes.BTN_LEFT, pressed)
            mouse.syn()
        mouse.syn()

    return move


def main(source: str, move: Callable[[int, int, bool], None]) -> None:
    """Moves until the source ends. A head turned to the subject's left moves the pointer left."""
    middle, was_open = None, False
    with contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source, measures=True):
            if result.state == "tracking" and result[0].measures.mouth_open is not None:
                middle = middle or result[0].pose
                degrees = (middle.yaw - result[0].pose.yaw, middle.pitch - result[0].pose.pitch)
                right, down = (round(PIXELS * (d - max(-DEAD, min(DEAD, d)))) for d in degrees)
                is_open = result[0].measures.mouth_open > (SHUT if was_open else OPEN)
                if right or down or is_open > was_open:
                    move(right, down, is_open > was_open)
                was_open = is_open


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo", print if "--print" in sys.argv else open_pointer())
    except (fkp.FkpEdgeError, ImportError, OSError) as error:
        sys.exit(f"error: {error}")

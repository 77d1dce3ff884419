"""Sounds a buzzer on GPIO 17 while the eyes are shut for more than a second. A toy: rely on nothing that it says.

    python examples/drowsiness_alarm.py picamera      # until Ctrl-C
    python examples/drowsiness_alarm.py               # the bundled demo, which sleeps never

Needs gpiozero (`sudo apt install python3-gpiozero`, or pip). Where there are no pins, pretended ones are used.
"""

from __future__ import annotations

import contextlib
import sys
import warnings

from gpiozero import Buzzer, Device
from gpiozero.exc import BadPinFactory, PinFactoryFallback
from gpiozero.pins.mock import MockFactory

import fkp_edge as fkp

PIN = 17
SHUT = 0.85
"""Openness below which an eye is shut; 1 is usual for this person. Networks see shut eyes as three quarters open."""
LONG_S = 1.0


def open_buzzer() -> Buzzer:
    """The buzzer, or a pretended one where this machine has no pins."""
    warnings.simplefilter("ignore", PinFactoryFallback)
    try:
        return Buzzer(PIN)
    except BadPinFactory:
        print("no pins here: pretending")
        Device.pin_factory = MockFactory()
        return Buzzer(PIN)


def main(source: str) -> None:
    """Watches the nearest face: the first one found."""
    shut_since_s = None
    with open_buzzer() as buzzer, contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source, model="keypoints68-int8", measures=True):
            measures = result[0].measures if len(result) else None
            eyes = (measures.eye_open_left, measures.eye_open_right) if measures else (None, None)
            is_shut = None not in eyes and max(eyes) < SHUT
            shut_since_s = (result.time_s if shut_since_s is None else shut_since_s) if is_shut else None
            asleep = shut_since_s is not None and result.time_s - shut_since_s > LONG_S
            if asleep != bool(buzzer.value):
                (buzzer.on if asleep else buzzer.off)()
                print(f"{result.time_s:.1f} s: {'wake up!' if asleep else 'good morning'}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except fkp.FkpEdgeError as error:
        sys.exit(f"error: {error}")

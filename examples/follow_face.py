"""Turns a camera on two servos (GPIO 17 pan, 18 tilt) so that a face stays in the middle of its picture.

    python examples/follow_face.py picamera           # until Ctrl-C; without it the bundled demo

Needs gpiozero; without pins it pretends. Give a servo that turns away from the face a negative gain.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable

from gpiozero import AngularServo, Device
from gpiozero.exc import BadPinFactory, PinFactoryFallback
from gpiozero.pins.mock import MockFactory, MockPWMPin

import fkp_edge as fkp


def pid(kp: float, ki: float, kd: float) -> Callable[[float, float], float]:
    """A controller: called with an error and the seconds since the last one, it gives a speed."""
    total = before = 0.0

    def control(error: float, seconds: float) -> float:
        nonlocal total, before
        total = max(-1.0, min(1.0, total + error * seconds))
        slope, before = (error - before) / seconds, error
        return kp * error + ki * total + kd * slope

    return control


def main(source: str) -> None:
    """Follows the first face."""
    controls = (pid(60.0, 5.0, 1.0), pid(60.0, 5.0, 1.0))  # degrees per second, for a face at the picture's edge
    servos = [AngularServo(pin, initial_angle=0) for pin in (17, 18)]
    before_s = None
    with servos[0], servos[1], contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source):
            seconds, before_s = result.time_s - (before_s or result.time_s), result.time_s
            if result.state == "tracking" and seconds > 0:
                height, width = result.picture.shape[:2]
                x, y = result[0].points.mean(axis=0) / (width / 2, height / 2) - 1
                for servo, control, error in zip(servos, controls, (-x, y), strict=True):
                    servo.angle = max(-90.0, min(90.0, servo.angle + control(float(error), seconds) * seconds))
                print(f"pan {servos[0].angle:+.0f}, tilt {servos[1].angle:+.0f} degrees", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore", PinFactoryFallback)
    try:
        Device.ensure_pin_factory()
    except BadPinFactory:
        Device.pin_factory = MockFactory(pin_class=MockPWMPin)
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except fkp.FkpEdgeError as error:
        sys.exit(f"error: {error}")

"""Which fault comes when: two seeded sequences, one of the camera and the process, one of clients, side by side."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from faults.camera import Camera, Mood
from faults.clients import CLIENT_FAULTS, Door
from faults.pictures import DAMAGES
from faults.service import Service

__all__ = ["CAMERA_FAULTS", "ON_ITS_WAY_S", "Fault", "Making", "Plan", "camera_faults", "client_faults", "make"]

MAX_PAUSE_S = 1.5
"""Of the process: less than the 2 s after which it takes its camera for stalled."""
ON_ITS_WAY_S = 0.5
"""So long a fault's last frames are on their way at most, and frames from before one."""
MAX_WAIT_S = 30.0
"""Longer than that is not waited for."""
AT_ONCE = 8
"""Client faults that go on beside each other."""

MOODS: dict[str, Mood] = {
    **{name: Mood(damage=name) for name in DAMAGES},
    **{name: Mood(scene=name) for name in ("many faces", "no face", "black", "overexposed", "noise")},
    "small frames": Mood(scene="small frames"),
    "large frames": Mood(scene="large frames"),
    "bursts": Mood(pause_s=0.3, burst=20),
    "one frame a second": Mood(pause_s=1.0),
    "stall": Mood(silent=True),
}


@dataclass(frozen=True)
class Plan:
    """How long, how often, how hard."""

    seed: int
    seconds: float
    """Of faults, the warm-up included."""
    warm_s: float
    """Of them before the figures count: what a process takes once for good is taken by then; 0 counts all."""
    kinds: tuple[str, ...]
    """Of the camera's and the process's faults; clients' come all."""
    longest_s: float = 4.0
    """Of a fault of the camera."""
    calm_s: float = 3.0
    """Between two of them, at most."""
    stay_s: float = 40.0
    """Of clients that sleep."""
    client_wait_s: float = 1.0
    """Between two faults of clients, at most."""
    settle_s: float = 4.0
    """Without faults, before threads and descriptors are compared: refused clients have a second to read why."""


@dataclass(frozen=True)
class Fault:
    """One fault that was made."""

    kind: str
    start_s: float
    """Monotonic clock."""
    end_s: float


class Making(NamedTuple):
    """What a fault is made of."""

    camera: Camera
    service: Service
    kind: str
    seconds: float
    """How long it goes on."""
    reset: bool
    """Whether connections end with a reset."""


def _mood(making: Making) -> None:
    making.camera.mood = MOODS[making.kind]
    time.sleep(making.seconds)
    making.camera.mood = Mood()


def _break_off(making: Making) -> None:
    making.camera.break_off(reset=making.reset)


def _unplug(making: Making) -> None:
    making.camera.unplug(reset=making.reset)
    time.sleep(making.seconds)
    making.camera.plug_in()


def _pause(making: Making) -> None:
    making.service.pause(min(making.seconds, MAX_PAUSE_S))


CAMERA_FAULTS: dict[str, Callable[[Making], None]] = {
    **dict.fromkeys(MOODS, _mood),
    "connection lost": _break_off,
    "unplugged": _unplug,
    "SIGSTOP": _pause,
}


def _shuffled(kinds: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(kinds, len(kinds))


def make(kind: str, making: Making) -> Fault:
    """Makes one fault of the camera or the process, from its beginning to its end."""
    start = time.monotonic()
    CAMERA_FAULTS[kind](making)
    return Fault(kind, start, time.monotonic())


def camera_faults(
    camera: Camera, service: Service, tracked_s: Callable[[], float], plan: Plan, rng: random.Random, end_s: float
) -> list[Fault]:
    """Makes each kind in turn, in another order each round, until `end_s`; waits for a face after each.

    Args:
        camera: to break.
        service: to stop and continue.
        tracked_s: monotonic clock of the newest message with a face.
        plan: which, and how long.
        rng: decides.
        end_s: monotonic clock; every kind comes once at least.
    """
    made: list[Fault] = []
    while time.monotonic() < end_s:
        for kind in _shuffled(plan.kinds, rng):
            if not service.is_alive or (time.monotonic() >= end_s and len(made) >= len(plan.kinds)):
                return made
            seconds = rng.uniform(0.1, 1.0) * plan.longest_s
            made.append(make(kind, Making(camera, service, kind, seconds, rng.random() < 0.5)))
            end = made[-1].end_s + ON_ITS_WAY_S
            while tracked_s() < end and time.monotonic() < end + MAX_WAIT_S and service.is_alive:
                time.sleep(0.02)
            time.sleep(rng.uniform(0.1, plan.calm_s))
    return made


def client_faults(
    door: Door, plan: Plan, rng: random.Random, stop: threading.Event
) -> tuple[Counter[str], Counter[str], list[str]]:
    """Makes faults of clients until `stop`; how often each, how often it could not connect, and what was wrong.

    Every kind comes once at least; those under way are waited for.
    """
    door = door._replace(stay_s=plan.stay_s)
    made: Counter[str] = Counter()
    turned_away: Counter[str] = Counter()
    wrong: list[str] = []

    def end(kind: str, future: Future[None]) -> None:
        error = future.exception()
        if isinstance(error, OSError):
            turned_away[kind] += 1
        elif error is not None:
            wrong.append(f"{kind}: {error}")

    free = threading.Semaphore(AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while not stop.is_set() or len(made) < len(CLIENT_FAULTS):
            for kind in _shuffled(tuple(CLIENT_FAULTS), rng):
                if stop.is_set() and kind in made:
                    continue
                free.acquire()
                future = pool.submit(CLIENT_FAULTS[kind], door, random.Random(rng.random()))  # noqa: S311 - no secrets
                future.add_done_callback(lambda done, kind=kind: (free.release(), end(kind, done)))
                made[kind] += 1
                stop.wait(rng.uniform(0, plan.client_wait_s))
    return made, turned_away, wrong

"""Twenty minutes of `fkp-edge run` at full speed under random faults: flat memory, all threads alive, a true stream.

    python benchmarks/soak_faults.py OUT.json [MINUTES]     (20 minutes; then one more)

The program runs as systemd would run it, with a stream, a token, a live page with preview and a recording, on a network
camera of this benchmark (MJPEG over HTTP, the one kind of source here that is opened again without camera hardware),
which sends frames as fast as they are taken. The camera stalls, breaks off, stays away, sends damaged and strange
pictures; the process is stopped for a while; eleven kinds of clients misbehave beside that. A client in a process of
its own reads on one connection throughout and checks every message. Last, in a run of its own, no file may grow any
more, as on a full disk. Exit code 1 with the reasons where something is not as it should be.

Not in it: real cameras and their drivers, a clock that jumps, SIGHUP (it ends the program, as it does most), a power
cut, a network between device and client. Frames are decoded from JPEG, and the camera, clients and witness share the
machine with the program.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from faults.camera import Camera
from faults.pictures import draw_scenes
from faults.report import (
    MOST_END_S,
    MOST_GROWN_MB,
    MOST_RECOVERY_S,
    by_minute,
    explain,
    growth,
    longest_wait_s,
    recoveries,
)
from faults.schedule import CAMERA_FAULTS, ON_ITS_WAY_S, Fault, Making, Plan, camera_faults, client_faults, make
from faults.service import WATCHDOG_S, Sample, Service
from faults.witness import Testimony, watch

from fkp_edge.device.board import read_board
from fkp_edge.errors import FkpEdgeError
from fkp_edge.stream import ObservationMessage
from fkp_edge.stream.recording import read_recording

SEED = 1
EVERY_S = 5.0
"""Between two samples of memory, threads, descriptors and time used."""
SETTLE_S = 4.0
"""Without faults before threads and descriptors are compared."""
WAIT_S = 30.0


@dataclass
class Story:
    """What happened."""

    faults: list[Fault] = field(default_factory=list)
    clients: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Witness:
    """`watch` in a process of its own."""

    def __init__(self, service: Service, folder: Path) -> None:
        """Reads when this returns.

        Raises:
            RuntimeError: no frame came.
        """
        context = multiprocessing.get_context("spawn")
        self._out = folder / f"{service.pid}.testimony"
        self._tracked, ready = context.Value("d", 0.0), context.Event()
        arguments = (service.url, service.door.token, self._out, self._tracked, ready)
        self._process = context.Process(target=watch, args=arguments, daemon=True)
        self._process.start()
        if not ready.wait(WAIT_S) or not wait(lambda: self.tracked_s > 0):
            raise RuntimeError(f"the witness saw no face: {service.log()[-500:]}")

    @property
    def tracked_s(self) -> float:
        """Monotonic clock of the newest message with a face."""
        return float(self._tracked.value)

    def testimony(self) -> Testimony:
        """After the service has ended."""
        self._process.join(WAIT_S)
        return msgspec.json.decode(self._out.read_bytes(), type=Testimony)


def wait(holds: Callable[[], bool], longest_s: float = WAIT_S) -> bool:
    """Whether `holds` does in time."""
    end = time.monotonic() + longest_s
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.02)
    return held


def lasting_threads(camera: Camera, service: Service, witness: Witness, story: Story) -> frozenset[int]:
    """Threads that outlive the loss of the camera: all but those that read it."""
    before, kind = service.threads(), "connection lost"
    story.faults.append(make(kind, Making(camera, service, kind, 0, reset=False)))
    wait(lambda: witness.tracked_s > story.faults[0].end_s + ON_ITS_WAY_S)
    time.sleep(SETTLE_S)
    return before & service.threads()


@contextlib.contextmanager
def sampled(service: Service, story: Story) -> Iterator[None]:
    """Samples every `EVERY_S` meanwhile."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY_S) and service.is_alive:
            with contextlib.suppress(OSError):
                story.samples.append(service.sample())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def storm(camera: Camera, service: Service, witness: Witness, plan: Plan, seconds: float, story: Story) -> Sample:
    """Faults for so long, then quiet; how the process is after that."""
    rng = random.Random(f"{plan.seed} {len(story.faults)}")  # noqa: S311 - faults, no secrets
    stop = threading.Event()
    door = service.door._replace(stay_s=plan.stay_s)

    def misbehave() -> None:
        made, turned_away, wrong = client_faults(door, random.Random(rng.random()), stop)  # noqa: S311 - as above
        story.clients += made
        story.turned_away += turned_away
        story.wrong += wrong

    thread = threading.Thread(target=misbehave)
    thread.start()
    end_s = time.monotonic() + seconds
    try:
        story.faults += camera_faults(camera, service, lambda: witness.tracked_s, plan, rng, end_s)
    finally:
        stop.set()
        thread.join()
    time.sleep(SETTLE_S)
    return service.sample()


def soak(camera: Camera, plan: Plan, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The run with faults: its figures, and what should not have been."""
    story = Story()
    with contextlib.closing(Service(camera.url, folder, "soak")) as service:
        began_s, witness = time.monotonic(), Witness(service, folder)
        lasting = lasting_threads(camera, service, witness, story)
        with sampled(service, story):
            warm = storm(camera, service, witness, plan, plan.warm_s, story)
            warm_samples = len(story.samples)
            end = storm(camera, service, witness, plan, plan.seconds - plan.warm_s, story)
        status, lost = service.status(), lasting - service.threads()
        pings, ended_s = [*service.pings_s], time.monotonic()
        code, took_s, summary = service.end()
        log, recorded = service.log(), check_recording(service.recording)
    testimony = witness.testimony()
    later = [warm, *story.samples[warm_samples:], end]
    used = (end.cpu_s - warm.cpu_s) / (end.at_s - warm.at_s)
    recovered = recoveries(story.faults, testimony.tracked_s)
    noted, unexplained = explain(testimony.notes, story.faults)
    first = story.faults[0].start_s
    waits = [*(at for at in pings if at > first - WATCHDOG_S), ended_s]
    figures: dict[str, Any] = {
        "witness": testimony.record | {"noted": noted},
        "faults": recovered,
        "client_faults": {"made": dict(story.clients), "not_let_in": dict(story.turned_away)},
        "memory": growth(later) | {"warm_mb": warm.resident_mb, "end_mb": end.resident_mb},
        "threads": {"lasting": len(lasting), "lost": len(lost), "warm": warm.threads, "end": end.threads},
        "descriptors": {"warm": warm.descriptors, "end": end.descriptors},
        "cores_used": round(used, 2),
        "frames_per_s": round(summary.get("frames", 0) / (ended_s - began_s), 1),
        "keep_alives": {"count": len(pings), "longest_wait_s": longest_wait_s(waits), "allowed_s": WATCHDOG_S},
        "status_exit_code": status,
        "sigterm": {"exit_code": code, "seconds": took_s},
        "recording": recorded,
        "camera": {"frames_sent": camera.frames, "connections": camera.connections},
        "log_lines": len(log.splitlines()),
        "summary": {key: summary.get(key) for key in ("frames", "dropped", "refused", "reopened", "searches", "faces")},
        "by_minute": by_minute(story.samples, first),
    }
    return figures, [*story.wrong, *unexplained, *testimony.record["violations"], *judge(figures, testimony, log)]


def judge(figures: dict[str, Any], testimony: Testimony, log: str) -> list[str]:
    """What should not have been, by the figures."""
    memory, threads, descriptors = figures["memory"], figures["threads"], figures["descriptors"]
    keep, ended = figures["keep_alives"], figures["sigterm"]
    slow = {kind: found for kind, found in figures["faults"].items() if not (found["most_s"] or 99) <= MOST_RECOVERY_S}
    checks = {
        f"memory grew by {memory['grown_mb']} MB": memory["grown_mb"] <= MOST_GROWN_MB,
        f"{threads['lost']} threads ended": not threads["lost"],
        f"{threads['end']} threads instead of {threads['warm']}": threads["end"] == threads["warm"],
        f"{descriptors['end']} descriptors instead of {descriptors['warm']}": descriptors["end"] == descriptors["warm"],
        f"{keep['longest_wait_s']} s without a keep-alive": keep["longest_wait_s"] <= WATCHDOG_S,
        f"fkp-edge status said {figures['status_exit_code']}": figures["status_exit_code"] == 0,
        f"SIGTERM ended with {ended['exit_code']}": ended["exit_code"] == 0,
        f"SIGTERM took {ended['seconds']} s": ended["seconds"] <= MOST_END_S,
        f"the witness was cut off: {testimony.ended}": not testimony.ended and testimony.hellos == 1,
        f"the recording: {figures['recording']['wrong']}": not figures["recording"]["wrong"],
        f"a face came back late or never: {slow}": not slow,
        "the log has a traceback": "Traceback" not in log,
    }
    return [what for what, holds in checks.items() if not holds]


def check_recording(path: Path) -> dict[str, Any]:
    """Lines of a recording, and what is wrong with it."""
    lines, last, wrong = 0, -1, ""
    try:
        for _, message in read_recording(path):
            if isinstance(message, ObservationMessage):
                wrong = wrong or ("" if message.sequence >= last else f"{message.sequence} after {last}")
                lines, last = lines + 1, message.sequence
    except FkpEdgeError as error:
        wrong = str(error)
    return {"observations": lines, "bytes": path.stat().st_size, "wrong": wrong}


def full_disk(camera: Camera, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A run whose recording can grow no more: the stream must go on, and the end say what is missing."""
    with contextlib.closing(Service(camera.url, folder, "full")) as service:
        witness = Witness(service, folder)
        time.sleep(3)
        service.fill_disk()
        now = time.monotonic()
        streams_on = wait(lambda: witness.tracked_s > now + 3, 10)
        code, took_s, _ = service.end()
        log, recorded = service.log(), check_recording(service.recording)
    said = "is incomplete" in log
    found = {"streams_on": streams_on, "exit_code": code, "seconds": took_s, "said": said, "recording": recorded}
    return found, [] if streams_on and said and code == 2 and not recorded["wrong"] else [f"a full disk: {found}"]


def run(plan: Plan) -> dict[str, Any]:
    """Both parts; `violations` is empty where all is well."""
    load = os.getloadavg()
    board = read_board()
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Camera(draw_scenes(plan.seed), plan.seed)) as camera:
        figures, wrong = soak(camera, plan, Path(name))
        disk, more = full_disk(camera, Path(name))
    machine = {"processor": board.cpu, "cores": board.cores, "load_at_start": load, "load_at_end": os.getloadavg()}
    settings = {"seed": plan.seed, "minutes": round(plan.seconds / 60, 2), "warm_minutes": round(plan.warm_s / 60, 2)}
    allowed = {"grown_mb": MOST_GROWN_MB, "recovery_s": MOST_RECOVERY_S, "end_s": MOST_END_S}
    return (
        settings | {"machine": machine, "allowed": allowed, "violations": wrong + more} | figures | {"full_disk": disk}
    )


def main(out: Path, minutes: float) -> int:
    """Prints and writes the record; 1 where something is not as it should be."""
    record = run(Plan(SEED, minutes * 60, minutes * 60 * 0.15, tuple(CAMERA_FAULTS)))
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({key: value for key, value in record.items() if key != "by_minute"}))
    for violation in record["violations"]:
        print(f"wrong: {violation}", file=sys.stderr)
    return 1 if record["violations"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 20))

"""Twenty minutes of `fkp-edge run` at full speed under random faults: flat memory, all threads alive, a true stream.

    python benchmarks/soak_faults.py OUT.json [MINUTES] [--seed 1]     (20 minutes and two more)

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

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from faults.camera import Camera
from faults.pictures import draw_scenes
from faults.report import MAX_END_S, MAX_GROWN_MB, MAX_RECOVERY_S, Story, figures, judge
from faults.schedule import CAMERA_FAULTS, ON_ITS_WAY_S, Making, Plan, camera_faults, client_faults, make
from faults.service import Sample, Service
from faults.witness import Testimony, watch

from fkp_edge.device.board import read_board
from fkp_edge.errors import FkpEdgeError
from fkp_edge.stream import ObservationMessage
from fkp_edge.stream.recording.recording import read_recording

WARM_SHARE = 0.15
"""Of the time: three of twenty minutes."""
EVERY_S = 5.0
"""Between two samples of memory, threads, descriptors and time used."""
SUMMARY_BYTES = 10_000
"""More than the program says at its end: the limit on files is for its standard output, too."""
STREAMS_ON_S = 2.0
"""After the recording could not grow: it is written out once a second."""
WAIT_S = 30.0


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
    time.sleep(ON_ITS_WAY_S)
    return before & service.threads()


@contextlib.contextmanager
def sampled(service: Service, story: Story) -> Iterator[None]:
    """Samples every `EVERY_S` meanwhile."""
    over = threading.Event()

    def keep_looking() -> None:
        while not over.wait(EVERY_S) and service.is_alive:
            with contextlib.suppress(OSError):
                story.samples.append(service.sample())

    thread = threading.Thread(target=keep_looking)
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

    def misbehave() -> None:
        made, turned_away, wrong = client_faults(service.door, plan, random.Random(rng.random()), stop)  # noqa: S311 - as above
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
    time.sleep(plan.settle_s)
    return look(service)


def soak(camera: Camera, plan: Plan, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The run with faults: its figures, and what should not have been.

    Raises:
        RuntimeError: the service ended by itself.
    """
    story = Story()
    with contextlib.closing(Service(camera.url, folder, "soak")) as service:
        began_s, witness = time.monotonic(), Witness(service, folder)
        lasting = lasting_threads(camera, service, witness, story)
        with sampled(service, story):
            story.warm = look(service)
            if plan.warm_s:
                story.warm = storm(camera, service, witness, plan, plan.warm_s, story)
            story.end = storm(camera, service, witness, plan, plan.seconds - plan.warm_s, story)
        story.status = service.status()
        story.lasting, story.lost = len(lasting), len(lasting - service.threads())
        story.pings_s, story.lasted_s = [*service.pings_s], time.monotonic() - began_s
        story.exit_code, story.end_took_s, story.summary = service.end()
        story.log, story.recording = service.log(), check_recording(service.recording)
    story.camera = {"frames_sent": camera.frames, "connections": camera.connections}
    found = figures(story, witness.testimony())
    return found, judge(story, found)


def look(service: Service) -> Sample:
    """A sample of a service that should be alive.

    Raises:
        RuntimeError: it is not.
    """
    try:
        return service.sample()
    except OSError:
        raise RuntimeError(f"the service ended by itself: {service.log()[-500:]}") from None


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
        wait(lambda: service.recording.stat().st_size > SUMMARY_BYTES)
        service.fill_disk()
        now = time.monotonic()
        streams_on = wait(lambda: witness.tracked_s > now + STREAMS_ON_S, 10)
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
        try:
            found, wrong = soak(camera, plan, Path(name))
            disk, more = full_disk(camera, Path(name))
        except RuntimeError as error:
            found, wrong, disk, more = {}, [str(error)], {}, []
    machine = {"processor": board.cpu, "cores": board.cores, "load_at_start": load, "load_at_end": os.getloadavg()}
    settings = {"seed": plan.seed, "minutes": round(plan.seconds / 60, 2), "warm_minutes": round(plan.warm_s / 60, 2)}
    allowed = {"grown_mb": MAX_GROWN_MB, "recovery_s": MAX_RECOVERY_S, "end_s": MAX_END_S}
    return settings | {"machine": machine, "allowed": allowed, "violations": wrong + more} | found | {"full_disk": disk}


def main() -> int:
    """Prints and writes the record; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    parser.add_argument("minutes", type=float, nargs="?", default=20.0, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    seconds = 60 * args.minutes
    record = run(Plan(args.seed, seconds, WARM_SHARE * seconds, tuple(CAMERA_FAULTS)))
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({key: value for key, value in record.items() if key != "by_minute"}))
    for violation in record["violations"]:
        print(f"wrong: {violation}", file=sys.stderr)
    return 1 if record["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())

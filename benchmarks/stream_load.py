"""250 clients on the device's own process: does it slow the engine, do clients get all of it, does memory stay flat?

    python benchmarks/stream_load.py OUT [--seconds 60] [--runs 5]

Each run has three phases at 30 frames a second: the engine alone (the demo's tracked frames, streams open, no client);
the same with 200 TCP and 50 WebSocket clients, 20 of which never read, and one more that sleeps for 10 s; and, in place
of the streams, a bare asyncio server that writes the same lines to as many clients. The engine's thread and the servers
share one process, as in `fkp-edge run`; clients are another process. Publish-to-receive is from `sent_ns` to the moment
the client's `recv` has returned, one clock. Needs fkp-edge[web].
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.sources.demo import DemoSource
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.stream import Hello, TcpAddress, WebAddress, encode, from_observation
from fkp_edge.stream.server.publishers import Publishers

RATE = 30
TCP, WS = 200, 50
DEAF_TCP, DEAF_WS = 16, 4
SLEEP_S = 10.0
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {"count": len(values), "p50": round(p50, 4), "p95": round(p95, 4), "p99": round(p99, 4)}


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# The device's process.


def tracked_frames() -> list[Frame]:
    """A second of the demo in which the face is tracked, there and back again."""
    source = DemoSource(pace=False)
    frames = [source.read() for _ in range(60)][30:]
    return [*frames, *frames[::-1]]


class Device:
    """The engine's loop at 30 frames a second."""

    def __init__(self) -> None:
        self.model = open_model(shipped_model())
        self._frames = tracked_frames()
        self._engine = Engine(self.model, InlineSearch(HaarDetector().detect, StageTimes()))
        self._sequence = 0

    def run(self, seconds: float, publish: Callable[[Any, bytes], None]) -> list[float]:
        """What each frame cost in `Engine.process`, ms."""
        durations = []
        start = time.monotonic()
        for i in range(round(seconds * RATE)):
            time.sleep(max(0.0, start + i / RATE - time.monotonic()))
            frame = self._frames[self._sequence % len(self._frames)]
            frame = Frame(frame.grey, time.monotonic_ns(), self._sequence)
            begin = time.perf_counter_ns()
            observation = self._engine.process(frame)
            durations.append((time.perf_counter_ns() - begin) / 1e6)
            self._sequence += 1
            message = from_observation(observation, time.monotonic_ns())
            publish(message, encode(message))
        return durations


class BareServer:
    """asyncio's streams, nothing else: every line to every client, no hello, no limit."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self.port = 0
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def publish(self, line: bytes) -> None:
        self._loop.call_soon_threadsafe(lambda: [writer.write(line) for writer in self._writers])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        async def open_it() -> None:
            server = await asyncio.start_server(lambda _, writer: self._writers.append(writer), "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._server = server

        self._loop.run_until_complete(open_it())
        ready.set()
        self._loop.run_forever()


@contextlib.contextmanager
def clients(kind: str, tcp: int, ws: int, seconds: float) -> Iterator[Callable[[], dict[str, Any]]]:
    """Clients in another process, connected; what they saw comes from the call."""
    command = [sys.executable, __file__, "--clients", kind, str(tcp), str(ws), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        yield lambda: json.loads(process.communicate(timeout=seconds + 60)[0])


def one_run(device: Device, seconds: float) -> dict[str, Any]:
    hello = Hello(
        model="load",
        model_sha256="",
        points=device.model.schema.names,
        frame_size=(640, 480),
        source="demo",
        server_ns=0,
    )
    addresses = [TcpAddress("127.0.0.1", 0), WebAddress("127.0.0.1", 0)]
    with Publishers(addresses, lambda: hello) as outputs:
        tcp, ws = (address.port for address in outputs.addresses)
        device.run(2, outputs.publish)
        alone = device.run(seconds, outputs.publish)
        with clients("fkp", tcp, ws, seconds) as seen:
            memory = [resident_mb()]
            loaded = device.run(seconds / 2, outputs.publish)
            memory.append(resident_mb())
            loaded += device.run(seconds / 2, outputs.publish)
            memory.append(resident_mb())
            outputs.publish(*last_line(device))
            received = seen()
    bare = BareServer()
    with clients("bare", bare.port, bare.port, seconds) as seen:
        beside_bare = device.run(seconds, lambda _, line: bare.publish(line))
        bare.publish(last_line(device)[1])
        bare_received = seen()
    bare.close()
    return {
        "engine_alone_ms": percentiles(alone),
        "engine_loaded_ms": percentiles(loaded),
        "engine_beside_bare_ms": percentiles(beside_bare),
        "resident_mb": [round(value, 2) for value in memory],
        "clients": received,
        "bare_clients": bare_received,
    }


def last_line(device: Device) -> tuple[Any, bytes]:
    """Tells the clients that it is over."""
    frame = Frame(np.zeros((480, 640), np.uint8), time.monotonic_ns(), 2**40)
    message = from_observation(device._engine.process(frame), time.monotonic_ns())
    return message, encode(message)


# The clients' process.


class Reader:
    """One client that reads: how late each observation was, and which came."""

    def __init__(self, port: int, *, handshake: bool) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.sock.connect(("127.0.0.1", port))
        if handshake:
            self.sock.sendall(HANDSHAKE)
        self.sock.setblocking(False)
        self._rest = b""
        self.sequences: list[int] = []
        self.ages_ms: list[float] = []
        self.size = 0
        self.is_over = False

    def begin(self) -> None:
        """Forgets what came so far: the observation from before it connected."""
        with contextlib.suppress(BlockingIOError):
            while self.take():
                pass
        self.sequences, self.ages_ms, self.size = [], [], 0

    def take(self) -> int:
        data = self.sock.recv(65536)
        now = time.monotonic_ns()
        self.size += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            at = line.find(b'"sequence":')
            if at < 0:
                continue
            sequence = int(line[at + 11 : line.index(b",", at)])
            sent = line.index(b'"sent_ns":') + 10
            if sequence == 2**40:
                self.is_over = True
                continue
            self.sequences.append(sequence)
            self.ages_ms.append((now - int(line[sent : line.index(b",", sent)])) / 1e6)
        return len(data)


def read_all(readers: list[Reader], seconds: float) -> None:
    selector = selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader.sock, selectors.EVENT_READ, reader)
    end = time.monotonic() + seconds + 20
    while time.monotonic() < end and not all(reader.is_over for reader in readers):
        for key, _ in selector.select(1):
            key.data.take()


def be_clients(kind: str, tcp_port: int, ws_port: int, seconds: float) -> dict[str, Any]:
    is_web = kind == "fkp"
    places = [(tcp_port, False)] * TCP + [(ws_port, is_web)] * WS
    deaf = [Reader(port, handshake=web) for port, web in places[:DEAF_TCP] + places[TCP : TCP + DEAF_WS]]
    sleeper = Reader(tcp_port, handshake=False)
    readers = [Reader(port, handshake=web) for port, web in places[DEAF_TCP:TCP] + places[TCP + DEAF_WS :]]
    time.sleep(0.5)
    for reader in [*readers, sleeper]:
        reader.begin()
    print("connected", flush=True)
    stale: list[int] = []
    waking = threading.Thread(target=lambda: stale.append(wake(sleeper)))
    waking.start()
    read_all(readers, seconds)
    waking.join()
    expected = round(seconds * RATE)
    shares = [len(set(reader.sequences)) / expected for reader in readers]
    ages = [age for reader in readers for age in reader.ages_ms]
    return {
        "reading": len(readers),
        "never_reading": len(deaf),
        "least_share_received": round(min(shares), 5),
        "in_order": all(r.sequences == sorted(r.sequences) for r in readers),
        "within_their_turn_share": round(sum(age <= 1000 / RATE for age in ages) / len(ages), 5),
        "publish_to_receive_ms": percentiles(ages),
        "stale_bytes_of_the_sleeper": stale[0],
    }


def wake(sleeper: Reader) -> int:
    """The bytes of stale lines that a client finds which slept for `SLEEP_S`."""
    time.sleep(SLEEP_S)
    before = 0
    while True:
        try:
            if not sleeper.take():
                return before
        except BlockingIOError:
            time.sleep(0.001)
        if sleeper.ages_ms and sleeper.ages_ms[-1] < 100:  # the newest
            return before
        before = sleeper.size


def main() -> None:
    if sys.argv[1:2] == ["--clients"]:
        kind, tcp, ws, seconds = sys.argv[2:6]
        print(json.dumps(be_clients(kind, int(tcp), int(ws), float(seconds))))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    device = Device()
    runs = []
    for i in range(args.runs):
        runs.append(one_run(device, args.seconds))
        moved = runs[-1]["engine_loaded_ms"]["p99"] / runs[-1]["engine_alone_ms"]["p99"] - 1
        runs[-1]["engine_p99_moved_percent"] = round(100 * moved, 1)
        print(
            f"run {i + 1}: engine p99 moved by {100 * moved:.1f} %", json.dumps(runs[-1]), file=sys.stderr, flush=True
        )
    result = {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load_1_min": os.getloadavg()[0]},
        "rate": RATE,
        "seconds": args.seconds,
        "summary": summary(runs),
        "runs": runs,
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["summary"]))


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst of all runs; how far the engine's p99 moved in each, from least to most."""
    seen, bare = ([run[key] for run in runs] for key in ("clients", "bare_clients"))
    return {
        "engine_p99_moved_percent": sorted(run["engine_p99_moved_percent"] for run in runs),
        "least_share_received": min(clients["least_share_received"] for clients in seen),
        "within_their_turn_share": min(clients["within_their_turn_share"] for clients in seen),
        "publish_to_receive_p99_ms": [clients["publish_to_receive_ms"]["p99"] for clients in seen],
        "bare_publish_to_receive_p99_ms": [clients["publish_to_receive_ms"]["p99"] for clients in bare],
        "stale_bytes_of_the_sleeper": max(clients["stale_bytes_of_the_sleeper"] for clients in seen),
        "resident_mb_grown": round(max(run["resident_mb"][-1] - run["resident_mb"][0] for run in runs), 2),
    }


if __name__ == "__main__":
    main()

"""100,000 hostile inputs on every parser and live socket: no crash, no leak, no effect on others.

    python benchmarks/stream_hostile.py OUT [--inputs 100000] [--seed 1]

Seven tenths go to the parsers, the rest over sockets to a TCP server with and one without a token, to a WebSocket
server and to a live page, from 200 loopback addresses, half of them ended by a reset. Then 300 connections send a byte
now and then, and never a whole request. All the while a client of each server, in a third process, reads 30
observations a second and should get each. Beside it a bare aiohttp server takes as many connections as the two web
servers did, in a process of its own: what its memory grows by is the library's. Needs fkp-edge[web].
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from hostile_inputs import HELLO, TOKEN, attack_parsers, attack_slowly, attack_sockets, seen

from fkp_edge.core.keypoints import FKP15
from fkp_edge.stream import LineServer, ObservationMessage, TcpAddress, WebAddress, connect, encode
from fkp_edge.stream.server.connection import Limits
from fkp_edge.stream.web import PUBLIC, LineSockets, LivePage, PageParts, WebServer
from fkp_edge.stream.web.server import WebLimits

RATE = 30


class Servers:
    """The servers under attack, and what they publish meanwhile."""

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        enter = self._opened.enter_context
        limits = Limits(auth_s=2.0)
        web = WebLimits(clients=64, request_s=2.0)
        plain = enter(LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO))
        guarded = enter(LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN, limits=limits))
        sockets = LineSockets(lambda: HELLO)
        page = LivePage(PageParts(lambda: HELLO, FKP15, False, None, lambda _: [], dict, dict))
        stream = enter(WebServer(WebAddress("127.0.0.1", 0), sockets.routes("/"), end=sockets.close, limits=web))
        pages = enter(WebServer(WebAddress("127.0.0.1", 0), page.routes(), end=page.close, public=PUBLIC, limits=web))

        def publish(message: ObservationMessage) -> None:
            line = encode(message)
            for server in (plain, guarded, sockets):
                server.publish(line)
            page.publish(message, line, None)

        self.ports = [plain.port, guarded.port, stream.address.port, pages.address.port]
        self._stopping = threading.Event()
        self._publisher = threading.Thread(target=self._run, args=(publish,))
        self._publisher.start()

    def close(self) -> None:
        self._stopping.set()
        self._publisher.join()
        self._opened.close()

    def _run(self, publish: Callable[[ObservationMessage], None]) -> None:
        for sequence in range(2**31):
            if self._stopping.wait(1 / RATE):
                return
            publish(seen(sequence))


def read_all(ports: list[int]) -> dict[str, dict[str, int]]:
    """Reads every server until they close: what each client got, and missed."""
    plain, guarded, stream, page = ports
    urls = {
        f"tcp://127.0.0.1:{plain}": None,
        f"tcp://127.0.0.1:{guarded}": TOKEN,
        f"ws://127.0.0.1:{stream}": None,
        f"ws://127.0.0.1:{page}/stream": None,
    }
    results: dict[str, dict[str, int]] = {}

    def follow(name: str, url: str, token: str | None) -> None:
        sequences = [
            m.sequence for m in connect(url, token=token, reconnect=False) if isinstance(m, ObservationMessage)
        ]
        expected = sequences[-1] - sequences[0] + 1
        results[name] = {"read": len(sequences), "missed": expected - len(set(sequences))}

    names = ("TCP", "TCP with token", "WebSocket", "page")
    threads = [threading.Thread(target=follow, args=(n, *u)) for n, u in zip(names, urls.items(), strict=True)]
    for thread in threads:
        thread.start()
    print("reading", flush=True)
    for thread in threads:
        thread.join()
    return results


def beside(role: str, *arguments: object, program: str = __file__) -> subprocess.Popen[str]:
    """This program, or another, in another role and process; has said that it is ready."""
    command = [sys.executable, program, "--role", role, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def said(process: subprocess.Popen[str]) -> Any:
    return json.loads(process.communicate()[0])


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`; `uordblks` is in use, `fordblks` free and kept."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


_libc = ctypes.CDLL(None)
_libc.mallinfo2.restype = _Mallinfo


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2)


def footprint(*, trim: bool = False) -> dict[str, Any]:
    """What the process holds; `trim` also says what is left when malloc gives back what is free."""
    gc.collect()
    heap = _libc.mallinfo2()
    figures = {
        "resident_mb": resident_mb(),
        "malloc_used_mb": round(heap.uordblks / 2**20, 2),
        "malloc_free_mb": round(heap.fordblks / 2**20, 2),
        "python_blocks": sys.getallocatedblocks(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
    }
    if trim:
        _libc.malloc_trim(0)
        figures["resident_trimmed_mb"] = resident_mb()
    return figures


async def serve_bare() -> None:
    """aiohttp with nothing of ours; says its port, then at each line on stdin, `trim` or none, what it holds."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            peer = web.WebSocketResponse(max_msg_size=1024)
            await peer.prepare(request)
            async for _ in peer:
                await peer.send_str("{}")
            return peer
        await request.read()
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    logging.disable()  # a traceback for each bad request
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(footprint(trim=line == "trim\n")), flush=True)


def attack_bare(seed: int, first: int, count: int) -> dict[str, Any]:
    """The same as for our servers: a first part to load what is kept, then the rest."""
    command = [sys.executable, __file__, "--role", "bare"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = [0, 0] + [int(process.stdout.readline())] * 2
        found: dict[str, Any] = {}
        for name, part, line in (("before", first, ""), ("after", count, "trim")):
            said(beside("attack", seed, part, *ports))
            time.sleep(4)
            print(line, file=process.stdin, flush=True)
            found[name] = json.loads(process.stdout.readline())
        process.communicate()
    return found


def play(role: str, arguments: list[str]) -> Any:
    """What another process of this program does."""
    if role == "bare":
        return asyncio.run(serve_bare())
    if role == "read":
        return read_all([int(port) for port in arguments])
    print("ready", flush=True)
    seed, count, *ports = (int(argument) for argument in arguments)
    if role == "attack":
        return attack_sockets(random.Random(seed), ports, count)  # noqa: S311 - a fuzzer
    return attack_slowly(ports, count, 8)


def main() -> None:
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps(play(sys.argv[2], sys.argv[3:])))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    over_sockets = args.inputs * 3 // 10
    result: dict[str, Any] = {"inputs": args.inputs, "seed": args.seed}
    result["parsers"] = attack_parsers(random.Random(args.seed), args.inputs - over_sockets)  # noqa: S311 - a fuzzer
    print("parsers done", file=sys.stderr, flush=True)
    servers = Servers()
    first = over_sockets // 10
    said(beside("attack", args.seed, first, *servers.ports))  # what is loaded and kept once is loaded
    readers = beside("read", *servers.ports)
    time.sleep(4)
    result["before"] = footprint()
    result["sockets"] = said(beside("attack", args.seed + 1, over_sockets - first, *servers.ports))
    print("sockets done", file=sys.stderr, flush=True)
    result["slow"] = said(beside("slow", args.seed, 300, *servers.ports))
    time.sleep(4)
    result["after"] = footprint(trim=True)
    servers.close()
    result["readers"] = said(readers)
    result["bare_aiohttp"] = attack_bare(args.seed, first // 2, (over_sockets - first) // 2)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""A network camera (MJPEG over HTTP) that can be made to fail in the ways in which cameras do."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass

from faults.pictures import DAMAGES

__all__ = ["Camera", "Mood", "abort"]

SEND_BUFFER_BYTES = 64 * 1024
"""Small, so that what is on its way when a fault begins or ends is soon through."""
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


@dataclass(frozen=True)
class Mood:
    """What the camera does now."""

    scene: str = "well"
    pause_s: float = 0.0
    """Between bursts; 0: frames go as fast as they are taken."""
    burst: int = 1
    damage: str = ""
    """One of `DAMAGES`, done to half of the pictures; empty for none."""
    silent: bool = False


def abort(sock: socket.socket) -> None:
    """Ends a connection with a reset instead of a goodbye."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Camera:
    """Serves what its mood says to whoever connects. Close it at the end."""

    def __init__(self, scenes: dict[str, list[bytes]], seed: int) -> None:
        self._scenes = scenes
        self._rng = random.Random(seed)  # noqa: S311 - faults, no secrets
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._port = 0
        self.mood = Mood()
        self.connections = 0
        """Made so far."""
        self.frames = 0
        """Sent so far."""
        self.plug_in()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/camera.mjpg"

    def plug_in(self) -> None:
        """Answers, from now on."""
        self._listener = listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def unplug(self, *, reset: bool) -> None:
        """Breaks all connections off and refuses new ones."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            self._listener.close()
            self._listener = None
        self.break_off(reset=reset)

    def break_off(self, *, reset: bool) -> None:
        """Ends all connections, in the middle of a picture as it may be."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for sock in connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # a thread that sends comes back
            abort(sock) if reset else sock.close()

    def close(self) -> None:
        self.unplug(reset=False)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            with self._lock:
                self._connections.add(sock)
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.recv(4096)
            sock.sendall(HEAD)
            while sock in self._connections:
                mood = self.mood
                for _ in range(0 if mood.silent else mood.burst):
                    sock.sendall(self._part(mood))
                    self.frames += 1
                self._wait(mood)
        with self._lock:
            self._connections.discard(sock)
        sock.close()

    def _part(self, mood: Mood) -> bytes:
        """The picture that shows the scene at this moment, as a part of the answer."""
        pictures = self._scenes[mood.scene]
        jpeg = pictures[int(time.monotonic() * 30 * len(pictures) / len(self._scenes["well"])) % len(pictures)]
        if mood.damage and self._rng.random() < 0.5:
            jpeg = DAMAGES[mood.damage](jpeg, self._rng)
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg)

    def _wait(self, mood: Mood) -> None:
        """Until the next burst is due or the mood changes."""
        end = time.monotonic() + (0.02 if mood.silent else mood.pause_s)
        while self.mood is mood and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.02))

"""One value that is replaced from outside the loop, and waited for inside it."""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, TypeVar

__all__ = ["Newest"]

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest of the values that were put. Who waits gets the newest, never those in between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entry: tuple[int, T | None] = (0, None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh: asyncio.Event | None = None
        self._waking = False
        self._closed = False

    @property
    def number(self) -> int:
        """Of the newest value; 0 before the first."""
        return self._entry[0]

    def put(self, value: T) -> None:
        """From any thread; waits for nobody. Nothing once closed."""
        with self._lock:
            if self._closed:
                return
            self._entry = (self._entry[0] + 1, value)
            if self._loop is not None and not self._waking:  # at most one call waits in the loop
                self._waking = True
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Nothing new will come; who waits is told. On the loop's thread."""
        with self._lock:
            self._closed = True
        self._wake()

    async def after(self, number: int) -> tuple[int, T | None]:
        """The newest value and its number, once that is another than `number`; `None` where no other will come."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        while self._entry[0] == number and not self._closed:
            if self._fresh is None:
                self._fresh = asyncio.Event()
            await self._fresh.wait()
        return self._entry if self._entry[0] != number else (number, None)

    def _wake(self) -> None:
        self._waking = False  # before `_entry` is read: a value put in between wakes once more
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            fresh.set()

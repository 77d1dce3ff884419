"""Finds the TFLite runtime that is installed: LiteRT, else tflite-runtime."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fkp_edge.errors import MissingPartError

__all__ = ["TfliteRuntime", "find_runtime", "without_remark"]

REMARK = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


@dataclass(frozen=True)
class TfliteRuntime:
    """What runs a flatbuffer."""

    name: str
    """LiteRT or tflite-runtime."""
    version: str
    interpreter: Any
    """Its class Interpreter."""
    load_delegate: Any
    """Its function of that name: library -> delegate."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_runtime() -> TfliteRuntime:
    """LiteRT, else tflite-runtime where it is what is installed.

    Raises:
        MissingPartError: neither is.
    """
    try:
        from ai_edge_litert import interpreter as module

        name, distribution = "LiteRT", "ai-edge-litert"
    except ImportError as litert_error:
        try:
            from tflite_runtime import interpreter as module
        except ImportError:
            if sys.maxsize < 2**32 or platform.machine().startswith("armv7"):
                raise MissingPartError(
                    f"no TFLite runtime for 32-bit {platform.machine()}: LiteRT has wheels for 64-bit systems only; "
                    "install the 64-bit Raspberry Pi OS"
                ) from litert_error
            raise MissingPartError(
                f"no TFLite runtime ({litert_error}); it runs the network: pip install ai-edge-litert"
            ) from litert_error
        name = distribution = "tflite-runtime"
    return TfliteRuntime(name, _version(distribution), module.Interpreter, module.load_delegate)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # built by hand, without metadata
        return "of unknown version"


@contextmanager
def without_remark() -> Iterator[None]:
    """Leaves out what the runtime says on stderr when it opens its first network; what else is said comes a bit later.

    It writes to the descriptor itself and has no setting for it. Where other threads run they may be writing there, or
    start programs that do: then stderr is left alone.
    """
    if threading.active_count() > 1 or os.environ.get("FKP_EDGE_DEBUG") or not hasattr(os, "memfd_create"):
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    said = os.memfd_create("stderr")
    try:
        os.dup2(said, 2)
        yield
    finally:
        os.dup2(kept, 2)
        if rest := os.pread(said, os.lseek(said, 0, os.SEEK_END), 0).replace(REMARK, b""):
            os.write(kept, rest)
        os.close(said)
        os.close(kept)

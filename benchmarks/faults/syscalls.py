"""Ends a process with SIGKILL just before its n-th system call that changes a folder: Linux on x86-64, by ptrace.

The kernel stops every thread at every system call, so that what C++ libraries write is seen as what Python writes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from pathlib import Path
from typing import NamedTuple

__all__ = ["Killed", "kill_before"]

SEIZE, INTERRUPT, GET_SYSCALL_INFO, TO_NEXT_SYSCALL = 0x4206, 0x4207, 0x420E, 24
OPTIONS = 0x1 | 0x8 | 0x100000
"""System calls are told from traps; new threads are followed; a tracer that ends takes the process with it."""
ANY_CHILD = 0x40000000
"""__WALL: threads too."""
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

BY_HANDLE = {1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 91: "fchmod"}
BY_PATH = {76: "truncate", 82: "rename", 83: "mkdir", 84: "rmdir", 85: "creat", 87: "unlink", 2: "open"}
BY_FOLDER_AND_PATH = {257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat", 316: "renameat2"}
OPENS = {2: 1, 257: 2}
"""Which argument holds the flags."""

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


class Killed(NamedTuple):
    """Where a process was ended."""

    call: str
    file: str
    """Relative to the folder."""


def kill_before(process: int, number: int, folder: Path, go: int) -> Killed | None:
    """Lets `process`, a child that waits for a byte from the pipe `go`, run up to that system call, and ends it there.

    None where it ended by itself before. The process has been waited for when this returns.
    """
    _seize(process)
    os.write(go, b"g")
    seen, killed = 0, None
    while True:
        task, status = os.waitpid(-1, ANY_CHILD)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if task == process:
                return killed
            continue
        stopped_by = os.WSTOPSIG(status)
        if stopped_by == SYSCALL_STOP and killed is None and (found := _change(task, folder)):
            seen += 1
            if seen == number:
                os.kill(process, signal.SIGKILL)
                killed = found
                continue
        passed_on = 0 if stopped_by == SYSCALL_STOP or status >> 16 else stopped_by
        _ptrace(TO_NEXT_SYSCALL, task, None, passed_on)  # fails where the process is gone


def _seize(process: int) -> None:
    """Follows every thread of `process`."""
    followed: set[int] = set()
    while new := {int(task.name) for task in Path(f"/proc/{process}/task").iterdir()} - followed:
        for task in new:
            if _ptrace(SEIZE, task, None, OPTIONS) and task == process:
                reason = ctypes.get_errno()
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                raise OSError(reason, f"cannot trace: {os.strerror(reason)}")
            _ptrace(INTERRUPT, task, None, None)
        followed |= new


def _change(task: int, folder: Path) -> Killed | None:
    """The system call that `task` is about to make, where it changes `folder`."""
    info = ctypes.create_string_buffer(88)
    if _ptrace(GET_SYSCALL_INFO, task, len(info), ctypes.cast(info, ctypes.c_void_p)) <= 0 or info.raw[0] != ENTRY:
        return None
    call, *arguments = struct.unpack_from("<7Q", info.raw, 24)
    if call in OPENS and not arguments[OPENS[call]] & WRITING:
        return None
    try:
        if call in BY_HANDLE:
            name, path = BY_HANDLE[call], str(Path(f"/proc/{task}/fd/{arguments[0]}").readlink())
        elif call in BY_PATH:
            name, path = BY_PATH[call], _text(task, arguments[0])
        elif call in BY_FOLDER_AND_PATH:
            name, path = BY_FOLDER_AND_PATH[call], _text(task, arguments[1])
        else:
            return None
    except OSError:
        return None
    return Killed(name, str(Path(path).relative_to(folder))) if Path(path).is_relative_to(folder) else None


def _text(task: int, address: int) -> str:
    with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return os.fsdecode(memory.read(4096).split(b"\0")[0])

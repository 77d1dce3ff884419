"""Sockets that listen, TCP and Unix, with errors that name the remedy."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from dataclasses import replace
from pathlib import Path

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import PageAddress, TcpAddress, UnixAddress, WebAddress

__all__ = ["bound_port", "identity", "limit_buffers", "listen", "remove_socket_file"]

# What the kernel holds for a client that sleeps is stale when it wakes up. Linux doubles both SO_ sizes.
SEND_BUFFER_BYTES = 16 * 1024
UNSENT_BYTES = 4 * 1024
RECEIVE_BUFFER_BYTES = 4 * 1024
BACKLOG = 128
OWNER_ONLY = 0o600
OWNER_AND_GROUP = 0o660


def listen(address: TcpAddress | WebAddress | UnixAddress) -> socket.socket:
    """A listening socket that does not block.

    A Unix socket's file is for its owner only; in a folder with the setgid bit, which is how a folder says that what is
    made in it belongs to its group, for that group, too.

    Raises:
        StreamError: the address cannot be bound.
    """
    try:
        listener = _unix(address) if isinstance(address, UnixAddress) else _tcp(address)
    except OSError as error:
        raise _bind_error(address, error) from error
    listener.setblocking(False)
    return listener


def bound_port(listener: socket.socket) -> int:
    """The port that `listener` has; of a Unix socket 0."""
    return 0 if listener.family == socket.AF_UNIX else int(listener.getsockname()[1])


def limit_buffers(sock: socket.socket) -> None:
    """Makes the kernel keep little for a client that does not read, and nothing back from one that does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def remove_socket_file(path: str, *, made: tuple[int, int] | None = None) -> None:
    """Removes the socket at `path`, and nothing that is not a socket, or is another than `made` (see `identity`)."""
    with contextlib.suppress(OSError):
        if _is_socket(path) and made in (None, identity(path)):
            Path(path).unlink()


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what is at `path`; `None` where there is nothing."""
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(Path(path).lstat().st_mode)


def _tcp(address: TcpAddress | WebAddress) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it; set later it would not bound the window that the client was told.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _unix(address: UnixAddress) -> socket.socket:
    if _is_stale(address.path):
        remove_socket_file(address.path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address.path)
        Path(address.path).chmod(_mode(Path(address.path)))  # nobody can connect before listen()
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _mode(path: Path) -> int:
    return OWNER_AND_GROUP if path.parent.stat().st_mode & stat.S_ISGID else OWNER_ONLY


def _is_stale(path: str) -> bool:
    """Whether `path` is a socket that a killed process left behind: nobody listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a listener that is stopped, with a full backlog, would never answer
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _bind_error(address: TcpAddress | WebAddress | UnixAddress, error: OSError) -> StreamError:
    reason = error.strerror or str(error)
    if isinstance(address, UnixAddress):
        if error.errno == errno.EADDRINUSE:
            if not _is_socket(address.path):
                return StreamError(f"{address.path} exists and is no socket; name another path, or remove it")
            return StreamError(
                f"{address.path} is in use; stop the program that listens there (another fkp-edge run?) "
                "or name another path"
            )
        return StreamError(f"cannot listen on {address}: {reason}; expected a path in a folder that may be written")
    if error.errno == errno.EADDRINUSE:
        place = replace(address, port=0).place.removesuffix("0") + "PORT"
        option = (
            f"--web {place}" if isinstance(address, PageAddress) else f"--stream {str(address).split(':')[0]}://{place}"
        )
        return StreamError(
            f"port {address.port} on {address.host} is in use; stop the program that listens there "
            f"(another fkp-edge run?) or name another port with {option}"
        )
    return StreamError(f"cannot listen on {address}: {reason}; expected an address of this machine, a port above 1023")

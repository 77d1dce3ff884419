"""The socket between the camera and other programs: protocol, server and client. Imports neither NumPy nor OpenCV."""

from __future__ import annotations

from fkp_edge.stream.address import TcpAddress, parse_address
from fkp_edge.stream.client import Connection, connect
from fkp_edge.stream.messages import (
    ErrorMessage,
    FaceMessage,
    Hello,
    ObservationMessage,
    Ping,
    Pong,
    decode_client,
    decode_server,
    encode,
    from_observation,
)
from fkp_edge.stream.server import LineServer

__all__ = [
    "Connection",
    "ErrorMessage",
    "FaceMessage",
    "Hello",
    "LineServer",
    "ObservationMessage",
    "Ping",
    "Pong",
    "TcpAddress",
    "connect",
    "decode_client",
    "decode_server",
    "encode",
    "from_observation",
    "parse_address",
]

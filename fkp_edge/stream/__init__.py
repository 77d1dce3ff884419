"""The socket between the camera and other programs: protocol, server and client. Imports neither NumPy nor OpenCV."""

from __future__ import annotations

from fkp_edge.stream.client.connection import Connection, connect
from fkp_edge.stream.protocol.address import TcpAddress, UdpAddress, UnixAddress, WebAddress, parse_address
from fkp_edge.stream.protocol.conversion import from_observation
from fkp_edge.stream.protocol.messages import (
    Auth,
    ErrorMessage,
    FaceMessage,
    Hello,
    Measures,
    ObservationMessage,
    Ping,
    Pong,
    Pose,
    Position,
    decode_client,
    decode_server,
    encode,
)
from fkp_edge.stream.server.line_server import LineServer, UdpSender

__all__ = [
    "Auth",
    "Connection",
    "ErrorMessage",
    "FaceMessage",
    "Hello",
    "LineServer",
    "Measures",
    "ObservationMessage",
    "Ping",
    "Pong",
    "Pose",
    "Position",
    "TcpAddress",
    "UdpAddress",
    "UdpSender",
    "UnixAddress",
    "WebAddress",
    "connect",
    "decode_client",
    "decode_server",
    "encode",
    "from_observation",
    "parse_address",
]

"""The socket between the camera and other programs: protocol, server and client. Imports neither NumPy nor OpenCV."""

from __future__ import annotations

from fkp_edge.stream.client.connection import Connection, connect
from fkp_edge.stream.protocol.address import TcpAddress, UdpAddress, UnixAddress, WebAddress, parse_address
from fkp_edge.stream.protocol.messages import (
    Auth,
    ErrorMessage,
    FaceMessage,
    Hello,
    ObservationMessage,
    Ping,
    Pong,
    Pose,
    decode_client,
    decode_server,
    encode,
    from_observation,
)
from fkp_edge.stream.server.line_server import LineServer
from fkp_edge.stream.server.udp import UdpSender

__all__ = [
    "Auth",
    "Connection",
    "ErrorMessage",
    "FaceMessage",
    "Hello",
    "LineServer",
    "ObservationMessage",
    "Ping",
    "Pong",
    "Pose",
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

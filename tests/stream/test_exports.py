from __future__ import annotations

from fkp_edge import stream


def test_exports():
    assert stream.__all__ == [
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


def test_exports_exist():
    assert all(hasattr(stream, name) for name in stream.__all__)

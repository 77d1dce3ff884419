from __future__ import annotations

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import TcpAddress, UnixAddress, WebAddress, parse_address
from fkp_edge.stream.protocol.address import complete_address, parse_page_address

URLS = ["tcp://127.0.0.1:8765", "tcp://[::1]:0", "tcp://raspberrypi.local:65535", "udp://10.0.0.7:9000"]
URLS += ["ws://127.0.0.1:8766", "ws://[::1]:8080/stream", "wss://pi.local:443", "unix:///run/fkp.sock", "unix://here"]

URLS += [
    "osc://10.0.0.7:9000",
    "opentrack://[::1]:4242",
    "vmc://pc:39539",
    "openseeface://pc:11573",
    "mqtt://pi@host:1883/a/b",
    "mqtts://host:8883/fkp-edge",
]


@pytest.mark.parametrize("url", URLS)
def test_urls_round_trip(url):
    assert str(parse_address(url)) == url


def test_addresses_are_keys():
    assert len({parse_address(url) for url in URLS * 2}) == len(URLS)


def test_brackets_are_no_part_of_the_host():
    assert parse_address("tcp://[::1]:8765") == TcpAddress("::1", 8765)


def test_a_web_address_has_a_path_and_says_whether_it_is_secure():
    assert parse_address("wss://pi:443/live") == WebAddress("pi", 443, "/live", secure=True)


@pytest.mark.parametrize("path", ["", "a\nb", "/" + "x" * 100])
def test_a_path_that_no_socket_can_have_is_refused(path):
    with pytest.raises(StreamError, match="has no usable path; expected unix:///PATH of at most 100 bytes"):
        parse_address(f"unix://{path}")


def test_a_unix_socket_is_loopback():
    assert UnixAddress("/run/fkp.sock").is_loopback


@pytest.mark.parametrize(
    "url",
    [
        *("", "8765", "tcp://", "tcp://:8765", "tcp://host", "tcp://host:", "tcp://host:http", "tcp://host:-1"),
        *("tcp://host:1/path", "tcp://me@host:1", "tcp://::1:8765", "TCP://host:1", "tcp://host:1\n", "tcp://host:٣"),
        *(
            "tcp://a..b:1",
            f"tcp://{'a' * 64}:1",
            "udp://h:1/x",
            "http://h:1",
            "osc://h:1/x",
            "udp://me@h:1",
            "ws://h:1/a?b",
            "ws://h:1/é",
        ),
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(StreamError, match=r"is not understood; (did you mean \S+\? )?expected tcp://HOST:PORT, ws://"):
        parse_address(url)


@pytest.mark.parametrize("port", [65536, 99999])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(StreamError, match=f"has port {port}; expected 0 to 65535"):
        parse_address(f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("scheme", ["udp", "osc", "vmc", "opentrack", "openseeface", "mqtt", "mqtts"])
def test_nothing_can_be_sent_to_port_0(scheme):
    with pytest.raises(StreamError, match="has port 0; expected 1 to 65535, where somebody listens"):
        parse_address(f"{scheme}://127.0.0.1:0")


def test_a_bad_ipv6_address_is_refused():
    with pytest.raises(StreamError, match="has no IPv6 address between its brackets"):
        parse_address("tcp://[1:2]:8765")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_loopback(host):
    assert TcpAddress(host, 1).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "raspberrypi.local", "localhost.example"])
def test_beyond_loopback(host):
    assert not TcpAddress(host, 1).is_loopback


@pytest.mark.parametrize(
    ("text", "url"), [("127.0.0.1:8080", "http://127.0.0.1:8080/"), ("[::1]:0", "http://[::1]:0/")]
)
def test_pages_are_what_a_browser_opens(text, url):
    assert str(parse_page_address(text)) == url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8765", "tcp://localhost:8765"),
        ("localhost", "tcp://localhost:8765"),
        ("raspberrypi.local", "tcp://raspberrypi.local:8765"),
        ("tcp://raspberrypi.local", "tcp://raspberrypi.local:8765"),
        ("192.168.1.7:9000", "tcp://192.168.1.7:9000"),
        ("9000", "tcp://127.0.0.1:9000"),
        ("::1", "tcp://[::1]:8765"),
        ("[::1]:9", "tcp://[::1]:9"),
        ("/run/fkp-edge/points.sock", "unix:///run/fkp-edge/points.sock"),
        ("http://pi.local:8080/", "ws://pi.local:8080/stream"),
        ("udp://127.0.0.1:9", "udp://127.0.0.1:9"),
        ("udp://pi.local", "udp://pi.local"),
        ("tcp://127.0.0.1:9", "tcp://127.0.0.1:9"),
        ("no host at all", "no host at all"),
    ],
)
def test_an_address_is_completed_from_what_people_type(text: str, url: str):
    assert complete_address(text) == url


def test_an_address_without_its_scheme_is_told_the_whole_one():
    with pytest.raises(StreamError, match=r"'localhost:8765' is not understood; did you mean tcp://localhost:8765\? "):
        parse_address("localhost:8765")

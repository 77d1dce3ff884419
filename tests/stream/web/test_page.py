"""The page's addresses, asked for directly; the page itself is tested in test_browser.py."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Face
from fkp_edge.errors import InputError
from fkp_edge.stream import WebAddress, connect, decode_server, encode
from fkp_edge.stream.web import PUBLIC, Histogram, LivePage, PageParts, WebServer
from fkp_edge.stream.web.metrics import Numbers, render, temperature_c
from fkp_edge.stream.web.pictures import Photographs

TOKEN = "0123456789abcdef"
FACE = Face(1, 0.98765, (1.0, 2.0, 30.0, 30.0), np.full((15, 2), 7.123, np.float32))
JPEG = cv2.imencode(".jpg", np.full((60, 80), 99, np.uint8))[1].tobytes()
PNG = cv2.imencode(".png", np.full((60, 80), 99, np.uint8))[1].tobytes()


class Served:
    """A page, its server, and what comes back from it."""

    def __init__(self, page: LivePage, server: WebServer) -> None:
        self.page = page
        self.server = server

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.address.port, timeout=10)) as peer:
            peer.request(method, path, body, headers)
            answer = peer.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def serve(hello) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def build(
            *,
            preview: bool = True,
            find=lambda grey: [FACE],
            effect=None,
            times: dict[str, float] | None = None,
            **options,
        ) -> Served:
            stages = {"infer": Histogram((0.001, 0.01), (3, 2, 1), 0.5)}
            clients = {'tcp://127.0.0.1:1"': 4}
            parts = PageParts(lambda: hello, FKP15, preview, effect, find, lambda: stages, lambda: clients)
            page = LivePage(parts, **(times or {}))
            server = WebServer(WebAddress("127.0.0.1", 0), page.routes(), end=page.close, public=PUBLIC, **options)
            page.count_refused(lambda: server.refused)
            return Served(page, stack.enter_context(server))

        yield build


def grey(level: int) -> np.ndarray:
    return np.full((48, 64), level, np.uint8)


def show(served: Served, message, picture: np.ndarray | None) -> None:
    served.page.publish(message, encode(message), picture)


def live(served: Served, path: str = "/live"):
    """Frames of the page's own WebSocket: the observation and the picture's mean."""
    import asyncio

    import aiohttp

    async def read(count: int, publish: Callable[[int], None]) -> list[tuple[int, float]]:
        url = f"http://127.0.0.1:{served.server.address.port}{path}"
        found = []
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            texts = [json.loads((await socket.receive()).data) for _ in range(2)]
            assert [text["type"] for text in texts] == ["hello", "page"]
            for i in range(count):
                publish(i)
                data = (await socket.receive(10)).data
                (size,) = struct.unpack_from("<I", data)
                jpeg = np.frombuffer(data[4 + size :], np.uint8)
                mean = float(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE).mean()) if len(jpeg) else -1.0
                found.append((decode_server(data[4 : 4 + size]).sequence, mean))
        return found

    return lambda count, publish: asyncio.run(read(count, publish))


def test_the_picture_is_that_of_its_observation(serve, observe):
    served = serve()
    seen = live(served)(30, lambda i: show(served, observe(i, faces=0), grey(8 * i)))
    assert all(abs(mean - 8 * sequence) < 1.5 for sequence, mean in seen)
    assert len(seen) == 30


def test_a_slow_viewer_gets_pairs_too(serve, observe):
    """Published in bursts, so that frames are skipped while one is encoded."""
    served = serve()

    def burst(i: int) -> None:
        for k in range(5):
            show(served, observe(5 * i + k, faces=0), grey(5 * i + k))

    assert all(abs(mean - sequence) < 1.5 for sequence, mean in live(served)(20, burst))


def test_without_preview_no_picture_leaves_the_device(serve, observe):
    served = serve(preview=False)
    assert live(served)(2, lambda i: show(served, observe(i), grey(9))) == [(0, -1.0), (1, -1.0)]
    assert served.ask("/stream.mjpg") == (403, b"pictures are off, they show people; start with --preview\n")


def test_the_stream_is_the_line_protocol(serve, hello, observe):
    served = serve()
    with connect(f"{served.server.address}/stream") as client:
        assert next(client) == hello
        show(served, observe(3), None)
        assert next(client) == observe(3)


def test_the_multipart_stream_has_pictures_with_points(serve, observe):
    served = serve()
    publishing = threading.Event()

    def publish() -> None:
        i = 0
        while not publishing.wait(0.01):
            show(served, observe(i := i + 1), grey(100))

    publisher = threading.Thread(target=publish)
    publisher.start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.server.address.port, timeout=10)) as peer:
        peer.request("GET", "/stream.mjpg")
        answer = peer.getresponse()
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=fkp-edge-frame"
        for _ in range(3):
            head = b"".join(iter(answer.readline, b"\r\n"))
            size = int(re.search(rb"Content-Length: (\d+)", head)[1])
            picture = cv2.imdecode(np.frombuffer(answer.read(size), np.uint8), cv2.IMREAD_COLOR)
            assert answer.readline() == b"\r\n"
            assert picture.shape == (48, 64, 3)
            assert np.ptp(picture) > 50  # something is drawn on the plain grey
    publishing.set()
    publisher.join()


def test_an_effect_changes_the_picture(serve, observe):
    served = serve(effect=lambda picture, points: picture.fill(200))
    assert live(served)(1, lambda i: show(served, observe(i), grey(9)))[0][1] == pytest.approx(200, abs=1.5)


def test_health_follows_new_frames(serve, observe):
    served = serve()
    assert served.ask("/healthz") == (503, b'{"status":"stale","frame_age_s":null}')
    show(served, observe(1), grey(1))
    status, body = served.ask("/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    served.page._last_frame_s -= 4
    show(served, observe(1, state="no_camera"), None)  # a heartbeat is no frame
    assert served.ask("/healthz")[0] == 503


def test_metrics_are_prometheus_text(serve, observe):
    served = serve()
    show(served, msgspec.structs.replace(observe(1), dropped=2), grey(1))
    served.ask("/", Host="evil.example")
    text = served.ask("/metrics")[1].decode()
    line = r'(# (HELP|TYPE) fkp_edge_\w+ .+|fkp_edge_\w+(\{\w+="([^"\\]|\\.)*"(,\w+="([^"\\]|\\.)*")*\})? [0-9.e+-]+)'
    assert [bad for bad in text.splitlines() if not re.fullmatch(line, bad)] == []
    for expected in (
        "fkp_edge_frames_total 1",
        "fkp_edge_frames_dropped_total 2",
        'fkp_edge_state{state="tracking"} 1',
        r'fkp_edge_clients{stream="tcp://127.0.0.1:1\""} 4',
        "fkp_edge_requests_refused_total 1",
        'fkp_edge_stage_seconds_bucket{stage="infer",le="0.01"} 5',
        'fkp_edge_stage_seconds_bucket{stage="infer",le="+Inf"} 6',
        'fkp_edge_stage_seconds_count{stage="infer"} 6',
    ):
        assert expected in text.splitlines()


def test_viewers_of_the_page_count_as_clients(serve, observe):
    served = serve()
    counted = []

    def count(number: int) -> None:
        counted.append(re.search(r'{stream="live page"} (\d+)', served.ask("/metrics")[1].decode())[1])
        show(served, observe(number), grey(1))

    live(served)(2, count)
    assert counted == ["1", "1"]
    assert 'stream="live page"} 0' in served.ask("/metrics")[1].decode()


def test_the_temperature_is_where_the_system_tells(tmp_path):
    (tmp_path / "temp").write_text("48312\n")
    assert temperature_c(tmp_path / "temp") == 48.312
    assert temperature_c(tmp_path / "none") is None


@pytest.mark.parametrize("picture", [JPEG, PNG])
def test_a_photograph_gets_its_faces(serve, picture):
    seen = []
    status, body = serve(find=lambda grey: seen.append(grey.shape) or [FACE]).ask("/predict", "POST", picture)
    answer = json.loads(body)
    assert (status, seen) == (200, [(60, 80)])
    assert answer["points"] == list(FKP15.names)
    face = answer["faces"][0]
    assert (face["score"], face["box"], face["points"][0]) == (0.988, [1, 2, 30, 30], [7.12, 7.12])


def claims(width: int, height: int) -> bytes:
    """A small PNG that says it is large."""
    return PNG[:16] + struct.pack(">II", width, height) + PNG[24:]


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (b"", r"it is empty; expected a JPEG, PNG"),
        (b"GIF89a" + bytes(50), r"it is a GIF: convert it"),
        (b"BM" + struct.pack("<12xIii", 40, 8, 8) + bytes(99), r"it is a BMP; expected JPEG or PNG"),
        (b"\xff\xd8\xff", "a JPEG without a picture"),
        (JPEG[:200], "a JPEG without a picture|damaged"),
        (PNG[:40], "damaged; expected a whole PNG"),
        (claims(60_000, 60_000), "has 60000x60000 pixels; expected at most 25000000: make it smaller"),
        (claims(80, 0), "claims 80x0 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(serve, picture, text):
    status, body = serve().ask("/predict", "POST", picture)
    assert status == 415
    assert re.search(text, body.decode())


def test_a_photograph_too_large_is_refused_before_it_is_read(serve):
    status, _ = serve().ask("/predict", "POST", bytes(13 * 2**20))
    assert status == 413


@pytest.mark.parametrize("header", [b"Content-Encoding: gzip\r\nContent-Length: 2", b"Transfer-Encoding: chunked"])
def test_a_damaged_body_is_refused_and_not_logged(serve, header, caplog):
    address = serve().server.address
    with socket.create_connection((address.host, address.port), timeout=10) as peer:
        # in one piece: of chunks that are damaged in a later one aiohttp 3.14 tells nobody, and the time-out ends it
        peer.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\nhi")
        assert b" 400 " in peer.recv(100)
    assert caplog.records == []


def test_one_photograph_at_a_time(serve, eventually):
    looking, done = threading.Event(), threading.Event()
    served = serve(find=lambda grey: [looking.set(), done.wait(10)][2:])
    first = threading.Thread(target=lambda: served.ask("/predict", "POST", JPEG))
    first.start()
    assert looking.wait(10)
    assert served.ask("/predict", "POST", JPEG) == (503, b"another photograph is being looked at; try again\n")
    done.set()
    first.join()
    assert served.ask("/predict", "POST", JPEG)[0] == 200


def test_a_large_photographs_faces_are_in_its_own_pixels(serve):
    large = cv2.imencode(".jpg", np.zeros((40, 5200), np.uint8))[1].tobytes()
    seen = []
    face = Face(1, 0.9, (9.5, 9.5, 10.0, 10.0), np.full((15, 2), 9.5, np.float32))
    status, body = serve(find=lambda grey: seen.append(grey.shape) or [face]).ask("/predict", "POST", large)
    found = json.loads(body)["faces"][0]
    assert (status, seen) == (200, [(20, 2600)])
    assert (found["box"], found["points"][0]) == ([19.5, 19.5, 20.0, 20.0], [19.5, 19.5])


def test_a_page_that_ends_ends_the_decoding():
    photographs = Photographs(lambda grey: [])
    photographs.close()
    with pytest.raises(InputError, match="was closed"):
        photographs.faces(JPEG)


@pytest.mark.parametrize("header", ["Content-Length: 400", "Transfer-Encoding: chunked"])
def test_a_photograph_that_never_comes_holds_nobody_up(serve, eventually, header):
    served = serve(times={"upload_s": 0.3})
    address = served.server.address
    with socket.create_connection((address.host, address.port), timeout=10) as peer:
        peer.sendall(f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n5".encode())
        eventually(lambda: served.ask("/predict", "POST", JPEG)[0] == 503)
        eventually(lambda: served.ask("/predict", "POST", JPEG)[0] == 200)
        assert b" 408 " in peer.recv(100)


def test_a_viewer_that_reads_nothing_is_given_up(serve, observe, eventually):
    served = serve(times={"stall_s": 0.2})
    address = served.server.address
    noise = np.random.default_rng(1).integers(0, 255, (1000, 1000), dtype=np.uint8)
    with socket.create_connection((address.host, address.port), timeout=10) as peer:
        peer.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        eventually(lambda: served.page._viewers == 1)

        def is_given_up() -> bool:
            show(served, observe(1), noise)
            return served.server.clients == 0

        eventually(is_given_up)


PATHS = ["/", "/live", "/stream", "/stream.mjpg", "/metrics"]


@pytest.mark.parametrize("path", PATHS)
def test_with_a_token_nothing_is_shown_without_it(serve, path):
    served = serve(token=TOKEN)
    assert served.ask(path)[0] == served.ask(f"{path}?token=wrong")[0] == 401
    assert served.ask(path, Authorization=f"Bearer {TOKEN}x")[0] == 401
    assert served.ask(path, Authorization="Bearer \xff")[0] == 401  # no UTF-8


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_with_its_token_it_is(serve, path):
    served = serve(token=TOKEN)
    assert served.ask(f"{path}?token={TOKEN}")[0] == served.ask(path, Authorization=f"Bearer {TOKEN}")[0] == 200


def test_photographs_need_the_token_too(serve):
    served = serve(token=TOKEN)
    assert served.ask("/predict", "POST", JPEG)[0] == 401
    assert served.ask(f"/predict?token={TOKEN}", "POST", JPEG)[0] == 200


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_what_shows_nothing_needs_no_token(serve, path):
    assert serve(token=TOKEN).ask(path)[0] in (200, 503)


@pytest.mark.parametrize("path", [*PATHS, "/healthz", "/page.js"])
def test_another_hosts_name_and_another_pages_scripts_are_refused(serve, path):
    served = serve()
    assert served.ask(path, Host="evil.example")[0] == 403
    assert served.ask(path, Origin="http://evil.example")[0] == 403


@pytest.mark.parametrize("dest", ["image", "iframe", "empty"])
def test_pictures_are_not_shown_in_a_page_of_another_site(serve, dest):
    served = serve(preview=False)
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": dest}
    refusal = served.ask("/stream.mjpg", **elsewhere)
    assert refusal[0] == 403
    assert refusal != served.ask("/stream.mjpg")
    assert served.ask("/", **elsewhere)[0] == 403
    assert served.ask("/", **{**elsewhere, "Sec-Fetch-Dest": "document"})[0] == 200  # a link that somebody followed
    assert served.ask("/", **{**elsewhere, "Sec-Fetch-Site": "same-origin"})[0] == 200


def test_with_a_token_a_page_of_another_site_may_show_pictures(serve):
    served = serve(token=TOKEN)
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    assert served.ask(f"/?token={TOKEN}", **elsewhere)[0] == 200


def test_with_a_token_the_device_may_have_any_name(serve):
    served = serve(token=TOKEN)
    assert (
        served.ask(f"/?token={TOKEN}", Host="pi.fritz.box")[0] == served.ask("/page.js", Host="pi.fritz.box")[0] == 200
    )
    assert served.ask("/", Host="pi.fritz.box")[0] == 401


def test_photographs_from_another_page_are_refused(serve):
    assert serve().ask("/predict", "POST", JPEG, Origin="http://evil.example")[0] == 403


def test_unknown_paths_and_methods_are_no_more_than_that(serve):
    served = serve()
    assert served.ask("/../../etc/passwd")[0] == served.ask("/static/page.js")[0] == 404
    assert served.ask("/", "DELETE")[0] == 405
    assert served.server.clients <= 3


def test_closing_ends_every_viewer(serve, observe):
    served = serve()
    with connect(f"{served.server.address}/stream", reconnect=False) as client:
        next(client)
        served.server.close()
        assert list(client) == []
    show(served, observe(1), grey(1))


def test_metrics_say_nothing_of_what_is_not_known():
    numbers = Numbers(1, 0, "tracking", None, {}, 0, {}, None)
    text = render(numbers)
    assert "fkp_edge_frames_total 1" in text
    assert not [name for name in ("temperature", "frame_age", "stage_seconds") if name in text]
    assert "fkp_edge_temperature_celsius 51.5" in render(numbers._replace(temperature_c=51.5))


def test_a_name_of_a_host_is_bounded(serve):
    assert serve().ask("/", Host="a" * 5000)[0] == 403

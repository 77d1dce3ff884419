"""The one-file clients read the golden vectors and a live stream, and survive what is no message."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fkp_edge.stream.web import WebServer

from fkp_edge.stream import (
    FaceMessage,
    Hello,
    LineServer,
    ObservationMessage,
    TcpAddress,
    UnixAddress,
    WebAddress,
    encode,
)
from fkp_edge.stream.server.connection import Limits

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOCOL = REPOSITORY / "docs/protocol"
HERE = Path(__file__).parent
LINES = [
    line
    for line in (PROTOCOL / "lines.jsonl").read_text().splitlines()
    if '"auth"' not in line and '"ping"' not in line
]
DATAGRAMS = [json.loads(line) for line in (PROTOCOL / "datagrams.jsonl").read_text().splitlines()]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js (node)")


@pytest.fixture(scope="module")
def c_driver(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """With the sanitizers where the compiler has them."""
    out = tmp_path_factory.mktemp("c") / "driver"
    command = ["cc", *STRICT, "-D_POSIX_C_SOURCE=200112L", f"-I{REPOSITORY / 'clients'}", str(HERE / "driver.c")]
    sanitizers = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    if subprocess.run([*command, *sanitizers, "-o", str(out), "-lm"], capture_output=True).returncode:
        subprocess.run([*command, "-o", str(out), "-lm"], check=True)
    return [str(out)]


@pytest.fixture(params=[pytest.param("c", marks=needs_cc), pytest.param("js", marks=needs_node)])
def read(request: pytest.FixtureRequest) -> Callable[[list[str]], list[object]]:
    """Hands inputs to a client's driver: what it made of each."""
    command = request.getfixturevalue("c_driver") if request.param == "c" else ["node", str(HERE / "driver.mjs")]

    def run(inputs: list[str]) -> list[object]:
        done = subprocess.run(
            command, input="".join(f"{i}\n" for i in inputs), capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def says(answer: dict[str, object], line: str) -> bool:
    """Whether what a client read is what `line` says. JavaScript rounds large numbers; C has no null."""
    expected = json.loads(line)
    if expected.get("frame_size", 0) is None:
        expected["frame_size"] = answer["frame_size"] or None
        assert answer["frame_size"] in (None, [0, 0])
    return all(
        float(answer[key]) == float(value) if type(value) is int else answer[key] == value
        for key, value in expected.items()
        if key in answer
    )


def test_golden_lines(read):
    answers = read([f"line {line}" for line in LINES])
    assert [(line, answer) for line, answer in zip(LINES, answers, strict=True) if not says(answer, line)] == []


def test_golden_datagrams(read):
    answers = read([f"datagram {vector['datagram']}" for vector in DATAGRAMS])
    lines = [vector["line"] for vector in DATAGRAMS]
    assert [(line, answer) for line, answer in zip(lines, answers, strict=True) if not says(answer, line)] == []


def test_unknown_fields_are_ignored(read):
    line = LINES[3].replace("{", '{"new":{"a":[1,{"b":null}],"c":"\\u00e9\\""},', 1)
    assert says(read([f"line {line}"])[0], LINES[3])


def test_other_versions_are_refused(read):
    datagram = bytearray.fromhex(DATAGRAMS[3]["datagram"])
    datagram[4] = 2
    answers = read(["line " + LINES[0].replace('"protocol":1', '"protocol":2'), f"datagram {datagram.hex()}"])
    assert all(answer == -2 or "version 2 and this file speaks 1" in answer["refused"] for answer in answers)


def mangled(random_: random.Random, data: bytes) -> bytes:
    data = bytearray(data)
    for _ in range(random_.randrange(1, 5)):
        at = random_.randrange(len(data) + 1)
        data[at : at + random_.randrange(4)] = random_.choice(
            [bytes([random_.randrange(256)]), b'"', b"\\", b"[", b"9" * 50, b"{", b"}", b""]
        )
    return bytes(data)


def test_what_is_no_message_is_refused_and_harms_nothing(read):
    random_ = random.Random(3)
    inputs = ["line ", "line {", "line []", 'line {"type":"hello', "line " + "[" * 5000, "datagram "]
    for _ in range(1500):
        line = mangled(random_, random_.choice(LINES).encode()).translate(None, b"\n\r\0")
        inputs.append("line " + line.decode("latin-1").encode("ascii", "replace").decode())
        inputs.append("datagram " + mangled(random_, bytes.fromhex(random_.choice(DATAGRAMS)["datagram"])).hex())
    answers = read(inputs)
    assert len(answers) == len(inputs)
    refused = [answer for answer in answers if type(answer) is int or "refused" in answer]
    assert len(refused) > 1000


HELLO = Hello(model="m", model_sha256="", points=("a", "b"), frame_size=None, source="s", server_ns=1)
SEEN = ObservationMessage(
    sequence=1,
    captured_ns=1,
    sent_ns=2,
    state="tracking",
    dropped=0,
    faces=(FaceMessage(id=7, score=1.0, box=(0.0, 0.0, 9.0, 9.0), points=((1.5, 2.5), (3.0, 4.0))),),
)
TOKEN = "0123456789abcdef"
PATIENT = Limits(auth_s=3600)


@needs_cc
def test_the_c_example_reads_a_live_stream(tmp_path):
    out = str(tmp_path / "example")
    source = str(REPOSITORY / "clients/example.c")
    subprocess.run(["cc", *STRICT, "-D_POSIX_C_SOURCE=200112L", "-o", out, source, "-lm"], check=True)
    with LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN) as server:
        server.publish(encode(SEEN))
        command = [out, "127.0.0.1", str(server.port), TOKEN]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "model m, 2 points\n"
            assert process.stdout.readline() == "face 7 at (1.5, 2.5)\n"
            server.close()
            assert process.communicate(timeout=10)[1] == "the connection is lost; connect again\n"


@needs_cc
def test_the_c_client_is_told_at_once_that_a_token_is_wanted(tmp_path):
    out = str(tmp_path / "example")
    source = str(REPOSITORY / "clients/example.c")
    subprocess.run(["cc", *STRICT, "-D_POSIX_C_SOURCE=200112L", "-o", out, source, "-lm"], check=True)
    with LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN, limits=PATIENT) as server:
        done = subprocess.run([out, "127.0.0.1", str(server.port)], capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("refused: this stream asks for its token")


@needs_cc
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler (c++)")
def test_the_header_is_cpp_too(tmp_path):
    source = tmp_path / "a.cpp"
    source.write_text(
        "#define FKP_NO_SOCKETS\n#include \"fkp_edge.h\"\nint main() { return fkp_error(0)[0] != 'n'; }\n"
    )
    command = ["c++", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", f"-I{REPOSITORY / 'clients'}"]
    subprocess.run([*command, "-o", str(tmp_path / "a"), str(source)], check=True)
    subprocess.run([str(tmp_path / "a")], check=True)


JS_READER = """
import {{ connect }} from {module!r};
for await (const message of connect({url!r}, {{ token: {token!r} }})) {{
  console.log(message.type, message.sequence ?? "");
}}
"""


@needs_node
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_javascript_reads_a_live_stream_and_reconnects(tmp_path, kind):
    address = TcpAddress("127.0.0.1", 0) if kind == "tcp" else UnixAddress(str(tmp_path / "s"))
    server = LineServer(address, lambda: HELLO, token=TOKEN)
    server.publish(encode(SEEN))
    code = JS_READER.format(module=str(REPOSITORY / "clients/fkp_edge.mjs"), url=str(server.address), token=TOKEN)
    command = ["node", "--input-type=module", "-e", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["hello \n", "observation 1\n"]
        server.close()
        with LineServer(server.address, lambda: HELLO, token=TOKEN) as again:
            assert process.stdout.readline() == "hello \n"
            again.publish(encode(SEEN))
            assert process.stdout.readline() == "observation 1\n"
        process.kill()


@needs_node
def test_a_nodejs_without_websockets_says_so():
    module = REPOSITORY / "clients/fkp_edge.mjs"
    code = f"""delete globalThis.WebSocket;
    const {{ connect }} = await import("{module}");
    connect("ws://127.0.0.1:1").next().catch((error) => console.log(error.message));"""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert "needs a WebSocket; expected Node.js 22 or later" in done.stdout


@needs_node
def test_the_javascript_client_says_why_it_waits(tmp_path):
    program = tmp_path / "wait.mjs"
    program.write_text(
        f"""import {{ connect }} from {json.dumps(str(REPOSITORY / "clients/fkp_edge.mjs"))};
        const onRetry = (reason, pauseMs) => {{ console.log(JSON.stringify([reason, pauseMs])); process.exit(0); }};
        for await (const _ of connect("unix://{tmp_path}/none", {{ onRetry }})) console.log("a message");"""
    )
    done = subprocess.run(["node", str(program)], capture_output=True, text=True, timeout=30, check=True)
    reason, pause_ms = json.loads(done.stdout)
    assert "ENOENT" in reason
    assert pause_ms == 100


def guarded(kind: str) -> contextlib.AbstractContextManager[LineServer | WebServer]:
    """A server that waits for a token for longer than any test."""
    if kind == "tcp":
        return LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN, limits=PATIENT)
    web = pytest.importorskip("fkp_edge.stream.web", reason="needs fkp-edge[web]", exc_type=ImportError)
    sockets = web.LineSockets(lambda: HELLO)
    return web.WebServer(WebAddress("127.0.0.1", 0), sockets.routes("/"), end=sockets.close, token=TOKEN)


@needs_node
@pytest.mark.parametrize("kind", ["tcp", "ws"])
def test_the_javascript_client_is_told_at_once_that_a_token_is_wanted(kind):
    with guarded(kind) as server:
        done = subprocess.run([*js_example(), str(server.address)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert "this stream asks for its token" in done.stderr


@needs_node
def test_the_javascript_example_reads_a_live_stream():
    with LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN) as server:
        server.publish(encode(SEEN))
        command = [*js_example(), str(server.address), TOKEN]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "model m, 2 points\n"
            assert process.stdout.readline() == "face 7 at (1.5, 2.5)\n"
            process.kill()


def js_example() -> list[str]:
    # Node.js 20 has WebSockets where asked, 22 without
    return ["node", "--experimental-websocket", str(REPOSITORY / "clients/example.mjs")]

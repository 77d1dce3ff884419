from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time

import pytest

from fkp_edge.errors import InputError
from fkp_edge.stream import encode
from fkp_edge.stream.recording.recording import Recorder, free_name, read_recording

HEADER = b'{"type":"recording","version":1,"protocol":1,"started":"2026-01-01T00:00:00Z"}\n'


@pytest.fixture(params=["a.jsonl", "a.jsonl.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.fixture
def lines(hello, line):
    return [encode(hello), *(line(i, faces=i % 3) for i in range(200))]


def write(path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def content(path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_what_is_read_is_what_was_written(path, lines):
    with Recorder(path) as recorder:
        for line in lines:
            recorder.write(line)
    assert [line for line, _ in read_recording(path)] == lines


def test_a_recording_of_nothing_is_removed(path):
    Recorder(path).close()
    assert not path.exists()


def test_the_header_says_what_it_is(path, lines):
    with Recorder(path) as recorder:
        recorder.write(lines[0])
        assert repr(recorder) == f"<Recorder {path} open>"
    assert repr(recorder) == f"<Recorder {path} closed>"
    header = json.loads(content(path).splitlines()[0])
    assert (header["type"], header["version"], header["protocol"]) == ("recording", 1, 1)
    assert abs(time.mktime(time.strptime(header["started"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()) < 86_400


def test_nothing_is_overwritten(path):
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already; name another file, or remove it"):
        Recorder(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "second", "third"),
    [
        ("a.jsonl", "a-2.jsonl", "a-3.jsonl"),
        ("a.b.jsonl.gz", "a.b-2.jsonl.gz", "a.b-3.jsonl.gz"),
        ("a.gz", "a-2.gz", "a-3.gz"),
        ("a", "a-2", "a-3"),
    ],
)
def test_the_next_free_name(tmp_path, name, second, third):
    for expected in (name, second, third):
        free = free_name(tmp_path / name)
        assert free.name == expected
        free.write_text("mine")


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot record to .*none/a: No such file .* expected a file in a folder"):
        Recorder(tmp_path / "none" / "a")


def test_writing_after_closing_does_nothing(path, lines):
    recorder = Recorder(path)
    recorder.write(lines[0])
    recorder.close()
    recorder.close()
    recorder.write(lines[0])
    assert content(path).count(b"\n") == 2


FULL = """
import pathlib, resource, sys
from fkp_edge.errors import StreamError
from fkp_edge.stream.recording.recording import Recorder
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
recorder = Recorder(pathlib.Path(sys.argv[1]))
for i in range(2500):
    recorder.write(sys.argv[2].encode() + b"\\n")
try:
    recorder.close()
except StreamError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # coverage writes its own file at the end
"""


def test_a_full_disk_is_an_error_at_the_end_and_not_before(lines, tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "a"), lines[1].decode().strip()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == f"recording {tmp_path / 'a'} is incomplete: File too large; make room, or record elsewhere\n"
    assert "stops: File too large" in done.stderr


WRITER = """
import itertools, pathlib, sys, time
from fkp_edge.stream.recording.recording import Recorder
recorder = Recorder(pathlib.Path(sys.argv[1]))
lines = sys.stdin.buffer.read().splitlines(keepends=True)
for line in lines:
    recorder.write(line)
    time.sleep(0.002)
print("written", flush=True)
for i in itertools.count():
    recorder.write(lines[-1])
    time.sleep(0.01)
"""


def test_a_killed_process_leaves_what_it_wrote(path, lines):
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"".join(lines))
        process.stdin.close()
        assert process.stdout.readline() == b"written\n"
        time.sleep(2.5)  # more than a flush, of which the compressed file needs one
        process.send_signal(signal.SIGKILL)
    assert [line for line, _ in read_recording(path)][: len(lines)] == lines


@pytest.mark.parametrize("cut", range(1, 400, 23))
def test_a_recording_cut_anywhere_is_readable_up_to_there(path, lines, cut):
    write(path, HEADER + b"".join(lines))
    path.write_bytes(path.read_bytes()[: -cut - (12 if path.suffix == ".gz" else 0)])
    read = [line for line, _ in read_recording(path)]
    assert read == lines[: len(read)]
    assert len(read) > 100


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "holds no observations"),
        (HEADER, "holds no observations"),
        (b"frame,x,y\n1,2,3\n", "does not start as a recording does"),
        (b'{"type":"hello","protocol":1}\n', "does not start as a recording does"),
        (HEADER.replace(b'"version":1', b'"version":2'), "is of version 2 with protocol 1, and this fkp-edge reads 1"),
        (HEADER.replace(b'"protocol":1', b'"protocol":2'), "is of version 1 with protocol 2"),
        (HEADER + b"garbage\n", "line 2 of .* is not understood"),
        (HEADER + b'{"type":"pong","client_ns":1,"server_ns":1}\n', "line 2 of .* is no hello and no observation"),
        (b"x" * 70_000, "is too long; expected at most 65536 bytes"),
    ],
)
def test_what_is_no_recording_is_refused(path, data, text):
    write(path, data)
    with pytest.raises(InputError, match=text):
        list(read_recording(path))


def test_an_observation_before_the_first_hello_is_refused(path, line):
    write(path, HEADER + line(1))
    with pytest.raises(InputError, match=r"line 2 of .* is no hello; expected one before the first observation"):
        list(read_recording(path))


def test_damage_in_the_middle_of_a_compressed_file_is_named(tmp_path, lines):
    path = tmp_path / "a.gz"
    data = bytearray(gzip.compress(HEADER + b"".join(lines)))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.gz is damaged|line \d+ of .*a\.gz"):
        list(read_recording(path))


def test_a_bomb_is_unpacked_a_line_at_a_time(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(InputError, match="is too long; expected at most 65536 bytes"):
        list(read_recording(path))


def test_a_missing_recording_is_named(path):
    with pytest.raises(InputError, match=r"cannot read .*: No such file or directory; expected a recording"):
        list(read_recording(path))


def test_a_recording_ends_whole_at_its_limit(tmp_path, hello, line, caplog):
    path, limit = tmp_path / "a.jsonl", 20_000
    with Recorder(path, limit_bytes=limit) as recorder:
        recorder.write(encode(hello))
        for sequence in range(1000):
            recorder.write(line(sequence))
    assert limit - 2000 < path.stat().st_size <= limit
    sequences = [message.sequence for _, message in list(read_recording(path))[1:]]
    assert sequences == list(range(len(sequences)))
    assert [record.levelname for record in caplog.records] == ["WARNING"]

from __future__ import annotations

import shutil
import subprocess

import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from fkp_edge.errors import StreamError
from fkp_edge.stream import WebAddress, connect
from fkp_edge.stream.server.access import read_tls
from fkp_edge.stream.web.places import Place

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes the certificate, is absent"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=fkp-edge test"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True, timeout=30
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def secure(open_sockets, files):
    return open_sockets(WebAddress("127.0.0.1", 0, secure=True), tls=read_tls(*files))[1]


def test_a_client_that_trusts_the_certificate_reads(secure, files, hello, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    assert str(secure.address).startswith("wss://")
    with connect(str(secure.address)) as client:
        assert next(client) == hello


class FakeTransport:
    def __init__(self, error: Exception | None = None) -> None:
        self.aborted = 0
        self._error = error

    def abort(self) -> None:
        self.aborted += 1
        if self._error:
            raise self._error


def test_a_server_closes_all_beside_a_connection_that_is_lost(secure):
    lost = FakeTransport(AttributeError("'NoneType' object has no attribute '_abort'"))  # Python 3.11.2's does so
    held = FakeTransport()
    for transport in (lost, held):
        place = Place("127.0.0.1", secure._loop)
        place.transport = transport
        secure._places.take(place)
    secure.close()
    assert (lost.aborted, held.aborted) == (1, 1)


def test_a_certificate_that_nobody_vouches_for_is_named(secure):
    with pytest.raises(StreamError, match=r"is not trusted .* name its authority in SSL_CERT_FILE"):
        connect(str(secure.address))


def test_a_client_without_tls_is_no_reader(secure):
    with pytest.raises(StreamError, match=r"cannot connect to ws://127.0.0.1"):
        connect(str(secure.address).replace("wss", "ws"))


def test_files_that_do_not_belong_together_are_refused(files, tmp_path):
    with pytest.raises(StreamError, match=r"cannot use certificate .*; expected two PEM files that belong together"):
        read_tls(files[0], files[0])
    with pytest.raises(StreamError, match=r"cannot use certificate .*none with key .* No such file or directory"):
        read_tls(tmp_path / "none", files[1])


def test_a_certificate_that_is_not_there_is_said_to_be_missing(files, tmp_path):
    with pytest.raises(StreamError, match=r"absent\.pem with key .*key\.pem: No such file"):
        read_tls(tmp_path / "absent.pem", files[1])

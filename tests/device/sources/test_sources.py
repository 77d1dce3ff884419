"""One contract for all sources, then what is particular to each."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.observation import Frame
from fkp_edge.device.sources import (
    DemoSource,
    FakeCamera,
    FakePicamera2,
    FolderSource,
    LoopedSource,
    PicameraSource,
    PipeSource,
    Source,
    UrlSource,
    V4L2Source,
    VideoSource,
    check_source,
    field_of_view,
    open_source,
    reopens,
    resolve_auto,
    resolve_source,
    without_password,
)
from fkp_edge.device.sources.fakes import FakeVideoCapture
from fkp_edge.device.sources.picamera import picamera_available
from fkp_edge.device.sources.v4l2 import lasting_name, list_cameras, pi_camera_nodes
from fkp_edge.errors import InputError, MissingPartError, SourceError

FRAMES = 60


def drawn(index: int, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    picture = np.full((size[1], size[0]), 40, np.uint8)
    cv2.circle(picture, (20 + 2 * index, 60), 15, 200, -1)
    return picture


def play(source: Source) -> int:
    """Reads to the end: the number of frames."""
    count = 0
    while source.read() is not None:
        count += 1
    source.close()
    return count


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "drawn.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (160, 120), isColor=True)
    for index in range(FRAMES):
        writer.write(cv2.cvtColor(drawn(index), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(pictures / f"{index:02}.png"), drawn(index))
    return pictures


def planes(grey: np.ndarray) -> np.ndarray:
    """YUV 4:2:0 of a grey picture."""
    return np.concatenate([grey, np.full((grey.shape[0] // 2, grey.shape[1]), 128, np.uint8)])


def piped(text: str, frames: Sequence[np.ndarray], *, cut: int = 0) -> PipeSource:
    """A pipe into which a thread writes `frames`, all but the last `cut` bytes."""
    reading, writing = os.pipe()
    content = b"".join(frame.tobytes() for frame in frames)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as out:
            out.write(content[: len(content) - cut])

    threading.Thread(target=write, daemon=True).start()
    return PipeSource(text, pipe=os.fdopen(reading, "rb", buffering=0))


@pytest.fixture
def served(video: Path) -> Iterator[str]:
    """URL of a server that has the video."""
    handler = partial(QuietHandler, directory=str(video.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["demo", "video", "folder", "fake", "picamera", "v4l2", "gray", "yuv420", "url"])
def source(request: pytest.FixtureRequest, video: Path, folder: Path, served: str) -> Source:
    frames = (Frame(drawn(i), 1_000_000 * i, i) for i in range(FRAMES))
    makers: dict[str, Callable[[], Source]] = {
        "demo": lambda: DemoSource(pace=False),
        "video": lambda: VideoSource(video, pace=False),
        "folder": lambda: FolderSource(folder, pace=False),
        "fake": lambda: FakeCamera(frames),
        "v4l2": lambda: V4L2Source(0, capture=FakeVideoCapture([drawn(i) for i in range(FRAMES)])),
        "gray": lambda: piped("gray:160x120", [drawn(i) for i in range(FRAMES)]),
        "yuv420": lambda: piped("yuv420:160x120", [planes(drawn(i)) for i in range(FRAMES)]),
        "url": lambda: UrlSource(f"{served}/drawn.avi", pace=False),
        "picamera": lambda: PicameraSource(FakePicamera2([drawn(i) for i in range(FRAMES)]), size=(160, 120)),
    }
    return makers[request.param]()


def test_frames_are_grey_counted_and_in_time(source: Source) -> None:
    frames = [source.read() for _ in range(FRAMES)]
    source.close()
    assert all(f is not None and f.grey.dtype == np.uint8 and f.grey.ndim == 2 for f in frames)
    assert [f.sequence for f in frames] == list(range(FRAMES))
    assert all(a.captured_ns <= b.captured_ns for a, b in pairwise(frames))


def test_a_frame_keeps_its_pixels_after_the_next_is_read(source: Source) -> None:
    first = source.read()
    before = first.grey.copy()
    source.read()
    source.close()
    assert np.array_equal(first.grey, before)


def test_closing_twice_is_fine_and_ends_the_frames(source: Source) -> None:
    source.read()
    source.close()
    source.close()
    assert source.read() is None


def test_video_and_folder_give_all_their_frames(video: Path, folder: Path) -> None:
    for source in (VideoSource(video, pace=False), FolderSource(folder, pace=False)):
        assert play(source) == FRAMES


def test_what_a_decoder_says_of_a_picture_is_not_heard(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    coded = cv2.imencode(".jpg", drawn(0))[1].tobytes()
    (folder / "00.jpg").write_bytes(coded[:-2] + b"\x12" * 300 + coded[-2:])  # libjpeg: extraneous bytes before marker
    source = FolderSource(folder, pace=False)
    assert play(source) == FRAMES + 1
    assert capfd.readouterr().err == ""


def test_no_process_outlives_a_folder_that_is_closed(folder: Path) -> None:
    source = FolderSource(folder, pace=False)
    source.read()
    decoder = source._decoder._worker.pid
    assert Path(f"/proc/{decoder}").exists()
    source.close()
    assert not Path(f"/proc/{decoder}").exists()


def test_a_truncated_video_is_an_error(video: Path) -> None:
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    source = VideoSource(video, pace=False)
    with pytest.raises(SourceError, match=r"drawn.avi ends after \d+ of 60 frames: it is truncated or damaged"):
        play(source)


def test_a_video_without_frames_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(SourceError, match=r"noise.mp4 cannot be read as a video; expected a complete MP4"):
        VideoSource(path)


def test_demo_repeats_to_the_pixel_and_knows_when_the_face_is_gone() -> None:
    demo = DemoSource(pace=False)
    assert np.array_equal(demo.frame(100, 0).grey, DemoSource(pace=False).frame(100, 0).grey)
    assert demo.frame(100, 0).truth.shape == (15, 2)
    assert demo.frame(310, 0).truth is None


def test_cameras_are_opened_again_but_what_has_an_end_is_not(folder: Path) -> None:
    camera = PicameraSource(FakePicamera2([]), size=(160, 120))
    ending = [DemoSource(), DemoSource(pace=False), FolderSource(folder), piped("gray:160x120", [])]
    assert [reopens(source) for source in (camera, *ending)] == [True, False, False, False, False]
    for source in ending:
        source.close()


@pytest.mark.parametrize("stride", [64, 128])  # of a Pi 4 and a Pi 5
def test_picamera_cuts_the_stride_and_releases_its_requests(stride: int) -> None:
    picture = drawn(0, (150, 120))  # rows padded from 150 to 192 or 256
    camera = FakePicamera2([picture.copy(), picture.copy()], stride=stride)
    source = PicameraSource(camera, size=(150, 120))
    frame = source.read()
    assert np.array_equal(frame.grey, picture)
    assert frame.captured_ns == 1_234_567_890
    assert camera.held == 0


@pytest.mark.parametrize(
    ("sensor", "main"), [((3280, 2464), (1640, 1230)), ((4608, 2592), (1728, 1296)), ((1200, 960), None), (None, None)]
)
def test_picamera_reads_a_small_stream_of_the_whole_sensor(
    sensor: tuple[int, int] | None, main: tuple[int, int] | None
) -> None:
    camera = FakePicamera2([drawn(0, (640, 480))], sensor=sensor)
    assert PicameraSource(camera).read().grey.shape == (480, 640)
    streams = camera.camera_configuration()
    assert (streams["lores" if main else "main"]["size"], streams["main"]["size"]) == ((640, 480), main or (640, 480))


@pytest.mark.parametrize(
    ("model", "sensor", "degrees"),
    [
        ("imx219", (3280, 2464), 62.2),
        ("imx219", None, 62.2),
        ("imx708_wide_noir", (4608, 2592), 85.6),  # the sides of a wide sensor are cut off: 3/4 of tan(51)
        ("imx477", (4056, 3040), None),  # takes any lens
        (None, (3280, 2464), None),
    ],
)
def test_picamera_knows_what_its_module_shows(
    model: str | None, sensor: tuple[int, int] | None, degrees: float | None
) -> None:
    source = PicameraSource(FakePicamera2([], sensor=sensor, model=model))
    assert field_of_view(source) == pytest.approx(degrees, abs=0.3)


def test_picamera_flushes_after_a_time_out() -> None:
    camera = FakePicamera2([])
    source = PicameraSource(camera, size=(160, 120))
    with pytest.raises(SourceError, match=r"gave no frame for 2 s after 0; check its ribbon cable"):
        source.read()
    source.close()
    assert camera.calls == ["start", "cancel_all_and_flush", "stop", "close"]


def test_a_busy_picamera_is_closed_and_says_who_to_ask() -> None:
    camera = FakePicamera2([], start_error=RuntimeError("Failed to start camera: Device or resource busy"))
    with pytest.raises(SourceError, match=r"does not start: .*busy; see which program uses it: fuser -v /dev/media"):
        PicameraSource(camera)
    assert camera.calls == ["start", "close"]


class Unplugged(FakePicamera2):
    """A camera whose cable was pulled: it no longer stops."""

    def stop(self) -> None:
        raise RuntimeError("Failed to stop camera: No such device")


def test_a_picamera_that_does_not_stop_is_closed_all_the_same() -> None:
    camera = Unplugged([])
    with pytest.raises(RuntimeError, match="No such device"):
        PicameraSource(camera, size=(160, 120)).close()
    assert camera.calls[-1] == "close"


HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize(
    ("asleep_ns", "stamp_ns"),
    [(0, 4 * HOUR_NS), (HOUR_NS, 4 * HOUR_NS), (HOUR_NS, 5 * HOUR_NS), (10**7, 4 * HOUR_NS + 10**7)],
)
def test_a_frame_has_the_monotonic_time_whichever_clock_libcamera_stamps_it_with(asleep_ns: int, stamp_ns: int) -> None:
    now_ns = 4 * HOUR_NS + 5 * 10**6
    camera = FakePicamera2([drawn(0)], stamp_ns=stamp_ns)
    source = PicameraSource(camera, size=(160, 120), clocks=lambda: (now_ns, now_ns + asleep_ns))
    assert source.read().captured_ns == 4 * HOUR_NS


def test_an_absent_v4l2_camera_names_what_is_there() -> None:
    with pytest.raises(SourceError, match=r"/dev/video98 does not exist; plug the camera in, or name another; "):
        V4L2Source(98)


def test_a_busy_v4l2_camera_says_who_to_ask() -> None:
    with pytest.raises(SourceError, match=r"/dev/video0 cannot be opened: another program holds it \(fuser -v"):
        V4L2Source(0, capture=FakeVideoCapture([], opened=False))


def test_an_unplugged_v4l2_camera_is_an_error_and_is_released_once() -> None:
    capture = FakeVideoCapture([drawn(0)])
    source = V4L2Source(0, capture=capture)
    source.read()
    with pytest.raises(SourceError, match="/dev/video0 gave no picture after 1: it was unplugged or another program"):
        source.read()
    source.close()
    source.close()
    assert capture.released == 1


def test_a_v4l2_camera_is_asked_for_size_and_rate_and_to_keep_one_frame_only() -> None:
    capture = FakeVideoCapture([drawn(0, (320, 180))])
    source = V4L2Source(0, size=(640, 360), rate=15.0, capture=capture)
    assert source.read().grey.shape == (180, 320)  # what it gives, not what it was asked for
    assert capture.asked == {
        cv2.CAP_PROP_FOURCC: fourcc("YUYV"),
        cv2.CAP_PROP_FRAME_WIDTH: 640,
        cv2.CAP_PROP_FRAME_HEIGHT: 360,
        cv2.CAP_PROP_FPS: 15.0,
        cv2.CAP_PROP_BUFFERSIZE: 1,
    }


def fourcc(name: str) -> int:
    return cv2.VideoWriter.fourcc(*name)


def test_a_v4l2_camera_is_asked_for_jpeg_where_raw_pictures_do_not_fit_through_usb_2() -> None:
    capture = FakeVideoCapture([])
    source = V4L2Source(0, size=(1280, 720), rate=30.0, capture=capture)
    assert capture.asked[cv2.CAP_PROP_FOURCC] == fourcc("MJPG")
    assert next(iter(capture.asked)) == cv2.CAP_PROP_FOURCC  # sizes and rates depend on it
    assert source.gives == "1280x720 MJPG at 30 frames/s"


def test_a_v4l2_camera_that_is_slower_with_raw_pictures_is_asked_for_jpeg() -> None:
    capture = FakeVideoCapture([], rates={"YUYV": 15.0, "MJPG": 30.0})
    assert V4L2Source(0, capture=capture).gives == "640x480 MJPG at 30 frames/s"


@pytest.mark.parametrize(
    ("jpeg", "given"), [((640, 480), "640x480 MJPG"), ((320, 240), "320x240 YUYV")], ids=["larger", "no larger"]
)
def test_a_v4l2_camera_whose_raw_pictures_are_too_small_is_asked_for_jpeg(jpeg: tuple[int, int], given: str) -> None:
    capture = FakeVideoCapture([], sizes={"YUYV": (320, 240), "MJPG": jpeg})
    assert V4L2Source(0, capture=capture).gives.startswith(f"{given} at 30 frames/s")


def test_a_v4l2_camera_says_what_it_gives_instead_of_what_was_asked_for() -> None:
    capture = FakeVideoCapture([], rates={"YUYV": 10.0}, size=(1024, 768))
    source = V4L2Source(0, size=(1280, 720), capture=capture)
    assert source.gives == "1024x768 YUYV at 10 frames/s, asked for 1280x720 at 30"


def test_files_that_are_no_devices_are_no_cameras(tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("not a device")
    assert list_cameras(tmp_path) == []
    assert pi_camera_nodes(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gray:640",
            "source 'gray:640' has no size; expected gray:WIDTHxHEIGHT or yuv420:WIDTHxHEIGHT, with :PATH for a named "
            "pipe, such as gray:640x480",
        ),
        (
            "yuv420:641x480",
            "source 'yuv420:641x480': expected sides of 32 to 8192 pixels, even ones for yuv420",
        ),
        (
            "/dev/null",
            "source '/dev/null' is no file but a device or pipe; expected v4l2:0 for a camera, or "
            "gray:WIDTHxHEIGHT:/dev/null for raw frames from a pipe",
        ),
        ("v4l2:x", "source 'v4l2:x' has no device number; expected v4l2:0 for /dev/video0"),
        (
            "nowhere.mp4",
            "source 'nowhere.mp4' does not exist; expected auto, picamera, usb, v4l2:N, demo, a video file, "
            "a folder, a URL such as rtsp://HOST/PATH, or gray:WIDTHxHEIGHT for frames on standard input",
        ),
    ],
)
def test_open_source_refuses(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("picamera", "cameras", "auto"), [(True, [0], "picamera"), (False, [2, 3], "v4l2:2"), (False, [], "demo")]
)
def test_auto_takes_the_pi_camera_then_another_then_the_demo(
    monkeypatch: pytest.MonkeyPatch, picamera: bool, cameras: list[int], auto: str
) -> None:
    monkeypatch.setattr("fkp_edge.device.sources.picamera_available", lambda: picamera)
    monkeypatch.setattr("fkp_edge.device.sources.list_cameras", lambda: cameras)
    monkeypatch.setattr("fkp_edge.device.sources.pi_camera_nodes", list)
    assert resolve_auto() == auto


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("0", "v4l2:0"),
        ("/dev/video12", "v4l2:12"),
        ("v4l2:1", "v4l2:1"),
        ("webcam", "v4l2:2"),
        ("usb", "v4l2:2"),
        ("USB", "v4l2:2"),
        ("picam", "picamera"),
        ("Demo", "demo"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_a_source_is_found_by_the_name_that_people_type(
    monkeypatch: pytest.MonkeyPatch, text: str, source: str
) -> None:
    monkeypatch.setattr("fkp_edge.device.sources.list_cameras", lambda: [2, 3])
    assert resolve_source(text) == source


def test_a_folder_named_as_a_camera_is_that_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "webcam").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_source("webcam") == "webcam"


def test_usb_without_a_camera_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fkp_edge.device.sources.list_cameras", list)
    check_source("usb")  # it may be plugged in later
    with pytest.raises(SourceError, match="source 'usb': there is no USB camera"):
        open_source("usb")


def test_a_misspelt_source_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"source 'picamra' does not exist; .*; did you mean picamera\?"):
        check_source("picamra")


def test_a_pi_camera_without_picamera2_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fkp_edge.device.sources.picamera_available", lambda: False)
    monkeypatch.setattr("fkp_edge.device.sources.list_cameras", list)
    monkeypatch.setattr("fkp_edge.device.sources.pi_camera_nodes", lambda: [Path("/dev/video0")])
    with pytest.raises(SourceError, match=r"a Pi camera is there \(/dev/video0\), but picamera2 cannot be imported"):
        resolve_auto()


def test_open_source_tells_files_folders_and_demo_apart(video: Path, folder: Path) -> None:
    sources = [open_source(str(text), pace=False) for text in (video, folder, "demo")]
    for source in sources:
        source.close()
    assert [type(source) for source in sources] == [VideoSource, FolderSource, DemoSource]


def test_a_camera_that_may_not_be_opened_is_still_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video0").write_text("")

    def forbidden(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("fkp_edge.device.sources.v4l2.os.open", forbidden)  # root may open anything
    assert list_cameras(tmp_path) == [0]


@pytest.mark.parametrize(("text", "shown"), [("", "''"), ("ftp://u:secret@cam/a.mp4", "'ftp://cam/a.mp4'")])
def test_a_source_that_names_nothing_is_refused_without_its_password(text: str, shown: str) -> None:
    with pytest.raises(InputError, match=f"source {shown} does not exist; expected auto"):
        open_source(text)


def test_a_video_whose_name_looks_like_a_protocol_is_read(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert play(open_source(str(video.rename("http:drawn.avi")), pace=False)) == FRAMES


def test_a_pipe_on_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="'gray:64x48' reads standard input, which is closed or a terminal; pipe"):
        open_source("gray:64x48")


def test_a_source_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InputError, match="is not UTF-8; rename the file"):
        open_source("v\udcff.mp4")


@pytest.mark.parametrize(("text", "pack"), [("gray:160x120", lambda grey: grey), ("yuv420:160x120", planes)])
def test_a_pipe_gives_the_grey_plane_and_ends_with_its_writer(text: str, pack: Callable) -> None:
    source = piped(text, [pack(drawn(i)) for i in range(3)])
    assert source.live
    frames = [source.read() for _ in range(4)]
    source.close()
    assert [np.array_equal(f.grey, drawn(i)) for i, f in enumerate(frames[:3])] == [True] * 3
    assert frames[3] is None


def test_a_pipe_that_ends_in_a_frame_says_so() -> None:
    source = piped("gray:160x120", [drawn(0), drawn(1)], cut=1000)
    source.read()
    with pytest.raises(SourceError, match=r"ended after 18200 of the 19200 bytes of frame 1; does its writer give"):
        source.read()
    source.close()


def test_raw_frames_in_a_file_are_a_recording(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(drawn(0).tobytes() * 3)
    source = open_source(f"gray:160x120:{tmp_path / 'raw'}")
    assert not source.live
    assert play(source) == 3


def test_a_url_of_a_file_gives_all_its_frames(served: str) -> None:
    source = open_source(f"{served}/drawn.avi", pace=False)
    assert not source.live
    assert play(source) == FRAMES


def test_a_file_on_a_server_that_ends_too_early_is_an_error(served: str, video: Path) -> None:
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    source = open_source(f"{served}/drawn.avi", pace=False)
    with pytest.raises(
        SourceError, match=r"/drawn.avi ends after \d+ of 60 frames: the connection broke, or the file is"
    ):
        play(source)
    source.close()


def test_a_url_that_does_not_answer_keeps_its_password_to_itself() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("http://user:secret@127.0.0.1:9/stream?key=secret")
    assert str(caught.value).startswith("http://127.0.0.1:9/stream gives no video; expected a camera or file")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@cam:554/a?t=1", "rtsp://cam:554/a"),
        ("rtsp://cam:554/stream@1", "rtsp://cam:554/stream@1"),
        ("http://[::1]:8080/a?key=1", "http://[::1]:8080/a"),
        ("rtsp://u:p/w?o#r@d@cam/a", "rtsp://cam/a"),
        ("rtsp://u:p@[::1", "rtsp://[::1"),
        ("v4l2:0", "v4l2:0"),
        ("clip@home.mp4", "clip@home.mp4"),
    ],
)
def test_what_is_shown_of_a_source(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_a_picamera_that_gives_another_format_is_refused() -> None:
    camera = FakePicamera2([], gives="RGB888")
    with pytest.raises(SourceError, match=r"does not start: it gives RGB888, expected one of YUV420, YVU420, NV12"):
        PicameraSource(camera)
    assert camera.calls == ["close"]


def test_a_picamera_whose_frames_change_their_size_is_an_error_and_loses_no_request() -> None:
    camera = FakePicamera2([drawn(0), drawn(1, (64, 40))])
    source = PicameraSource(camera, size=(160, 120))
    source.read()
    with pytest.raises(SourceError, match=r"gave an array of \(60, 64\) after 1 frames, expected rows for 160x120"):
        source.read()
    assert camera.held == 0


@pytest.mark.skipif(picamera_available(), reason="a Pi camera is here")
def test_the_pi_camera_without_picamera2_says_what_to_install() -> None:
    with pytest.raises((MissingPartError, SourceError), match=r"picamera2|libcamera sees no Pi camera"):
        open_source("picamera")


def test_a_video_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none.mp4 does not exist; expected a video file, a folder of pictures or a"):
        VideoSource(tmp_path / "none.mp4")


def plugged(folder: Path, number: int, *, serial: str | None, port: str) -> None:
    """A camera as udev shows it: a node, a name by port, and one by serial number."""
    node = folder / f"video{number}"
    node.touch()
    for kind, name in (("by-id", serial), ("by-path", port)):
        (folder / f"v4l/{kind}").mkdir(parents=True, exist_ok=True)
        if name:
            link = folder / f"v4l/{kind}/{name}"
            link.unlink(missing_ok=True)
            link.symlink_to(node)


def test_a_camera_is_found_again_under_another_number(tmp_path: Path):
    plugged(tmp_path, 0, serial="usb-maker-1234-video-index0", port="usb-0:1.2")
    name = lasting_name(0, tmp_path)
    (tmp_path / "video0").unlink()
    assert not Path(name).exists()
    plugged(tmp_path, 2, serial="usb-maker-1234-video-index0", port="usb-0:1.3")
    assert Path(name).resolve() == tmp_path / "video2"


def test_of_two_cameras_with_one_name_each_keeps_its_own(tmp_path: Path):
    plugged(tmp_path, 0, serial="usb-maker", port="usb-0:1.2")
    plugged(tmp_path, 1, serial="usb-maker", port="usb-0:1.3")
    assert {Path(lasting_name(number, tmp_path)).resolve().name for number in (0, 1)} == {"video0", "video1"}


def test_a_camera_without_a_lasting_name_has_its_number(tmp_path: Path):
    (tmp_path / "video3").touch()
    assert lasting_name(3, tmp_path) == "v4l2:3"


def test_a_camera_that_is_not_plugged_in_is_named():
    check_source("/dev/v4l/by-id/usb-none")  # it may come later
    with pytest.raises(SourceError, match="usb-none"):
        open_source("/dev/v4l/by-id/usb-none")


def test_a_looped_source_goes_on_while_it_is_wanted_and_never_back(folder: Path) -> None:
    rounds = iter([True, True, False])
    source = LoopedSource(lambda: FolderSource(folder, pace=False), lambda: next(rounds))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    assert [frame.sequence for frame in frames] == list(range(3 * FRAMES))
    assert all(a.captured_ns < b.captured_ns for a, b in pairwise(frames))
    assert np.array_equal(frames[0].grey, frames[FRAMES].grey)
    assert source.read() is None
    source.close()
    assert not reopens(source)


def test_a_looped_source_without_a_frame_ends() -> None:
    source = LoopedSource(lambda: FakeCamera([]), lambda: True)
    assert source.read() is None


def test_the_looped_demo_is_live_and_is_not_taken_for_a_camera() -> None:
    source = LoopedSource(lambda: DemoSource(pace=True), lambda: True)
    assert source.live
    assert not reopens(source)
    source.close()
    assert source.read() is None

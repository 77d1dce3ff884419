"""Who searches docs/troubleshooting.md for an error finds it. `refused` in errors/ looks up real ones."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs/troubleshooting.md").read_text()


def read(generator: ModuleType, source: str) -> list[str]:
    """The error texts of a module with this source."""
    modules = (generator.Module("made", ast.parse(source)),)
    return generator.templates(modules[0], modules)


def test_the_page_has_every_message_of_the_source(error_lists):
    assert error_lists.page(PAGE, error_lists.read_modules()) == PAGE, "run make docs, and look at what it changed"


def test_every_error_of_ours_has_a_text_that_can_be_read(error_lists):
    """Else a message could be made where the generator does not see it."""
    modules = error_lists.read_modules()
    names = error_lists.error_names(modules)
    unread = []
    for module in modules:
        for scope in error_lists.scopes(module, modules):
            calls = [call for call in scope.calls if error_lists.name_of(call.func) in names]
            unread += [ast.unparse(call) for call in calls if not error_lists.texts(call.args[0], scope.known)]
    assert len(names) >= 8
    assert not unread


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise InputError(f'{path} is too long: {size} bytes')", "… is too long: … bytes"),
        ("raise InputError('two ' f'parts of {it}')", "two parts of …"),
        ("LIMIT = 7\nraise InputError(f'expected at most {LIMIT}')", "expected at most 7"),
        ("HINT = 'make run'\ndef f():\n    return InputError(f'absent; try {HINT}')", "absent; try make run"),
        ("def f():\n    text = f'{a} is wrong here'\n    raise InputError(text)", "… is wrong here"),
        ("class OwnError(InputError): ...\nraise OwnError('a message of its own')", "a message of its own"),
        ("return_ = web.Response(status=403, text='pictures are off')", "pictures are off"),
        ("raise argparse.ArgumentTypeError(f'{text!r} is no number')", "… is no number"),
        ("_log.warning('recording %s stops after %.2g s', path, 'no part of it')", "recording … stops after … s"),
        ("LIMIT = 7\nreturn_ = fails(f'over {LIMIT} degrees', 'a fix that it says itself')", "over 7 degrees"),
        ("found = f'{name} is far too slow'\nreturn_ = warns(found, 'do it')", "… is far too slow"),
    ],
)
def test_texts_are_read_from_the_source(error_lists, source: str, message: str):
    source = "class FkpEdgeError(Exception): ...\nclass InputError(FkpEdgeError): ...\n" + source
    assert read(error_lists, source) == [message]


def test_either_of_two_texts_is_listed(error_lists):
    source = "class FkpEdgeError(Exception): ...\nraise FkpEdgeError('it is absent' if a else f'{b} is broken')"
    assert read(error_lists, source) == ["it is absent", "… is broken"]


def test_the_texts_of_a_shell_script_are_read(error_lists):
    script = 'fail() {\n}\n[ -f "$1" ] || fail "$1 is absent"\nfail "$(python3 --version) is too old for $home"\n'
    assert error_lists.shell_templates(script) == ["… is absent", "… is too old for …"]


def test_the_page_has_the_messages_of_the_installer(error_lists):
    assert error_lists.find("install.sh: error: --purge goes with --uninstall", PAGE) == [
        "--purge goes with --uninstall"
    ]


def test_what_was_written_under_a_message_stays_with_it(error_lists):
    before = "<!-- errors: made -->\n- `gone for good`\n- `still the same`\n  Turn it off.\n<!-- end -->"
    source = (
        "class FkpEdgeError(Exception): ...\nraise FkpEdgeError('something new')\nraise FkpEdgeError('still the same')"
    )
    modules = (error_lists.Module("made", ast.parse(source)),)
    after = "<!-- errors: made -->\n- `something new`\n- `still the same`\\\n  Turn it off.\n<!-- end -->"
    assert error_lists.page(before, modules) == after


def test_what_was_written_under_a_message_that_is_gone_is_printed(error_lists, capsys):
    before = "<!-- errors: made -->\n- `gone for good`\n  Turn it off.\n<!-- end -->"
    source = "class FkpEdgeError(Exception): ...\nraise FkpEdgeError('something new')"
    error_lists.page(before, (error_lists.Module("made", ast.parse(source)),))
    assert capsys.readouterr().err == "gone: gone for good\n  Turn it off.\n"


def test_a_module_that_no_list_names_is_an_error(error_lists):
    source = "class FkpEdgeError(Exception): ...\nraise FkpEdgeError('a message')"
    with pytest.raises(SystemExit, match="names 'made'"):
        error_lists.page("", (error_lists.Module("made", ast.parse(source)),))


def test_the_nearest_list_has_a_module(error_lists):
    source = "class FkpEdgeError(Exception): ...\nraise FkpEdgeError('a message')"
    page = "<!-- errors: fkp -->\n<!-- end -->\n<!-- errors: fkp.stream -->\n<!-- end -->"
    made = error_lists.page(page, (error_lists.Module("fkp.stream.web", ast.parse(source)),))
    assert made.endswith("<!-- errors: fkp.stream -->\n- `a message`\n<!-- end -->")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("fkp-edge: error: a does not exist; expected a picture, a video or a folder of pictures", "does not exist"),
        ("nothing listens on tcp://127.0.0.1:1 (Connection refused); start fkp-edge run, or name its --stream address",
         "nothing listens on"),
    ],
)  # fmt: skip
def test_an_error_is_found_by_its_text(error_lists, error: str, message: str):
    assert any(message in found for found in error_lists.find(error, PAGE))


@pytest.mark.parametrize(
    "line",
    [
        "libcamera sees no camera",
        "only 20 MB are free",
        "port 8765 is taken by nginx (812)",
        "recording a.jsonl stops: No space left on device",
        "picamera gave no usable frame for 2 s; it is opened again in 0.25 s",
    ],
)
def test_what_the_doctor_and_the_log_say_is_found(error_lists, line: str):
    assert error_lists.find(line, PAGE)


def test_an_error_of_another_program_is_not_found(error_lists):
    assert error_lists.find("Segmentation fault (core dumped)", PAGE) == []

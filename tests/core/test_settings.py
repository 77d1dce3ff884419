from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fkp_edge.core.settings import MAX_BYTES, Settings, parse_settings, read_toml
from fkp_edge.errors import InputError


class Fit(Settings, frozen=True, kw_only=True):
    epochs: int = 3
    batch: int = 64


class Recipe(Settings, frozen=True, kw_only=True):
    name: str
    rate: float = 0.5
    folders: dict[str, int] = msgspec.field(default_factory=dict)
    fit: Fit = Fit()


@pytest.fixture
def toml(tmp_path: Path):
    """Writes text to a TOML file."""

    def write(text: str) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_reads_values_and_fills_in_defaults(toml):
    read = read_toml(toml('name = "a"\n[fit]\nepochs = 7\n[folders]\n"train/lfpw" = 2\n'), Recipe)
    assert read == Recipe(name="a", rate=0.5, folders={"train/lfpw": 2}, fit=Fit(epochs=7, batch=64))


def test_a_whole_number_is_a_float_too(toml):
    assert read_toml(toml('name = "a"\nrate = 2\n'), Recipe).rate == 2.0


def test_settings_are_frozen(toml):
    read = read_toml(toml('name = "a"\n'), Recipe)
    with pytest.raises(AttributeError, match="immutable type"):
        read.name = "b"


def test_an_unknown_key_names_the_nearest_known_one(toml):
    path = toml('nam = "a"\n')
    with pytest.raises(InputError) as caught:
        read_toml(path, Recipe)
    assert str(caught.value) == f"{path}: unknown key 'nam'; did you mean 'name'? known: name, rate, folders, fit"


def test_an_unknown_key_in_a_table_names_the_table(toml):
    with pytest.raises(InputError, match=r"\[fit\]: unknown key 'epoch'; did you mean 'epochs'\? known: epochs, batch"):
        read_toml(toml('name = "a"\n[fit]\nepoch = 7\n'), Recipe)


def test_an_unknown_key_unlike_any_other_is_refused_too(toml):
    with pytest.raises(InputError, match=r"unknown key 'zzz'; did you mean '\w+'\? known: name"):
        read_toml(toml('name = "a"\nzzz = 1\n'), Recipe)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = 3", r": name = 3 cannot be used; expected a text$"),
        ('name = "a"\nfit = 3', r": fit = 3 cannot be used; expected a table$"),
        ('name = "a"\n[fit]\nepochs = "many"', r': fit\.epochs = "many" cannot be used; expected a whole number$'),
        ('name = "a"\n[folders]\nx = 1.5', r": a value of folders\[\.\.\.\] cannot be used; expected a whole number$"),
        ("rate = 1.0", r": there is no key 'name'; expected one$"),
    ],
    ids=["text", "table", "nested", "folders", "missing"],
)
def test_a_wrong_type_names_the_file_and_the_place(toml, text: str, complaint: str):
    path = toml(text)
    with pytest.raises(InputError, match=complaint) as caught:
        read_toml(path, Recipe)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file(tmp_path: Path):
    path = tmp_path / "none.toml"
    with pytest.raises(InputError) as caught:
        read_toml(path, Recipe)
    assert str(caught.value) == f"cannot read {path}: No such file or directory; expected a TOML file"


def test_a_folder(tmp_path: Path):
    with pytest.raises(InputError, match="Is a directory; expected a TOML file"):
        read_toml(tmp_path, Recipe)


@pytest.mark.parametrize(
    "content", [b"name = ", b"\xff\xfe\x00", b"a = " + b"[" * 100_000], ids=["cut", "bytes", "deep"]
)
def test_what_is_no_toml(tmp_path: Path, content: bytes):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_toml(path, Recipe)
    assert str(caught.value).startswith(f"{path} is not TOML: ")


def test_a_file_that_is_too_large(toml):
    with pytest.raises(InputError, match=f"has over {MAX_BYTES} bytes; expected a TOML file"):
        read_toml(toml("#" * (MAX_BYTES + 1)), Recipe)


def test_the_largest_file_is_read(toml):
    text = 'name = "a"\n#'
    assert read_toml(toml(text + "x" * (MAX_BYTES - len(text))), Recipe) == Recipe(name="a")


def test_parse_settings_names_where_the_values_come_from():
    with pytest.raises(InputError, match=r"^--set: unknown key 'batches'; did you mean 'batch'"):
        parse_settings({"batches": 1}, Fit, "--set")


def test_settings_survive_a_round_trip():
    recipe = Recipe(name="a", folders={"x": 2}, fit=Fit(batch=8))
    assert parse_settings(msgspec.to_builtins(recipe), Recipe, "here") == recipe


@pytest.mark.parametrize("number", ["1" * 5000, "0x" + "f" * 5000, "1e999999"])
def test_numbers_without_end_are_refused(tmp_path: Path, number: str):
    (tmp_path / "a.toml").write_text(f"count = {number}\n")
    with pytest.raises(InputError, match=r"a\.toml"):
        read_toml(tmp_path / "a.toml", Huge)


class Huge(Settings):
    count: int = 0
    names: tuple[str, ...] = ()


def test_a_text_with_a_nul_is_refused(tmp_path: Path):
    (tmp_path / "a.toml").write_text('names = ["a", "b\\u0000c"]\n')
    with pytest.raises(InputError, match=r"'b\\x00c' holds a NUL; expected a text without"):
        read_toml(tmp_path / "a.toml", Huge)

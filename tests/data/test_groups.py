from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.errors import InputError
from fkp_edge.evaluation.groups import held_out, person_named, read_groups

NAMES = ("1_1_2_201701.jpg", "26_0_0_201702.jpg", "99_1_4_201703.jpg")


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    for name in NAMES:
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
    return tmp_path


def test_one_picture_in_five_is_held_out():
    share = np.mean([held_out(f"{number}.jpg", 5) for number in range(2000)])
    assert 0.17 < share < 0.23


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("26_0_2_2017.jpg", ("20 to 39 years", "male", "Asian")),
        ("2_1_4_2017.jpg", ("0 to 2 years", "female", "others")),
        ("61_3_20170109142408075.jpg", ("60 to 116 years", "unknown", "unknown")),
        ("130_1_1_2017.jpg", ("over 116 years", "female", "black")),
        ("portrait.jpg", ("unknown", "unknown", "unknown")),
        ("²_0_0_2017.jpg", ("unknown", "male", "white")),
    ],
)
def test_a_file_name_tells_age_gender_and_race(name, person):
    assert tuple(person_named(name).values()) == person


def test_names_give_the_groups_of_each_picture(chips):
    found = read_groups(chips, "age_gender_race")
    assert [path.name for path in found.paths] == sorted(NAMES)
    assert found.groups["gender"] == ("female", "male", "female")


def test_only_held_out_pictures_are_taken(chips):
    kept = [name for name in NAMES if held_out(name, 2)]
    assert 0 < len(kept) < len(NAMES)
    assert [path.name for path in read_groups(chips, "age_gender_race", one_in=2).paths] == sorted(kept)


def test_a_csv_names_pictures_and_their_groups(chips):
    table = chips / "groups.csv"
    table.write_text(f"glasses,name\nyes,{NAMES[2]}\n,{NAMES[0]}\n")
    found = read_groups(chips, str(table))
    assert [path.name for path in found.paths] == [NAMES[0], NAMES[2]]
    assert found.groups == {"glasses": ("unknown", "yes")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name\nx.jpg\n", "groups.csv has the columns name; expected a column name and one for each attribute"),
        ("glasses,hat\nyes,no\n", "expected a column name and one for each attribute"),
        ("name,hat,hat\nx.jpg,a,b\n", "expected a column name and one for each attribute, each once"),
        ("name,hat\nx.jpg,a\n", "groups.csv row 2 names 'x.jpg', which is not in"),
        ("name,hat\n", "has no rows"),
    ],
)
def test_a_bad_csv_is_refused(chips, text, expected):
    (chips / "groups.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_groups(chips, str(chips / "groups.csv"))
    assert expected in str(caught.value)


def test_groups_that_are_nowhere_are_refused(chips):
    with pytest.raises(InputError, match=r"no groups at age.csv; expected age_gender_race or a CSV"):
        read_groups(chips, "age.csv")


def test_names_that_say_nothing_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"no picture in .* is named AGE_GENDER_RACE_TIME.jpg"):
        read_groups(tmp_path, "age_gender_race")

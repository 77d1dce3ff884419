from __future__ import annotations

from pathlib import Path

import pytest

from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import KnnRecipe, PublishedRecipe
from fkp_edge.train.recipe import Recipe
from fkp_edge.train.registry import read_recipe

FOLDER = Path(__file__).resolve().parents[3] / "train"
PUBLISHED = sorted(FOLDER.glob("published/*.toml"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_published_recipe_reads_and_is_named_as_its_file(path: Path):
    recipe = read_recipe(path)
    assert isinstance(recipe, PublishedRecipe | KnnRecipe)
    assert recipe.name == path.stem
    assert f"fkp-edge train train/published/{path.name} " in path.read_text()


def test_every_published_system_has_a_recipe():
    wanted = "lenet5 vgg16 vgg19 conv_bn_leaky conv_gap conv_small conv_small_dropout residual keypointnet knn"
    assert set(wanted.split()) <= {path.stem for path in PUBLISHED}
    strategies = {read_recipe(path).missing for path in PUBLISHED}
    assert strategies == {"masked", "drop", "ffill", "median", "knn", "specialists"}


@pytest.mark.parametrize(
    "path", sorted({*FOLDER.glob("*.toml")} - {*FOLDER.glob("finder*.toml")}), ids=lambda path: path.stem
)
def test_a_recipe_without_a_kind_is_the_shipped_networks(path: Path):
    assert isinstance(read_recipe(path), Recipe)


def complaint(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    return str(caught.value)


GOOD = 'kind = "published"\nname = "a"\n[network]\nlayers = "lenet5"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('kind = "publish"', "kind = 'publish'; did you mean 'published'? expected one of keypointnet, "),
        ("kind = 3", "kind = 3; did you mean"),
        (GOOD.replace("layers", "layer"), "[network]: unknown key 'layer'; did you mean 'layers'?"),
        (GOOD.replace("lenet5", "lenet"), "[network]: layers = 'lenet'; did you mean 'lenet5'? expected one of lenet5"),
        ('missing = "mask"\n' + GOOD, "missing = 'mask'; did you mean 'masked'?"),
        (GOOD + "[fit]\npatient = 3\n", "[fit]: unknown key 'patient'; did you mean 'patience'?"),
        (GOOD + "[fit]\nrestarts = 0\n", "fit.restarts = 0 cannot be used; expected a whole number >= 1"),
        (GOOD + "[augment]\nflip_share = 1.5\n", "= 1.5 cannot be used; expected a number <= 1.0"),
        (GOOD + "[data]\nval_share = -0.1\n", "= -0.1 cannot be used; expected a number >= 0.0"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, text: str, expected: str):
    path = tmp_path / "r.toml"
    message = complaint(path, text)
    assert message.startswith(str(path))
    assert expected in message

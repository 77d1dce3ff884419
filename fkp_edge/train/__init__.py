"""Training, on a desktop. Importing any of it needs the extra `train`; what is missing is said first of all.

TensorFlow takes seconds to import, so `backend` alone does, and a recipe or a path that is wrong is said before.
"""

from __future__ import annotations

from importlib.util import find_spec

from fkp_edge.errors import MissingPartError

NEEDED = ("tensorflow", "tf_keras", "h5py", "matplotlib", "sklearn", "tqdm")


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # a module that is imported, but as nothing
        return False


if _missing := [name for name in NEEDED if not _is_there(name)]:
    _cause = ModuleNotFoundError(f"No module named {_missing[0]!r}")
    raise MissingPartError(
        f"training needs more than the device part ({_cause}); pip install 'fkp-edge[train]', "
        "or in a clone: pip install -e '.[train]'"
    ) from _cause

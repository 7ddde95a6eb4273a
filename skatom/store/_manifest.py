"""The manifest of a store, and folders that appear complete or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from skatom._runtime.whole_files import (
    new_file,
    remove_leftovers,
    sync_folder,
    unfinished_name,
)
from skatom._validation import listing

FORMAT = "skatom-feature-store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DTYPES = ("float64", "float32")
ENTRIES = {
    "format_version": int,
    "id": str,
    "skatom": str,
    "layout": str,
    "dtype": str,
    "parameter_hash": str,
    "parameters": dict,
    "columns": list,
}
# Folders that a writer has not finished, or was killed over, begin like this.
UNFINISHED = ".unfinished-"


def create(path: Path, manifest: dict, first_commit: Callable) -> bool:
    """Begin a store; False if there is something at the path already."""

    def fill(folder: Path) -> None:
        write_json(folder / MANIFEST, manifest)
        first_commit(folder)
        if path.is_dir():  # an empty one, whose permissions somebody chose
            shutil.copymode(path, folder)

    path = Path(os.path.realpath(path))  # a link to it stays

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_dead(path.parent)
        return publish(path, fill)
    except OSError as error:
        raise OSError(f"A store cannot be made at {path}: {error}.") from error


def read(path: Path) -> dict:
    """Read and check the manifest of a store."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no feature store at {path}: to begin one, give the fitted "
            "featurizer, FeatureStore(path, featurizer)."
        )
    file = path / MANIFEST
    if not file.is_file():
        raise ValueError(f"{path} is no feature store: it holds no {MANIFEST}.")
    manifest = read_json(file, {})
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{path} is no feature store: its {MANIFEST} is another's.")
    _check_types(file, manifest, ENTRIES)
    _check_choices(file, manifest)
    if manifest["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {manifest['format_version']}, written by skatom "
            f"{manifest['skatom']}; this version of skatom reads up to {FORMAT_VERSION}. "
            "Upgrade skatom."
        )
    return manifest


def _check_choices(file: Path, manifest: dict) -> None:
    """Refuse columns, layouts and types of numbers that no store has."""
    is_column = [
        isinstance(column, list)
        and list(map(type, column)) == [str, list, list, list]
        and all(isinstance(text, str) for part in column[1:] for text in part)
        for column in manifest["columns"]
    ]
    known = {
        "columns": all(is_column),
        "layout": manifest["layout"] in ("npy", "lmdb"),
        "dtype": manifest["dtype"] in DTYPES,
    }
    if not all(known.values()):
        raise _forged(file, [name for name, good in known.items() if not good])


def _check_types(file: Path, content: dict, entries: dict[str, type]) -> None:
    """Refuse entries that are missing or of other types than a store writes."""
    wrong = [
        name
        for name, kind in entries.items()
        if type(content.get(name)) is not kind or (kind is int and content[name] < 0)
    ]
    if wrong:
        raise _forged(file, wrong)


def _forged(file: Path, names: list[str]) -> ValueError:
    return ValueError(
        f"{file} is forged or incomplete: its {listing(names)} cannot be those of a "
        "store. Get a new copy of the store, or write it again."
    )


def publish(path: Path, fill: Callable[[Path], None]) -> bool:
    """Make a folder under a name that nobody else has taken, complete or not at all.

    The folder is filled under another name beside its place, then renamed, which fails
    where a folder with something in it is. A kill leaves at most an unfinished folder.

    Parameters
    ----------
    path : pathlib.Path
    fill : callable
        Writes files into the folder it is given.

    Returns
    -------
    done : bool
        False if the name was taken; nothing is left behind then.
    """
    folder = path.with_name(f"{UNFINISHED}{unfinished_name()}")
    folder.mkdir()
    try:
        fill(folder)
        sync_folder(folder)
        return move(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # not there any more if it was moved


def move(folder: Path, path: Path) -> bool:
    """Rename a folder, or give False if there is something under the new name."""
    try:
        os.rename(folder, path)
    except OSError:
        if path.exists():
            return False
        raise
    sync_folder(path.parent)
    return True


def as_json(content: dict) -> bytes:
    """Give JSON that carries its own checksum."""
    sealed = {**content, "checksum": checksum_of(content)}
    return json.dumps(sealed, indent=1, ensure_ascii=False).encode()


def write_json(path: Path, content: dict) -> None:
    """Write JSON that carries its own checksum."""
    with new_file(path) as stream:
        stream.write(as_json(content))


def remove_dead(folder: Path) -> None:
    """Remove what writers of this machine left behind that are not alive any more."""
    remove_leftovers(folder, UNFINISHED)


def remove_unfinished(folder: Path) -> None:
    """Remove all that is unfinished, of writers on other machines too."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)


def read_json(path: Path, entries: dict[str, type]) -> dict:
    """Read what `as_json` gave, refused where a bit was altered or an entry is wrong."""
    data = path.read_bytes()
    try:
        content = json.loads(data)
        content.pop("checksum")
        sound = as_json(content) == data
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(
            f"{path} is damaged (its checksum does not match): get a new copy of the "
            "store, or write it again."
        )
    _check_types(path, content, entries)
    return content


def checksum_of(content: dict) -> str:
    """Hash the content of a JSON file, whatever the order of its entries."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()

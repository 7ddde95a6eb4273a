"""The manifest of a store, and folders that appear complete or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from skatom._runtime.whole_files import new_file, sync_folder

FORMAT = "skatom-feature-store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
# Folders that a writer has not finished, or was killed over, begin like this.
UNFINISHED = ".unfinished-"


def create(path: Path, manifest: dict) -> bool:
    """Begin a store; False if there is something at the path already."""

    def fill(folder: Path) -> None:
        write_json(folder / MANIFEST, manifest)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
    manifest = read_json(file)
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{path} is no feature store: its {MANIFEST} is another's.")
    if manifest["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {manifest['format_version']}, written by skatom "
            f"{manifest['skatom']}; this version of skatom reads up to {FORMAT_VERSION}. "
            "Upgrade skatom."
        )
    return manifest


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
    folder = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
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


def write_json(path: Path, content: dict) -> None:
    """Write JSON that carries its own checksum."""
    text = json.dumps(
        {**content, "checksum": _checksum(content)}, indent=1, ensure_ascii=False
    )
    with new_file(path) as stream:
        stream.write(text.encode())


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left behind."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)


def read_json(path: Path) -> dict:
    """Read what `write_json` wrote, refused where it was altered."""
    try:
        content = json.loads(path.read_bytes())
        checksum = content.pop("checksum", None)
        sound = checksum == _checksum(content)
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(
            f"{path} is damaged (its checksum does not match): get a new copy of the "
            "store, or write it again."
        )
    return content


def _checksum(content: dict) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()

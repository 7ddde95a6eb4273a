"""The archive of a model file: written in one stroke, distrusted when read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from skatom._validation import listing
from skatom.persistence._members import check_members

FORMAT = "skatom-estimator"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ESTIMATOR = "estimator.skops"
# A manifest is a page of text.
_MANIFEST_LIMIT = 1_000_000
# What zipfile raises for archives with bits flipped in their headers.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError)


def pack(manifest: dict, body: bytes) -> bytes:
    """Put manifest and estimator into an archive in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        archive.writestr(MANIFEST, text)
        archive.writestr(ESTIMATOR, body)  # compressed already
    return buffer.getvalue()


def unpack(path: Path) -> tuple[dict, bytes]:
    """Read manifest and body after every check that needs no building."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no model file {path}.") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if _begins_as_ours(data) and MANIFEST not in archive.namelist():
                # cut off inside the estimator, which is an archive itself
                raise zipfile.BadZipFile("the end of the archive is missing")
            _check_members(path, archive)
            manifest = _parse_manifest(path, archive.read(MANIFEST))
            body = archive.read(ESTIMATOR)
    except _ZIP_ERRORS as error:
        raise ValueError(_not_ours(path, data, error)) from None
    expected = manifest["members"][ESTIMATOR].get("sha256")
    if hashlib.sha256(body).hexdigest() != expected:
        raise ValueError(
            f"{path} was altered: the checksum of {ESTIMATOR} is not the one in its "
            "manifest. Get a new copy."
        )
    try:
        check_members(body)
    except (*_ZIP_ERRORS, ValueError) as error:
        raise ValueError(
            f"The estimator in {path} is damaged or forged, so nothing was built "
            f"({error}). Get a new copy."
        ) from None
    return manifest, body


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse archives with other members than ours, or with blown-up ones."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    unexpected = [name for name in names if name not in (MANIFEST, ESTIMATOR)]
    if unexpected or len(names) != len(set(names)):
        raise ValueError(
            f"{path} holds {listing(map(repr, unexpected or names))}; a skatom model "
            f"file holds {MANIFEST} and {ESTIMATOR} only, so it is refused."
        )
    missing = {MANIFEST, ESTIMATOR} - set(names)
    if missing:
        raise ValueError(
            f"{path} is a zip archive without {listing(sorted(missing))}: it is not a "
            "skatom model file."
        )
    for info in infos:
        stored = info.compress_type == zipfile.ZIP_STORED
        if not stored or (
            info.filename == MANIFEST and info.file_size > _MANIFEST_LIMIT
        ):
            raise ValueError(
                f"Member {info.filename} of {path} is not stored the way skatom stores "
                "it: the file was repacked. Get the original."
            )


def _begins_as_ours(data: bytes) -> bool:
    name = MANIFEST.encode()
    return data[30 : 30 + len(name)] == name  # after the fixed part of a zip header


def _parse_manifest(path: Path, text: bytes) -> dict:
    try:
        manifest = json.loads(text)
        format_version = manifest["format_version"]
        is_ours = (
            manifest["format"] == FORMAT
            and type(format_version) is int
            and isinstance(manifest["versions"], dict)
            and isinstance(manifest["members"][ESTIMATOR], dict)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"The manifest of {path} is not that of a skatom model file.")
    if format_version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {format_version}, written by skatom "
            f"{manifest['versions'].get('skatom')}; this version of skatom reads "
            f"up to {FORMAT_VERSION}. Upgrade skatom."
        )
    return manifest


def _not_ours(path: Path, data: bytes, error: Exception) -> str:
    if data[:2] == b"PK":
        return f"{path} is truncated or damaged ({error}): get a new copy."
    if data[:1] == b"\x80":  # what a pickle begins with since protocol 2
        return (
            f"{path} is a pickle, not a skatom model file. Loading a pickle runs code "
            "that is inside it; if it is your own, load it with joblib and write it with "
            "skatom.persistence.save."
        )
    return f"{path} is not a skatom model file (no zip archive)."

"""Model files that were changed on purpose, with every checksum made right again."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

MANIFEST, ESTIMATOR, SCHEMA = "manifest.json", "estimator.skops", "schema.json"


def members_of(path: Path) -> dict[str, bytes]:
    """Read what skops has written: the schema and the arrays."""
    with zipfile.ZipFile(path) as archive:
        body = archive.read(ESTIMATOR)
    with zipfile.ZipFile(io.BytesIO(body)) as inner:
        return {name: inner.read(name) for name in inner.namelist()}


def write_forged(path: Path, members: dict[str, bytes]) -> None:
    """Put other members into a model file, as skatom would have written them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as inner:
        for name, content in members.items():
            inner.writestr(name, content)
    write_body(path, buffer.getvalue())


def write_body(path: Path, body: bytes) -> None:
    """Put another estimator into a model file, with its checksum in the manifest."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    manifest["members"][ESTIMATOR] = {
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.writestr(ESTIMATOR, body)


def forge(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Let a function change the members of a model file in place."""
    members = members_of(path)
    change(members)
    write_forged(path, members)


def forge_schema(path: Path, change: Callable[[dict], None]) -> None:
    """Let a function change the tree of objects of a model file in place."""

    def changed(members):
        schema = json.loads(members[SCHEMA])
        change(schema)
        members[SCHEMA] = json.dumps(schema).encode()

    forge(path, changed)

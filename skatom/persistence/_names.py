"""Names of classes in model files: those of imports, not of the files that define them."""

from __future__ import annotations

import io
import json
import zipfile

from skatom.persistence._members import SCHEMA, method_of
from skatom.persistence._trusted import PUBLIC


def with_public_names(body: bytes) -> bytes:
    """Name the public classes in an archive of skops by where they are imported from.

    skops itself names a class by the module that defines it.
    """
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(body)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            content = old.read(member)
            if member.filename == SCHEMA:
                schema = json.loads(content)
                _rename(schema)
                content = json.dumps(schema).encode()
            new.writestr(member, content, method_of(member))
    return buffer.getvalue()


def _rename(node) -> None:
    if isinstance(node, dict):
        name = node.get("__module__"), node.get("__class__")
        if all(isinstance(part, str) for part in name) and name in PUBLIC:
            node["__module__"] = PUBLIC[name]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            _rename(one)

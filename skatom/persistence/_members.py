"""Bounds on what the archive of an estimator unpacks to, checked before it is unpacked."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np

SCHEMA = "schema.json"  # of skops: the tree of objects
# A member may unpack to so many times what it takes in the file, and a little more; save()
# stores as they are those that come near.
LARGEST_RATIO, ALWAYS_BYTES = 100, 4096
# Nodes that references may repeat: so many times those that are in the file.
LARGEST_REPETITION = 100
# Of an array file; numpy writes 118 bytes for most.
HEADER_BYTES = 4096


def method_of(member: zipfile.ZipInfo) -> int:
    """Choose between storing and compressing, so that `check_members` lets it pass."""
    near = member.file_size > ALWAYS_BYTES + LARGEST_RATIO // 2 * member.compress_size
    return zipfile.ZIP_STORED if near else zipfile.ZIP_DEFLATED


def check_members(body: bytes) -> None:
    """Refuse members that unpack to more than their size allows.

    Parameters
    ----------
    body : bytes
        An archive of skops.

    Raises
    ------
    ValueError
        With a sentence; zipfile raises errors of its own.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = archive.infolist()
        if sum(member.compress_size for member in members) > len(body):
            raise ValueError("its members overlap")
        for member in members:
            _check_member(archive, member)
        if SCHEMA not in archive.namelist():
            raise ValueError(f"it has no {SCHEMA}")
        _check_schema(archive.read(SCHEMA))


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check the size of a member, and of the array or archive that it holds."""
    if member.file_size > ALWAYS_BYTES + LARGEST_RATIO * member.compress_size:
        raise ValueError(
            f"{member.filename!r} would unpack to {member.file_size} bytes from "
            f"{member.compress_size}, more than {LARGEST_RATIO} times as much"
        )
    if member.filename.endswith(".npy"):
        with archive.open(member) as stream:
            _check_array(stream.read(HEADER_BYTES), member)
    elif member.filename.endswith(".npz"):  # a sparse matrix
        with zipfile.ZipFile(io.BytesIO(archive.read(member))) as inner:
            for one in inner.infolist():
                _check_member(inner, one)


def _check_array(start: bytes, member: zipfile.ZipInfo) -> None:
    """Compare what the header of an array announces with the size of the member."""
    stream = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(stream)
    except Exception:  # the header is a Python literal, and may be anything
        raise ValueError(f"{member.filename!r} does not begin as an array") from None
    n_bytes = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
    if dtype.hasobject or min(shape, default=0) < 0 or (
        stream.tell() + n_bytes != member.file_size
    ):  # fmt: skip
        raise ValueError(
            f"{member.filename!r} is announced as an array of {dtype} with shape "
            f"{shape}, which is not what it holds"
        )


def _check_schema(text: bytes) -> None:
    """Refuse trees too deep to walk, and references that would unfold without end."""
    try:
        counts: dict = {}
        schema = json.loads(text, parse_constant=_refuse_constant)
        n_unfolded = _count(schema, counts)
        n_written = text.count(b"{")
    except RecursionError:
        raise ValueError("its objects are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"its {SCHEMA} is no JSON that skops writes") from error
    if n_unfolded > LARGEST_REPETITION * (100 + n_written):
        raise ValueError("its objects refer to each other too often")


def _refuse_constant(name: str):
    raise ValueError(name)


def _count(node, counts: dict) -> int:
    """Count nodes, those behind references as often as these occur."""
    if isinstance(node, list):
        return sum(_count(one, counts) for one in node)
    if not isinstance(node, dict):
        return 0
    key = node.get("__id__")
    if not isinstance(key, int | str):
        return 1 + sum(_count(one, counts) for one in node.values())
    if key not in counts:
        counts[key] = 1  # for what refers to itself
        counts[key] += sum(_count(one, counts) for one in node.values())
    return counts[key]

"""Trees of numbers and tensors as safetensors bytes, which run no code when read."""

from __future__ import annotations

import json

import numpy as np
import torch
from safetensors.numpy import load, save

TREE = "tree"  # the tensor that holds the JSON text


def to_bytes(tree) -> bytes:
    """Write nested dicts, lists, tuples, numbers, text, arrays and tensors.

    Parameters
    ----------
    tree : object
        Tensors come back on the CPU, arrays as arrays, dicts with their keys.
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_plain(tree, arrays))
    arrays[TREE] = np.frombuffer(text.encode(), dtype=np.uint8)
    return save(arrays)


def from_bytes(data: bytes):
    """Read what `to_bytes` wrote."""
    arrays = load(data)
    return _tree(json.loads(arrays.pop(TREE).tobytes()), arrays)


def _plain(node, arrays: dict[str, np.ndarray]):
    """Replace what JSON does not know by small dicts that name it."""
    if isinstance(node, np.ndarray | torch.Tensor):
        name = f"t{len(arrays)}"
        if isinstance(node, torch.Tensor):
            arrays[name] = np.array(node.detach().cpu().numpy(), order="C")
            return {"tensor": name}
        arrays[name] = np.array(node, order="C")
        return {"array": name}
    if isinstance(node, dict):
        return {"dict": [[key, _plain(value, arrays)] for key, value in node.items()]}
    if isinstance(node, tuple):
        return {"tuple": [_plain(value, arrays) for value in node]}
    if isinstance(node, list):
        return [_plain(value, arrays) for value in node]
    if isinstance(node, np.generic):
        return node.item()
    return node


def _tree(node, arrays: dict[str, np.ndarray]):
    if isinstance(node, list):
        return [_tree(value, arrays) for value in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        return torch.from_numpy(arrays[value].copy())
    if kind == "array":
        return arrays[value]
    if kind == "tuple":
        return tuple(_tree(item, arrays) for item in value)
    return {key: _tree(item, arrays) for key, item in value}

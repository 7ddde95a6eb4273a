"""The command `skatom info`: describe the installation, or a model file."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import skatom
from skatom.cli._rows import print_rows

# Packages and the extra that installs each; none for what is always needed.
PACKAGES = {
    "numpy": "",
    "scipy": "",
    "scikit-learn": "",
    "ase": "",
    "numba": "",
    "torch": "torch",
    "skorch": "torch",
    "matplotlib": "viz",
    "mapie": "mapie",
    "dscribe": "dscribe",
    "skops": "share",
    "lmdb": "lmdb",
}


def add(commands) -> None:
    """Add the command to the parser."""
    info = commands.add_parser(
        "info", help="describe the installation, or a model file"
    )
    info.add_argument("file", nargs="?", type=Path, help="a file written by save")
    info.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    if arguments.file is not None:
        _describe_model(arguments.file)
        return
    rows = {
        "skatom": skatom.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "processors": str(os.cpu_count()),
    }
    for package, extra in PACKAGES.items():
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            wanted = f'"skatom[{extra}]"' if extra else package
            rows[package] = f"missing: pip install {wanted}"
    print_rows(rows)


def _describe_model(path: Path) -> None:
    from skatom.persistence import read_manifest

    manifest = read_manifest(path)
    size = sum(member["size"] for member in manifest["members"].values())
    rows = {
        "file": f"{path} ({size / 1e6:.2f} MB), format {manifest['format_version']}",
        "estimator": manifest["estimator"],
        "holds": ", ".join(manifest["steps"][1:]),
        "species": " ".join(manifest["species"] or []),
        "units": ", ".join(f"{k} {v}" for k, v in manifest["units"].items()),
        "created": manifest["created"],
        "versions": ", ".join(f"{k} {v}" for k, v in manifest["versions"].items() if v),
        "to be trusted": ", ".join(manifest["other_classes"]),
        "load": f'skatom.persistence.load("{path}")',
    }
    print_rows({key: value for key, value in rows.items() if value})

"""The command `skatom`: demo, reports, data sets, compilation, and what is installed."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import skatom

_PACKAGES = {
    "numpy": "",
    "scipy": "",
    "scikit-learn": "",
    "ase": "",
    "numba": "",
    "vesin": "",
    "torch": "torch",
    "skorch": "torch",
    "matplotlib": "viz",
    "mapie": "mapie",
    "dscribe": "dscribe",
    "skops": "share",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    status : int
        0, or 1 after an error that was printed as a sentence.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # a pager was closed: nobody reads the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError, ValueError) as error:
        print(f"skatom: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # a demo takes a minute
        print("skatom: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skatom",
        description="Machine learning on atoms, done the scikit-learn way.",
    )
    parser.add_argument("--version", action="version", version=skatom.__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="fit a potential on shipped data, judge it and run dynamics with it",
        description=(
            "Fit a potential with error bars for malonaldehyde, compare it with "
            "reference data that it was not trained on, and run dynamics with it. "
            "Needs no network and about a minute."
        ),
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("skatom-demo"),
        metavar="DIR",
        help="folder for figure, model, run and numbers (default: %(default)s)",
    )
    demo.add_argument(
        "--quick", action="store_true", help="fewer structures and a shorter run"
    )
    demo.set_defaults(run=_demo)

    datasets = commands.add_parser(
        "datasets", help="list the data sets that come with the package"
    )
    datasets.add_argument(
        "name",
        nargs="?",
        help="describe one, or the record at a path that ends in .toml",
    )
    datasets.set_defaults(run=_datasets)

    _add_report(commands)
    _add_compile(commands)

    info = commands.add_parser(
        "info", help="describe the installation, or a model file"
    )
    info.add_argument("file", nargs="?", type=Path, help="a file written by save")
    info.set_defaults(run=_info)
    return parser


def _add_compile(commands) -> None:
    ahead = commands.add_parser(
        "compile",
        help="compile all kernels now rather than at their first use",
        description=(
            "Compile what is not on disk yet for this processor. Kernels are otherwise "
            "compiled where they are used first, a few seconds for each featurizer."
        ),
    )
    ahead.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="number of processes (default: %(default)s)",
    )
    ahead.set_defaults(run=_compile)


def _add_report(commands) -> None:
    report = commands.add_parser(
        "report",
        help="judge the error bars of a model file on test structures",
        description=(
            "Predict structures that the model has not seen, and write what its "
            "intervals are worth: coverage, widths, groups, figures."
        ),
    )
    report.add_argument("file", type=Path, help="a model file written by save")
    report.add_argument(
        "frames", type=Path, help="test structures with energies, any format of ASE"
    )
    report.add_argument(
        "--out",
        type=Path,
        default=Path("skatom-report"),
        metavar="DIR",
        help="folder for report.html, report.md, report.json (default: %(default)s)",
    )
    report.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="KEY",
        help="look at groups by this entry of info, too; may be given several times",
    )
    report.set_defaults(run=_report)


def _demo(arguments: argparse.Namespace) -> None:
    from skatom.cli._demo_job import run_demo

    def say(text: str) -> None:
        print(text, flush=True)

    run_demo(arguments.out, quick=arguments.quick, say=say)


def _compile(arguments: argparse.Namespace) -> None:
    from skatom.cli._compile import precompile

    if arguments.jobs < 1:
        raise ValueError(f"--jobs {arguments.jobs}: at least one process is needed.")
    start = time.perf_counter()
    for name, seconds in precompile(arguments.jobs):
        print(f"{name:20} {seconds:6.1f} s", flush=True)
    print(f"{'all':20} {time.perf_counter() - start:6.1f} s by the clock")


def _report(arguments: argparse.Namespace) -> None:
    from ase.io import read

    from skatom.persistence import load
    from skatom.report import UncertaintyReport

    frames = read(arguments.frames, ":")
    groups = {}
    for key in arguments.group:
        groups[key] = [atoms.info.get(key, "none") for atoms in frames]
    report = UncertaintyReport.from_estimator(
        load(arguments.file),
        frames,
        groups=groups,
        split=f"all {len(frames)} structures of {arguments.frames.name}",
    )
    print(report.to_markdown())
    for path in report.save(arguments.out):
        print(f"written: {path}")


def _datasets(arguments: argparse.Namespace) -> None:
    from skatom.datasets import dataset_record, list_datasets

    if arguments.name is not None:
        _describe(arguments.name)
        return
    for name in list_datasets():
        record = dataset_record(name)
        sizes = ", ".join(f"{s} {f.n_structures}" for s, f in record.splits.items())
        print(f"{name:15} {record.title}")
        print(f"{'':15} {sizes}; {record.theory}; {record.licence}")
    print("\nAll about one: skatom datasets NAME")


def _describe(name: str) -> None:
    from skatom.datasets import dataset_record

    record = dataset_record(name)
    rows = {
        "name": record.name,
        "title": record.title,
        "what": record.description,
        "splits": ", ".join(
            f"{split}: {part.n_structures} structures"
            for split, part in record.splits.items()
        ),
        "theory": record.theory,
        "units": ", ".join(f"{label} {unit}" for label, unit in record.units.items()),
        "isolated atoms": ", ".join(
            f"{symbol} {energy:.4f} eV"
            for symbol, energy in record.isolated_atoms.items()
        ),
        "cite": record.citation + (f", doi:{record.doi}" if record.doi else ""),
        "licence": record.licence,
        "source": f"{record.source} {record.commit[:12]}".strip(),
        "changes": record.changes,
        "load": f'skatom.datasets.load_dataset("{name}")',
    }
    _print_rows({key: value for key, value in rows.items() if value})


def _info(arguments: argparse.Namespace) -> None:
    if arguments.file is not None:
        _describe_model(arguments.file)
        return
    rows = {
        "skatom": skatom.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "processors": str(os.cpu_count()),
    }
    for package, extra in _PACKAGES.items():
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            rows[package] = f'missing: pip install "skatom[{extra}]"'
    _print_rows(rows)


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
    _print_rows({key: value for key, value in rows.items() if value})


def _print_rows(rows: dict[str, str]) -> None:
    """Print names and wrapped values in two columns."""
    margin = max(map(len, rows)) + 2
    for name, value in rows.items():
        print(
            textwrap.fill(
                value,
                88,
                initial_indent=f"{name:{margin}}",
                subsequent_indent=" " * margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

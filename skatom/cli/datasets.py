"""The command `skatom datasets`: list data sets, or describe one."""

from __future__ import annotations

import argparse

from skatom.cli._rows import print_rows


def add(commands) -> None:
    """Add the command to the parser."""
    datasets = commands.add_parser(
        "datasets", help="list the data sets that come with the package"
    )
    datasets.add_argument(
        "name",
        nargs="?",
        help="describe one, or the record at a path that ends in .toml",
    )
    datasets.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
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
    print_rows({key: value for key, value in rows.items() if value})

"""Sphinx configuration; built by `bash .ci/run docs`."""

import os
import warnings
from importlib.metadata import version as _version

from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - for gallery

project = "skatom"
author = "The skatom developers"
copyright = "2026, the skatom developers"
release = version = _version("skatom")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "gallery/*.md5",
    "sg_execution_times.rst",
    "gallery/README.rst",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
templates_path = ["_templates"]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Without a network the inventories cannot be fetched; -W then still means something.
_inventories = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "ase": ("https://wiki.fysik.dtu.dk/ase", None),
}
intersphinx_mapping = _inventories if os.environ.get("SKATOM_ONLINE") else {}
nitpick_ignore_regex = [
    (r"py:.*", r"(?!skatom\.).*"),
    (r"py:.*", r"skatom\.(.*\.)?_.*"),
]
suppress_warnings = [
    "config.cache",
    "ref.ref",
    "ref.term",
    "myst.xref_missing",
]  # labels of scikit-learn's docs

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "backreferences_dir": None,
}
warnings.filterwarnings("ignore", message=".*non-interactive.*")

html_theme = "pydata_sphinx_theme"
html_title = "skatom"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

# The reference is written anew from __all__ at every build, so that it is never stale.
_AREAS = {
    "skatom.structures": "Structures",
    "skatom.featurizers": "Featurizers",
    "skatom.preprocessing": "Preprocessing",
    "skatom.models": "Models",
    "skatom.store": "Features on disk",
    "skatom.bases": "Bases: physics beneath a model",
    "skatom.potential": "Potentials: forces and stress",
    "skatom.uncertainty": "Uncertainty",
    "skatom.model_selection": "Splitters",
    "skatom.calculator": "Calculator",
    "skatom.dynamics": "Dynamics",
    "skatom.report": "Reports",
    "skatom.metrics": "Metrics",
    "skatom.datasets": "Data sets",
    "skatom.plotting": "Plotting",
    "skatom.inspection": "Inspection",
    "skatom.labels": "Labels",
    "skatom.persistence": "Model files",
    "skatom.testing": "Checks for classes of your own",
    "skatom.features": "Features of atoms",
    "skatom.neighbors": "Neighbour pairs",
    "skatom.base": "Contracts",
}


def _write_reference():
    from importlib import import_module
    from pathlib import Path

    lines = ["# Reference", ""]
    for module, title in _AREAS.items():
        loaded = import_module(module)
        names = [n for n in loaded.__all__ if callable(getattr(loaded, n))]
        lines += [f"## {title}", "", f"From `{module}`:", "", "```{eval-rst}"]
        lines += [
            f".. currentmodule:: {module}",
            "",
            ".. autosummary::",
            "   :toctree: generated",
            "",
        ]
        lines += [f"   {name}" for name in names] + ["```", ""]
    target = Path(__file__).parent / "reference" / "index.md"
    target.parent.mkdir(exist_ok=True)
    text = "\n".join(lines)
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


_write_reference()

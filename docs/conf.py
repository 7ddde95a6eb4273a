"""Sphinx configuration; built by `bash .ci/run docs`."""

import os
import warnings
from importlib.metadata import version as _version

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
exclude_patterns = ["_build", "gallery/*.md5", "sg_execution_times.rst", "gallery/README.rst"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
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
    (r"py:.*", r"skatom\..*\._.*"),
]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "backreferences_dir": None,
}
suppress_warnings = ["config.cache"]
warnings.filterwarnings("ignore", message=".*non-interactive.*")

html_theme = "pydata_sphinx_theme"
html_title = "skatom"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

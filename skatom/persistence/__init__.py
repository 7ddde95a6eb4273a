"""Save fitted estimators to one file, and load them without running what is inside.

The file is a zip archive of two members: ``manifest.json`` (format, versions, species,
units and checksums, readable with any tool) and ``estimator.skops`` (parameters and arrays
in the format of skops, which holds no code). Only estimators of skatom and scikit-learn are
built from it, unless the caller names more. A file appears under its name complete or not
at all.
"""

from skatom.persistence._save_load import load, read_manifest, save
from skatom.persistence._trusted import TRUSTED

__all__ = ["TRUSTED", "load", "read_manifest", "save"]

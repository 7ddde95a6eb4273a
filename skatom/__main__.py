"""Run the command line: ``python -m skatom``."""

import sys

from skatom.cli import main

sys.exit(main())

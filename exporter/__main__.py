"""Run the command line: python -m exporter, the same as python -m exporter.cli."""

import sys

from exporter.cli import main

sys.exit(main())

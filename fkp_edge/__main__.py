"""`python -m fkp_edge`."""

import sys

from fkp_edge.cli import main

sys.exit(main())

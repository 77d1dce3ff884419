"""`python -m fkp_edge`."""

import sys

from fkp_edge.cli.main import main

sys.exit(main())

"""`python -m exptrack_client` is `exptrack`, where scripts are not on the path."""

import sys

from exptrack_client.cli import main

sys.exit(main())

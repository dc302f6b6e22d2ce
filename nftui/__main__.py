"""`python -m nftui`."""

import sys

from nftui.cli import main

sys.exit(main())

"""``python -m celadon.monkey``: patch, then run a program."""

import sys

from celadon.monkey import main

if __name__ == "__main__":
    sys.exit(main())

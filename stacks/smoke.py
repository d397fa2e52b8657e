"""`python -m stacks.smoke`: whether a deployed stack works (`operating.smoke`)."""

import sys

from operating.smoke import main

if __name__ == "__main__":
    sys.exit(main())

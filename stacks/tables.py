"""`python -m stacks.tables`: whose the refined tables in the catalog are (`operating.tables`)."""

import sys

from operating.tables import main

if __name__ == "__main__":
    sys.exit(main())

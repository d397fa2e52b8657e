"""`python -m stacks.teardown`: empty a stack, before `cdk destroy` (`operating.teardown`)."""

import sys

from operating.teardown import main

if __name__ == "__main__":
    sys.exit(main())

"""The script of the refine job: it runs the package `refinement`, which Glue puts beside it.

The job's argument `--extra-py-files` names the ZIP with the package.
"""

import sys

from refinement.run import main

if __name__ == "__main__":
    main(sys.argv[1:])

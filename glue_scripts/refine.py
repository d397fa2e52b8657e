"""The script of the refine job: it runs the package `refinement`, which Glue puts beside it.

The job's argument `--extra-py-files` names the ZIP with the package.
"""

import gc
import sys
from importlib.abc import MetaPathFinder


class _WithoutPandas(MetaPathFinder):
    """Has pandas looked for in vain: nothing here uses it.

    PyArrow would import it with the first value of Python's that it takes, and does as well where there is
    none. It is a third of a second of every session.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - Python's
        if fullname == "pandas":
            raise ModuleNotFoundError(f"{fullname} is not for this job", name=fullname)


if __name__ == "__main__":
    sys.meta_path.insert(0, _WithoutPandas())
    from refinement.run import main

    gc.freeze()  # what is imported stays: looking through it for garbage takes as long as making events
    main(sys.argv[1:])

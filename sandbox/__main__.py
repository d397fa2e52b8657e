"""The sandbox's command line.

`run` takes sessions through the pipeline, `up` then leaves it running. `exec` runs any command on the lake
that they have left; `report`, `notebook` and `pictures` are names for three such commands.
"""

from __future__ import annotations

import sys

from sandbox.arguments import parse


def main() -> int:
    """Run the command line; 0 after success, 1 when a stage failed, 2 when the request makes no sense."""
    arguments, more = parse(sys.argv[1:], __doc__)
    # What --help does without takes a second to import
    from sandbox.commands import carry_out  # noqa: PLC0415

    return carry_out(arguments, more)


if __name__ == "__main__":
    sys.exit(main())

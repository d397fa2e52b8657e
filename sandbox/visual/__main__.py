"""Runs a visual job's nodes, kept in a JSON file, with the job's arguments."""

import argparse
import json
from pathlib import Path

from pyspark.sql import SparkSession

from sandbox.visual.interpreter import run


def main() -> None:
    """Read the command line and run the nodes on the Spark that its configuration describes."""
    parser = argparse.ArgumentParser(prog="sandbox.visual", description=__doc__)
    parser.add_argument("nodes", type=Path, help="file with the job's CodeGenConfigurationNodes")
    arguments, job_arguments = parser.parse_known_args()
    run(json.loads(arguments.nodes.read_text()), job_arguments, SparkSession.builder.getOrCreate())


if __name__ == "__main__":
    main()

"""Runs a visual Glue job on this machine: an interpreter of its nodes, on Spark."""

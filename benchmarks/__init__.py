"""What the pipeline costs in time and memory, beside what a user would pick instead."""

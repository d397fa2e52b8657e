"""Fuzzing of the readers of B3's formats: `python -m tests.fuzz daily --minutes 60` (requirements-fuzz.txt).

A harness (`harness`) takes the bytes of one input, as B3 could have served them, and says what is wrong with
what its reader makes of them; it needs no fuzzer. `process` lets atheris call it, guided by coverage, on what
`mutations` makes of the `seeds`. What was found to break a reader is in `cases` and in `corpus/`, which
`test_cases.py` replays.
"""

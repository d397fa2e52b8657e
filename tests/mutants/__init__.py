"""What the tests are worth: `make mutants` changes the source a place at a time, and counts what they see.

`make mutants COUNT=100 PART=readers SEED=1` draws mutants of the parts in `parts`: places of the source,
and at each place one of the changes that the operators of cosmic-ray can make there. What only touches
annotations, docstrings or how arguments may be passed, and what does not compile, is no mutant. Each is
written into a copy of the files that git tracks, where the tests of its part run: it is killed if one of
them fails, or if they take several times as long as without it, and has survived if they pass. The same
seed draws the same mutants of the same source, and those of a part with a smaller count are the first of
those with a larger one.

It is a measurement, and no test. A survivor may mean the same as the source, or be seen by tests that are
not its part's; a mutant whose tests fail by chance counts as killed. A survivor that matters lacks a test.
`python -m tests.mutants --help` says what else there is: a list without a run, one mutant.
"""

"""Measurements that the README quotes; each module is a command, ``python -m benchmarks.NAME``.

A measurement writes its results to ``benchmarks/results/NAME.json``. `benchmarks.report` makes the
tables of the README from these files, so that no number is typed by hand.
"""

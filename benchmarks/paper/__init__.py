"""The experiments of Zeng, Yu and Oyama (ISM 2018): ``python -m benchmarks.paper``."""

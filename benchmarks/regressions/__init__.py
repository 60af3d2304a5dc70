"""Time and peak memory that airspeed velocity compares between commits.

asv run main^!                    # the last commit
asv continuous main~10 main       # what has become slower or larger since
"""

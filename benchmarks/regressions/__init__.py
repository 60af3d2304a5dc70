"""Time and peak memory, compared between commits by airspeed velocity.

asv run main^!                    # the last commit
asv continuous main~10 main       # regressions since the first commit
"""

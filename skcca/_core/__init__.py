"""The algebra that all estimators share: pairs, moments, whitening, directions.

NumPy and SciPy only; nothing here knows an estimator.
"""

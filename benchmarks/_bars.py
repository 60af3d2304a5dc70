"""Bars that measured figures must reach, and reasons for those that are missed.

A row of kind "bar" holds lower bounds for the last measured row whose name it begins with; an entry
below "at most" is an upper bound for the column before it. `SHORT` has the reason for every missed
bar, which the report prints below the table. A missed bar without a reason is an error, and so is a
reason for a bar that is reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHORT = {
    "rivals": {
        "Wikipedia: SupervisedDCCA": "the contrastive loss finds a little more in both directions, "
        "by less than two deviations over the seeds; on the held-out training rows it finds less.",
        "spoken digits, MNIST: SupervisedDCCA": "cross-entropy finds .003 more in one direction, "
        "and .003 less in the other.",
        "written digits: SupervisedDCCA": "cross-entropy finds more in both directions. Posteriors "
        "computed from the variates (by discriminant analysis, logistic regression or distances to "
        "the class means) did not close the gap on held-out rows.",
        "300 digits: SupervisedDCCA": "cross-entropy finds .003 more in one direction, and less in "
        "the other.",
        "nutrimouse: SupervisedDCCA": "ClusterCCA finds more in one direction: 20 rows to train on "
        "are few for a network. None of the others does.",
    },
    "label_noise": {
        "digit halves: probabilities": "where a fifth of the labels is wrong, probabilities are "
        "less sure of the many right ones than the labels are; posteriors, which heed the given "
        "label as well, find more than both.",
        "digit halves: posteriors": "where no label is wrong the labels as given find .003 more.",
        "written digits: posteriors": "where no label is wrong the labels as given find .003 more, "
        "and where two fifths are wrong the most likely classes .002; both are a third of a "
        "deviation over the seeds or less.",
    },
    "retrieval": {
        "10,000 queries: argsort in NumPy / skcca": "since NumPy 2.0 argsort uses AVX-512 where "
        "the processor has it, as here. A full list costs skcca at most twice one product and one "
        "sort in float32, so there is little left to gain from an exact ranking.",
        "10,000 queries: torchmetrics / skcca": "torchmetrics takes some 3 ms a query, most of it "
        "for sorting in torch; at 0.06 ms a query skcca is near the floor already.",
    },
    "sparse": {
        "200 x (1,000, 1,000), a shared source": "sparsecca takes more than 20 times as long, and "
        "cca-zoo 12 ms for five sweeps. Of 8 ms here the Gram products of the rows take 2, at the "
        "peak of the processor; the sweeps and their start 3, checks and standardisation 1.",
        "200 x (1,000, 1,000), unrelated": "sparsecca takes more than 10 times as long; cca-zoo "
        "makes the same products, which are a third of the time here.",
        "100 x (20,000, 5,000), unrelated": "sparsecca does not end; cca-zoo makes the same "
        "products, which are four fifths of the time here.",
    },
}


def bars(record: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Yield for every bar the name of the row, the smaller number and the larger one."""
    rows, columns = record["rows"], record["columns"]
    for bar in (row for row in rows if row["kind"] == "bar"):
        name = bar["method"].removesuffix(" must reach")
        prefix = name.rstrip("()")
        measured = [r for r in rows if r["kind"] == "measured" and r["method"].startswith(prefix)]
        if not measured:
            raise ValueError(f"no row is measured for the bar {bar['method']!r}")
        for value, least in zip(measured[-1]["values"], bar["values"], strict=True):
            if least is not None:
                yield name, least, value
    if "at most" in columns:
        place = columns.index("at most")
        for row in rows:
            if row["values"][place] is not None:
                yield row["method"], row["values"][place - 1], row["values"][place]


def missed(record: dict[str, Any]) -> set[str]:
    """Return the names of the rows that miss a bar."""
    return {name for name, smaller, larger in bars(record) if smaller > larger}

"""Warnings name the caller's line, however deep inside they arise."""

import numpy as np
import pytest
from _data import two_views
from _models import SMALL
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcca import CCA, DCCA, ClusterCCA, ClusterKCCA, SupervisedDCCA, Views, retrieval_map
from skcca.cluster import SeededKMeans
from skcca.inspection import bootstrap_loadings

X, Y, LABELS = two_views(40)


def without_labels(model):
    return lambda: model.fit(X, Y)


def interrupt(epoch):
    raise KeyboardInterrupt


WARNING = {
    "class pairs without labels": without_labels(ClusterCCA(1)),
    "the same of kernels": without_labels(ClusterKCCA(1)),
    "the same of networks": without_labels(SupervisedDCCA(1, **SMALL)),
    "more components than there are": lambda: CCA(50).fit(X, Y),
    "integers for a view": lambda: CCA().fit(X, LABELS),
    "through a pipeline": lambda: make_pipeline(FunctionTransformer(), CCA(50)).fit(X, Y),
    "through a search": lambda: GridSearchCV(
        CCA(50), {"reg": [0.1]}, cv=2, scoring=retrieval_map
    ).fit(Views(X, Y), LABELS),
    "an interrupted training": lambda: DCCA(1, **SMALL, callback=interrupt).fit(X, Y),
    "clusters without annotations": lambda: SeededKMeans(2).fit(X, np.full(40, -1)),
    "a perfect resample": lambda: bootstrap_loadings(
        CCA(1), X[:9], Y[:9], n_bootstraps=9, random_state=0
    ),
    "one class": lambda: retrieval_map(CCA(1).fit(X, Y), Views(X, Y), np.zeros(40)),
}


@pytest.mark.parametrize("case", WARNING)
def test_warnings_name_the_callers_line(case):
    with pytest.warns() as record:
        WARNING[case]()
    assert {warning.filename for warning in record} == {__file__}

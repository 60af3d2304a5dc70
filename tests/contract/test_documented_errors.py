"""What other libraries would end in words or kinds of error of their own is refused in ours."""

from functools import partial

import numpy as np
import pytest
import torch
from _data import two_views
from scipy import sparse

from skcca import CCA, DCCA, ChunkSelector, ClusterCCA, CrossModalRetriever, Views
from skcca.cluster import SeededKMeans
from skcca.inspection import permutation_test_correlations, wilks_test
from skcca.metrics import retrieval_score
from skcca.nn import (
    MLP,
    AttentionBiLSTM,
    AttentionTower,
    cca_loss,
    contrastive_loss,
    ey_loss,
    ranking_loss,
    singular_values,
)
from skcca.nn.training import make_optimizer
from skcca.plotting import CorrelationDisplay, LoadingsDisplay, PrecisionRecallDisplay

X, Y, y = two_views(60)
TOO_LARGE = np.where(X > 1, 10**400, X.astype(object))
BOTH_INFINITIES = np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)).astype(np.float32)
WITH_GRAPH = torch.tensor(X, requires_grad=True)
RULES = {
    "CCA": lambda V: CCA().fit(V, Y),
    "second view": lambda V: CCA().fit(Y, V),
    "measures": lambda V: retrieval_score(V, X),
    "clusters": lambda V: SeededKMeans().fit(V, y),
    "retriever": lambda V: CrossModalRetriever().add(V),
    "scores": lambda V: CCA(4).fit(X, Y).inverse_transform(V[:, :4]),
    "songs": lambda V: ChunkSelector(3, max_epochs=1).fit([V] * 4, [0, 1, 0, 1]),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("V", [TOO_LARGE, BOTH_INFINITIES], ids=["whole numbers", "infinities"])
def test_what_is_no_float_is_a_value_error(rule, V):
    with pytest.raises(ValueError, match=r"float64|infinity|too large"):
        rule(V)


def test_a_tensor_leaves_its_graph_behind():
    fitted = SeededKMeans().fit(WITH_GRAPH, y)
    np.testing.assert_array_equal(fitted.predict(WITH_GRAPH), SeededKMeans().fit(X, y).predict(X))
    retriever = CrossModalRetriever().add(WITH_GRAPH)
    assert retriever.query(WITH_GRAPH, 1).ids.ravel().tolist() == list(range(60))
    songs, plain = ([V] * 4 for V in (WITH_GRAPH, X))
    small = partial(ChunkSelector, 3, hidden_size=2, max_epochs=1, random_state=0, device="cpu")
    found, expected = (small().fit(s, [0, 1, 0, 1]).transform(s) for s in (songs, plain))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("scale", [1e155, 1e200, 1e307])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_rows_whose_distances_leave_float64_are_refused(scale, kind):
    with pytest.raises(ValueError, match="squared distances leave the range of float64"):
        SeededKMeans().fit(kind(X * scale), y)
    with pytest.raises(ValueError, match="another unit"):
        SeededKMeans().fit(X, y).predict(kind(X * scale))
    assert np.isfinite(SeededKMeans().fit(kind(X * 1e140), y).score(kind(X * 1e140)))


def test_a_permutation_test_names_the_feature_that_spreads_too_far():
    wide = X * np.array([1, 1, 1e200, 1, 1])
    with pytest.raises(ValueError, match="Feature 2 of `X` spreads over"):
        permutation_test_correlations(CCA(2), wide, Y, n_permutations=5)


def test_scores_far_outside_leave_the_range_with_an_error():
    fitted = ClusterCCA(2).fit(1e3 * X, Y, y)
    with pytest.raises(ValueError, match="leaves the range of float64"):
        fitted.inverse_transform(np.full((3, 2), 1e307))


def test_a_recall_of_no_query_is_refused():
    retriever = CrossModalRetriever().add(X)
    assert retriever.query(X[:0], 3).ids.shape == (0, 3)
    with pytest.raises(ValueError, match="at least one query"):
        retriever.recall_against_exact(X[:0], 3)


@pytest.mark.parametrize("correlations", [np.array([0.5, 0.3 + 0.1j]), [10**400, 0.3]])
def test_wilks_takes_real_numbers(correlations):
    with pytest.raises(ValueError, match=r"Complex|range of float64"):
        wilks_test(correlations, 30, 2, 2)


# Pictures

PICTURES = {
    "correlations": CorrelationDisplay,
    "loadings": lambda V: LoadingsDisplay(np.c_[V, V], None),
    "precision": lambda V: PrecisionRecallDisplay(V, V),
}


@pytest.mark.parametrize("display", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("values", [np.array([0.5, 1e200]), np.array([0.5, 1j])])
def test_only_numbers_are_drawn(display, values):
    with pytest.raises(ValueError, match=r"beyond 1e100|Complex"):
        display(values).plot()


def test_loadings_of_no_feature_are_no_picture():
    with pytest.raises(ValueError, match="no feature to draw"):
        LoadingsDisplay(np.empty((0, 2)), np.empty((0, 2))).plot()


def test_bars_need_one_number_for_each_component():
    for correlations in (np.empty(0), np.eye(2)):
        with pytest.raises(ValueError, match="one number for each component"):
            CorrelationDisplay(correlations).plot()


# Networks and losses

LOSSES = [cca_loss, ey_loss, singular_values, contrastive_loss, ranking_loss]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("z", [torch.empty(0, 3), torch.empty(4, 0), torch.zeros(4, 3) * 1j])
def test_batches_without_a_number_are_refused(loss, z):
    with pytest.raises(ValueError, match="A loss needs batches of real numbers"):
        loss(z, z)


def test_whole_outputs_are_taken_as_floats():
    z = torch.arange(12).reshape(4, 3) % 5
    for loss in (contrastive_loss, ranking_loss):
        torch.testing.assert_close(loss(z, z), loss(z.double(), z.double()))


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (cca_loss, "reg"),
        (ey_loss, "reg"),
        (singular_values, "reg"),
        (contrastive_loss, "temperature"),
        (ranking_loss, "margin"),
    ],
)
@pytest.mark.parametrize("value", [-1, np.nan, np.inf, 1e300, 10**400])
def test_parameters_of_losses_are_named(loss, name, value):
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=f"`{name}`=.* must be a number from"):
        loss(z, z, **{name: value})


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
@pytest.mark.parametrize("name", ["hidden_size", "frames_per_step", "n_outputs"])
def test_sizes_of_an_attention_tower_are_named(name, size):
    settings = {"n_outputs": 2, "hidden_size": 3} | {name: size}
    with pytest.raises(ValueError, match=f"`{name}`=.* must be an integer of 1 or more"):
        AttentionTower(4, **settings)
    if name != "frames_per_step":
        with pytest.raises(ValueError, match=f"`{name}`"):
            AttentionBiLSTM(4, **settings)


def test_widths_of_a_network_are_named():
    with pytest.raises(ValueError, match="`n_features`=0"):
        MLP(0, (3,), 2)
    with pytest.raises(ValueError, match="`n_outputs`=-1"):
        MLP(2, (3,), -1)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_steps_beyond_any_float32_are_refused(name):
    weights = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(ValueError, match=f"`{name}`=1e.300 must be a number from 0 to 1e.30"):
        make_optimizer("adam", weights, **{"learning_rate": 0.1, "weight_decay": 0.0, name: 1e300})
    with pytest.raises(ValueError, match=name):
        DCCA(2, max_epochs=1, device="cpu", **{name: 1e300}).fit(X, Y)


def test_a_view_of_a_closed_file_is_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        rows = file.create_dataset("rows", data=X)
    with pytest.raises(ValueError, match=r"Views: `audio` cannot be read; is its file closed"):
        Views(audio=rows, visual=Y)

"""Labels as they are: unknown ones are rows of zeros, and memberships weigh the pairs they make."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from _data import Case, outputs, two_views
from _models import CLASS, INSTANCE, SMALL, UNPAIRED, of
from _oracles import assert_equals_pairs, assert_same_bits, law, pair_weights
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import (
    CCA,
    KCCA,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    ClusterKCCACV,
    SupervisedDCCA,
    Views,
    cross_val_embed,
    make_retrieval_scorer,
    make_view_transformer,
    retrieval_map,
)
from skcca._core.pairs import Pairing, TrainingData, Weights, class_pairs, instance_pairs
from skcca.inspection import bootstrap_loadings, select_n_components
from skcca.metrics import chance_score, retrieval_score, retrieval_scores
from skcca.model_selection import PartlyLabelledKFold
from skcca.nn import as_torch_pairs, cca_loss, ey_loss
from skcca.nn.files import fingerprint
from skcca.nn.networks import ResidentRows
from skcca.nn.step import BatchSampler
from skcca.nn.training import validation_mask
from skcca.plotting import EmbeddingDisplay, RankingDisplay
from skcca.views._labels import encode_labels

NAMES = np.array(["angry", "calm", "fun", "warm"], dtype=object)
X, Y, y = two_views(90, balanced=True)
HIDDEN = np.random.default_rng(1).random(90) < 0.6
UNKNOWN, ZEROS = np.where(HIDDEN, None, NAMES[y]), np.eye(3)[y] * ~HIDDEN[:, None]
SOFT = np.random.default_rng(2).dirichlet(np.ones(3), 90)
BLENDED = {name: clone(model).set_params(instance_weight=0.3) for name, model in CLASS.items()}
blended = of(BLENDED)


# Equal to materialised pairs


@st.composite
def labelled(draw):
    """Views, labels of some kind, their matrix L, weights, and the rule of the pairs."""
    A, B, codes, rng = Case(draw(st.integers(0, 2**20)), 14, 3, 2, 3).views()
    rule = {"pair_weight": draw(st.sampled_from(["pair", "row"]))}
    rule["instance_weight"] = draw(st.sampled_from([0.2, 0.7]))
    kind = draw(st.sampled_from(["classes", "memberships", "some rows of zeros"]))
    w = rng.uniform(0.5, 2, 14) if draw(st.booleans()) else np.ones(14)
    hidden = rng.permutation(14) < draw(st.integers(1, 10))
    if kind == "classes":
        return (
            A,
            B,
            np.where(hidden, None, NAMES[codes]),
            np.eye(3)[codes] * ~hidden[:, None],
            w,
            rule,
        )
    L = rng.gamma(0.5, size=(14, 3)) + 1e-3
    if kind == "memberships":
        rule["instance_weight"] = draw(st.sampled_from([0.0, 0.2, 0.7]))
        return A, B, L, L, w, rule
    return A, B, L * ~hidden[:, None], L * ~hidden[:, None], w, rule


@law
@given(case=labelled(), reg=st.sampled_from([0.0, 0.1]))
def test_linear_models_equal_materialised_pairs(case, reg):
    A, B, labels, L, w, rule = case
    model = ClusterCCA(reg=reg, **rule).fit(A, B, labels, sample_weight=w)
    assert_equals_pairs(model, CCA(reg=reg), pair_weights(L, L, w, w, **rule), A, B)


@law
@given(case=labelled())
def test_kernel_models_equal_materialised_pairs(case):
    A, B, labels, L, w, rule = case
    kernel = {"reg": 1e-2, "gamma": (0.05, 0.1)}
    model = ClusterKCCA(1, **kernel, **rule).fit(A, B, labels, sample_weight=w)
    W = pair_weights(L, L, w, w, **rule)
    assert_equals_pairs(model, KCCA(**kernel), W, A, B, atol=1e-10)


@law
@given(case=labelled())
def test_loss_and_gradient_of_networks_equal_materialised_pairs(case):
    _, _, labels, L, w, rule = case
    pairs = Pairing(**rule)(encode_labels(labels, 14, 14, "test"), Weights(w, w), None)
    W = pair_weights(L, L, w, w, **rule)
    i, j = np.nonzero(W)
    for loss_of in (partial(cca_loss, reg=0.1), ey_loss):
        zx, zy = outputs(14)
        loss = loss_of(zx, zy, as_torch_pairs(pairs))
        slow = loss_of(zx[i], zy[j], as_torch_pairs(instance_pairs(W[i, j])))
        assert loss.item() == pytest.approx(slow.item(), abs=1e-10)
        for found, expected in zip(
            *(torch.autograd.grad(v, (zx, zy)) for v in (loss, slow)), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@law
@given(case=labelled(), rows=st.permutations(range(14)))
def test_unpaired_memberships_equal_materialised_pairs(case, rows):
    A, B, _, L, w, rule = case
    rule["instance_weight"], rows = 0.0, list(rows[:10])
    L = L + 0.01
    labels, weights = (L, L[rows] ** 2), (w, w[rows])
    W = pair_weights(*labels, *weights, **rule)
    for model, peer in (
        (ClusterCCA(**rule), CCA()),
        (ClusterKCCA(1, reg=1e-2, gamma=0.1, **rule), KCCA(reg=1e-2, gamma=0.1)),
    ):
        model.fit(A, B[rows], labels=labels, sample_weight=weights)
        assert_equals_pairs(model, peer, W, A, B[rows])


@pytest.mark.parametrize("pair_weight", ["pair", "row"])
def test_sampled_pairs_leave_rows_without_a_label_their_own_pair_alone(pair_weight):
    rule = {"pair_fraction": 0.5, "pair_weight": pair_weight, "instance_weight": 0.3}
    encoded, weights = encode_labels(UNKNOWN, 90, 90, "test"), Weights(np.ones(90), np.ones(90))
    pairs = Pairing(**rule)(encoded, weights, np.random.default_rng(0))
    W = pairs.dot(np.eye(90)) / pairs.total
    np.testing.assert_allclose(W.sum(), 1)
    np.testing.assert_allclose(W[HIDDEN], 0.3 / 90 * np.eye(90)[HIDDEN], atol=1e-12)
    np.testing.assert_allclose(W[:, HIDDEN], 0.3 / 90 * np.eye(90)[:, HIDDEN], atol=1e-12)
    sizes = np.bincount(y[~HIDDEN])
    partners = np.maximum(np.rint(0.5 * sizes).astype(int), 1)[y[~HIDDEN]]
    np.testing.assert_array_equal((W[~HIDDEN] > 0).sum(axis=1), partners)
    assert (W[~HIDDEN] > 0)[y[~HIDDEN, None] != y].sum() == 0


@law
@given(case=labelled(), scale=st.sampled_from([1e-60, 1e-3, 7.0, 1e60]))
def test_scale_of_memberships_changes_nothing(case, scale):
    A, B, _, L, w, rule = case
    for model in (ClusterCCA(**rule), ClusterKCCA(1, reg=1e-2, **rule)):
        a, b = (clone(model).fit(A, B, M, sample_weight=w) for M in (L, scale * L))
        np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-10)
        np.testing.assert_allclose(a.transform(A), b.transform(A), atol=1e-9)


@law
@given(rank=st.integers(1, 4), seed=st.integers(0, 2**20), weighted=st.booleans())
def test_rank_is_bounded_by_that_of_the_centred_memberships(rank, seed, weighted):
    rng = np.random.default_rng(seed)
    L = rng.random((20, rank)) @ rng.random((rank, 5))
    w = rng.uniform(0.5, 2, 20) if weighted else np.ones(20)
    pairs = class_pairs(encode_labels(L, 20, 20, "test"), Weights(w, w))
    W = pair_weights(L, L, w, w)
    centred = W / W.sum() - np.outer(W.sum(axis=1), W.sum(axis=0)) / W.sum() ** 2
    assert pairs.max_rank == np.linalg.matrix_rank(centred, tol=1e-12) == rank - 1


# One kind of labels equals another


@blended
@pytest.mark.parametrize("settings", [{}, {"pair_weight": "row"}, {"early_stopping": True}])
def test_unknown_classes_are_rows_of_zeros_to_the_bit(model, settings):
    model = clone(model).set_params(
        **{k: v for k, v in settings.items() if k in model.get_params()}
    )
    if "batch_size" in model.get_params():
        model.set_params(batch_size=20)
    expected = clone(model).fit(X, Y, UNKNOWN)
    np.testing.assert_array_equal(expected.classes_, NAMES[:3])
    for labels in (ZEROS, ZEROS.astype(int)):
        found = clone(model).fit(X, Y, labels)
        assert_same_bits(found.transform(X, Y), expected.transform(X, Y))
        assert found.score(X, Y, labels) == expected.score(X, Y, UNKNOWN)


NUMBERS = np.where(HIDDEN, np.nan, y)
OF_CLASSES = {
    "masked floats": np.ma.array(np.where(HIDDEN, 0.5, y), mask=HIDDEN),
    "floats of which none is masked": np.ma.array(NUMBERS),
    "nullable integers": pd.DataFrame({"mood": NUMBERS}, dtype="Int64"),
    "categories": pd.Series(pd.Categorical(UNKNOWN)),
    "a tensor of half precision": torch.tensor(NUMBERS).bfloat16(),
    "a list of tensors": list(torch.tensor(NUMBERS)),
    "polars": pl.Series([None if hidden else int(c) for hidden, c in zip(HIDDEN, y, strict=True)]),
    "text of variable width": np.array(UNKNOWN, dtype=np.dtypes.StringDType(na_object=None)),
    "a tuple": tuple(np.where(HIDDEN, np.nan, NAMES[y])),
    "bytes": np.where(HIDDEN, None, NAMES.astype("S").astype(object)[y]),
}
OF_MEMBERSHIPS = {
    "objects": SOFT.astype(object),
    "nullable floats": pd.DataFrame(SOFT).astype("Float64"),
    "a tensor with a gradient": torch.tensor(SOFT, requires_grad=True),
    "a sparse tensor": torch.tensor(SOFT).to_sparse(),
    "a sparse matrix": sparse.coo_matrix(SOFT),
    "none masked": np.ma.array(SOFT),
    "lists": SOFT.tolist(),
}


@pytest.mark.parametrize("kind", [*OF_CLASSES, *OF_MEMBERSHIPS])
def test_containers_of_labels_say_the_same_everywhere(kind):
    labels, plain = OF_CLASSES.get(kind, OF_MEMBERSHIPS.get(kind)), SOFT
    if kind in OF_CLASSES:
        plain = UNKNOWN
        folds, expected = (list(PartlyLabelledKFold(3).split(X, L)) for L in (labels, plain))
        assert_same_bits(sum(folds, ()), sum(expected, ()))
    expected = fitted(plain).transform(X, Y)
    for found in (fitted(labels), clone(fitted(y)).fit(Views(X, Y), labels)):
        assert_same_bits(found.transform(X, Y), expected)
    deep = SupervisedDCCA(2, instance_weight=0.3, **SMALL)
    watched = [
        deep.fit(X, Y, y, X_val=Views(X, Y), y_val=L).validation_scores_ for L in (plain, labels)
    ]
    assert watched[0] == watched[1]


@of(INSTANCE)
def test_instance_pairs_ignore_what_is_unknown(model):
    expected = clone(model).fit(X, Y).transform(X, Y)
    for labels in (UNKNOWN, SOFT, [None] * 90):
        assert_same_bits(clone(model).fit(X, Y, labels=labels).transform(X, Y), expected)


@of({name: model for name, model in BLENDED.items() if name in UNPAIRED})
def test_unknown_rows_of_weight_zero_are_not_there(model):
    known = ~HIDDEN
    for beta in (0.0, 0.3):
        own = clone(model).set_params(instance_weight=beta)
        a = clone(own).fit(X, Y, UNKNOWN, sample_weight=1.0 * known)
        b = clone(own).fit(X[known], Y[known], UNKNOWN[known])
        np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-6)
    with pytest.raises(ValueError, match=f"none of {HIDDEN.sum()} rows has a label"):
        own.fit(X, Y, UNKNOWN, sample_weight=1.0 * HIDDEN)


@pytest.mark.parametrize("rule", [{}, {"pair_weight": "row"}, {"counts": True}, {"tags": True}])
def test_batches_in_any_order_equal_one_fit_and_may_have_no_label(rule):
    settings = {key: rule[key] for key in rule if key == "pair_weight"}
    labels = SOFT * ~HIDDEN[:, None] if "tags" in rule else UNKNOWN
    model = ClusterCCA(instance_weight=0.3, **settings)
    expected = clone(model).fit(X, Y, labels)
    counts = {}
    if "counts" in rule:
        counts = {"class_counts": {name: (UNKNOWN == name).sum() for name in NAMES[:3]}}
    bare, known = np.flatnonzero(HIDDEN), np.flatnonzero(~HIDDEN)
    for order in ([bare, known], [known, bare], [known[:9], bare, known[9:]]):
        found, more = clone(model), counts
        for rows in order:
            found.partial_fit(X[rows], Y[rows], labels[rows], **more)
            more = {}
        np.testing.assert_allclose(found.correlations_, expected.correlations_, atol=1e-10)
        np.testing.assert_allclose(found.x_weights_, expected.x_weights_, atol=1e-10)
        np.testing.assert_array_equal(found.classes_, expected.classes_)


def test_deep_batches_of_partial_fit_may_have_no_label():
    model = SupervisedDCCA(2, instance_weight=0.3, **SMALL)
    with pytest.warns(UserWarning, match="none of 30 rows has a label, so that their pairs are"):
        model.partial_fit(X[:30], Y[:30], [None] * 30)
    model.partial_fit(X, Y, UNKNOWN)
    with pytest.raises(ValueError, match="do not go with"):
        model.partial_fit(X, Y, y)
    with pytest.warns(UserWarning, match="none of 30 rows has a label"):
        model.partial_fit(X[:30], Y[:30], [None] * 30)
    np.testing.assert_array_equal(model.classes_, NAMES[:3])


@blended
def test_rows_in_files_and_in_float32_take_unknown_labels(model, tmp_path):
    expected = clone(model).fit(X, Y, UNKNOWN).score(X, Y, UNKNOWN)
    in_file = [tmp_path / f"{name}.npy" for name in "xy"]
    for path, V in zip(in_file, (X, Y), strict=True):
        np.save(path, V)
    kinds = {1e-9: [np.load(path, mmap_mode="r") for path in in_file]}
    if not isinstance(model, SupervisedDCCA):
        # The weights of networks in another precision are other random numbers.
        kinds[1e-4] = [X.astype(np.float32), Y.astype(np.float32)]
    for tolerance, views in kinds.items():
        found = clone(model).fit(*views, UNKNOWN).score(X, Y, UNKNOWN)
        assert found == pytest.approx(expected, abs=tolerance)


# Doors


def fitted(labels, **settings):
    return ClusterCCA(2, instance_weight=0.3, **settings).fit(X, Y, labels)


def in_pipeline(labels):
    scalers = make_view_transformer(StandardScaler(), StandardScaler())
    return make_pipeline(scalers, ClusterCCA(2, instance_weight=0.3)).fit_transform(
        Views(X, Y), labels
    )


def chosen(labels):
    model = SupervisedDCCA(2, instance_weight=0.3, **SMALL)
    part = slice(0, 60), slice(60, None)
    (train, test), views = part, Views(X, Y)
    model.fit(views[train], labels[train], X_val=views[test], y_val=labels[test])
    return model.validation_scores_


CV = list(PartlyLabelledKFold(3).split(X, UNKNOWN))
DOORS = {
    "score": lambda L: fitted(SOFT).score(Views(X, Y), L),
    "fit_transform": lambda L: list(
        ClusterKCCA(2, instance_weight=0.3).fit_transform(Views(X, Y), L)),
    "Pipeline": lambda L: list(in_pipeline(L)),
    "cross_val_embed": lambda L: list(
        cross_val_embed(ClusterCCA(2, instance_weight=0.3), Views(X, Y), L, cv=CV)),
    "select_n_components": lambda L: select_n_components(
        ClusterCCA(instance_weight=0.3), X, Y, L, n_components=3, cv=CV).mean,
    "bootstrap_loadings": lambda L: bootstrap_loadings(
        ClusterCCA(2, instance_weight=0.3), X, Y, L, n_bootstraps=4, random_state=0).x_loadings.low,
    "ClusterCCACV": lambda L: ClusterCCACV(instance_weight=0.3, cv=CV).fit(X, Y, L).best_score_,
    "validation data": chosen,
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_unknown_classes_for_rows_of_zeros(door):
    np.testing.assert_array_equal(DOORS[door](UNKNOWN), DOORS[door](ZEROS))


@blended
def test_memberships_beside_both_views_are_labels(model):
    found = clone(model).fit(Views(X, Y), SOFT).transform(Views(X, Y))
    assert_same_bits(list(found), clone(model).fit(X, Y, SOFT).transform(X, Y))


def test_a_search_refuses_labels_of_weight_zero_alone():
    with pytest.raises(ValueError, match=f"none of {HIDDEN.sum()} rows has a label"):
        ClusterCCACV(instance_weight=0.3, cv=3).fit(X, Y, UNKNOWN, sample_weight=1.0 * HIDDEN)


@pytest.mark.parametrize("labels", [UNKNOWN, SOFT], ids=["unknown", "memberships"])
@pytest.mark.parametrize(
    ("search", "model"), [(ClusterCCACV, ClusterCCA), (ClusterKCCACV, ClusterKCCA)]
)
def test_searches_of_many_ridges_equal_a_fit_for_each(search, model, labels):
    settings = {"instance_weight": 0.3, "pair_weight": "row"}
    found = search(regs=[0.1, 10.0], cv=CV, **settings).fit(X, Y, labels)
    slow = GridSearchCV(model(**settings), {"reg": [0.1, 10.0]}, cv=CV)
    slow.fit(Views(X, Y), labels)
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(found.cv_results_[key], slow.cv_results_[key], atol=1e-9)


def test_a_search_over_unknown_labels_scores_what_is_known():
    with pytest.warns(
        UserWarning, match=r"retrieval_map: .. of \d+ queries and .. of \d+ items have"
    ):
        search = GridSearchCV(
            ClusterCCA(2), {"instance_weight": [0.1, 0.5]}, cv=CV, scoring=retrieval_map
        ).fit(Views(X, Y), UNKNOWN)
    for beta, score in zip([0.1, 0.5], search.cv_results_["mean_test_score"], strict=True):
        model, expected = ClusterCCA(2, instance_weight=beta), []
        for train, test in CV:
            own = clone(model).fit(X[train], Y[train], UNKNOWN[train])
            known = test[~HIDDEN[test]]
            expected.append(retrieval_map(own, X[known], Y[known], UNKNOWN[known]))
        assert score == pytest.approx(np.mean(expected), abs=1e-12)


def test_integer_folds_of_partly_labelled_rows_are_stratified():
    by_number, by_splitter = (
        cross_val_embed(ClusterCCA(2, instance_weight=0.3), X, Y, UNKNOWN, cv=cv)
        for cv in (3, PartlyLabelledKFold(3))
    )
    assert_same_bits(by_number, by_splitter)


def test_shuffled_folds_are_ascending_and_differ_by_seed_in_rows_of_either_kind():
    tests = [
        np.hstack(
            [
                test
                for _, test in PartlyLabelledKFold(3, shuffle=True, random_state=seed).split(
                    X, UNKNOWN
                )
            ]
        )
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(tests[0], tests[1])
    assert (np.diff(tests[0]) < 0).sum() == 2
    for rows in (HIDDEN, ~HIDDEN):
        assert (tests[0][rows[tests[0]]] != tests[2][rows[tests[2]]]).any()


def test_folds_compare_the_indices_of_rows_and_labels():
    frame = pd.DataFrame(X)
    with pytest.raises(ValueError, match="indices of `X` and `y` differ"):
        next(PartlyLabelledKFold(3).split(frame, pd.Series(UNKNOWN)[::-1]))


def test_too_many_integer_folds_of_classes_are_refused_with_a_cure():
    for search in (ClusterCCACV(cv=31), ClusterKCCACV(cv=31)):
        with pytest.raises(ValueError, match=r"`cv`=31 folds are stratified.*cv=KFold\(31\)"):
            search.fit(X, Y, y)


def test_folds_without_a_label_are_told_of():
    bare = np.where(np.arange(90) < 60, UNKNOWN, None)
    cv = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]
    with pytest.warns(UserWarning, match="Fold 0: none of 30 held-out rows has a label"):
        ClusterCCACV(instance_weight=0.3, cv=cv).fit(X, Y, bare)
    with pytest.warns(UserWarning, match="none of 90 rows has a label, so that their pairs"):
        own = fitted(y).score(X, Y, [None] * 90)
    assert own == pytest.approx(CCA.score(fitted(y), X, Y))


# Folds and batches


@law
@given(
    seed=st.integers(0, 2**20),
    n_splits=st.integers(2, 4),
    shuffle=st.booleans(),
    n_unknown=st.integers(0, 30),
)
def test_every_fold_has_its_share_of_each_class_and_of_the_unknown(
    seed, n_splits, shuffle, n_unknown
):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(n_splits, 9, 3)
    labels = rng.permutation([*np.repeat(NAMES[:3], sizes), *[None] * n_unknown])
    splitter = PartlyLabelledKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    folds = list(splitter.split(np.empty((len(labels), 0)), labels))
    assert splitter.get_n_splits() == len(folds) == n_splits
    assert_same_bits([rows for fold in folds for rows in fold],
                     [rows for fold in splitter.split(None, labels) for rows in fold])  # fmt: skip
    np.testing.assert_array_equal(
        np.sort(np.hstack([test for _, test in folds])), range(len(labels))
    )
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.hstack([train, test])), range(len(labels)))
        assert n_unknown // n_splits <= (labels[test] == None).sum() <= -(-n_unknown // n_splits)  # noqa: E711
        for name, size in zip(NAMES, sizes, strict=False):
            assert 1 <= size // n_splits <= (labels[test] == name).sum() <= -(-size // n_splits)


@law
@given(seed=st.integers(0, 2**20), n_known=st.integers(8, 50), matrix=st.booleans())
def test_batches_and_validation_rows_have_their_share_of_the_labelled_rows(seed, n_known, matrix):
    rng = np.random.default_rng(seed)
    known = rng.permutation(64) < n_known
    codes = rng.integers(0, 3, 64)
    labels = np.where(known, NAMES[codes], None)
    if matrix:
        labels = rng.dirichlet(np.ones(3), 64) * known[:, None]
    rows, encoded = torch.arange(64.0)[:, None], encode_labels(labels, 64, 64, "test")
    weights, beta = Weights(np.ones(64), np.ones(64)), 0.3
    views, pairing = (ResidentRows(rows), ResidentRows(rows)), Pairing(instance_weight=beta)
    batches = list(BatchSampler(*views, "cpu", encoded, weights, pairing, 16, 4, rng)(0))
    assert sorted(torch.cat([b.x for b in batches]).ravel().tolist()) == list(range(64))
    for batch in batches:
        assert torch.equal(batch.x, batch.y)
        here = known[batch.x.ravel().int().numpy()]
        assert n_known // 4 <= here.sum() <= -(-n_known // 4)
        W = batch.pairs.dot(torch.eye(16, dtype=torch.float64)).numpy() / batch.pairs.total
        np.testing.assert_allclose(W[~here], beta / 16 * np.eye(16)[~here], atol=1e-12)
    held_out = validation_mask(64, 0.25, encoded.x, rng)
    assert n_known // 4 <= (held_out & known).sum() <= -(-n_known // 4)


def test_labelled_rows_meet_others_in_each_epoch():
    labels = encode_labels(
        np.where(np.arange(64) % 2, None, np.arange(64) // 2 % 4), 64, 64, "test"
    )
    rows, weights = ResidentRows(torch.arange(64.0)[:, None]), Weights(np.ones(64), np.ones(64))
    sampler = BatchSampler(rows, rows, "cpu", labels, weights, Pairing(instance_weight=0.3), 16, 4,
                           np.random.default_rng(0))  # fmt: skip
    epochs = [[frozenset(batch.x.ravel().tolist()) for batch in sampler(i)] for i in range(2)]
    of_labelled = [{frozenset(r for r in batch if r % 2 == 0) for batch in e} for e in epochs]
    assert not of_labelled[0] & of_labelled[1]


def test_checkpoints_tell_memberships_apart_and_classes_as_before():
    def of(labels):
        weights = Weights(np.ones(90), np.ones(90))
        return fingerprint(TrainingData(X, Y, encode_labels(labels, 90, 90, "test"), weights))

    assert of(SOFT) != of(SOFT[:, [1, 0, 2]])
    assert of(np.eye(3)[y]) == of(np.eye(3, dtype=int)[y]) != of(0.5 * np.eye(3)[y])
    assert of(y) != of(np.where(HIDDEN, None, y))


# Measures and pictures


def test_gains_of_memberships_are_their_products():
    U, V = fitted(SOFT).transform(X, Y)
    graded = {"measure": "ndcg@10", "relevance": "count"}
    found = retrieval_scores(U, V, SOFT, 1e-60 * SOFT, **graded)
    expected = retrieval_scores(U, V, measure="ndcg@10", relevance=SOFT @ SOFT.T)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    scorer = make_retrieval_scorer(**graded)
    assert scorer(fitted(SOFT), Views(X, Y), SOFT) == pytest.approx(expected.mean())
    whole = np.eye(3)[y]
    tags = retrieval_score(U, V, whole.astype(int), **graded)
    assert retrieval_score(U, V, whole, **graded) == tags
    assert chance_score(SOFT, **graded) < expected.mean()


def test_rows_left_out_of_queries_and_items_are_left_out_of_both_where_they_are_the_same():
    U = fitted(y).transform(X)
    keep = ~HIDDEN
    with pytest.warns(UserWarning, match=f"{HIDDEN.sum()} of 90 queries and {HIDDEN.sum()} of 90"):
        found = retrieval_scores(U, U, UNKNOWN, NAMES[y], exclude_self=True)
    expected = retrieval_scores(U[keep], U[keep], y[keep], exclude_self=True)
    np.testing.assert_array_equal(np.isnan(found), HIDDEN)
    np.testing.assert_array_equal(found[keep], expected)


@pytest.mark.parametrize("n_classes", [2, 12, 24])
def test_points_without_a_label_are_grey(n_classes):
    hidden = np.arange(90) % 3 == 0
    labels = np.where(hidden, None, np.array([f"c{i % n_classes}" for i in range(90)], object))
    display = EmbeddingDisplay.from_predictions(X, X[:, ::-1], labels)
    legend = dict(zip(display.legend_.get_texts(), display.legend_.legend_handles, strict=True))
    (handle,) = [mark for text, mark in legend.items() if text.get_text() == "no label"]
    assert handle.get_color() == pytest.approx((128 / 255, 128 / 255, 128 / 255, 1.0))
    for points in display.points_:
        colours = points.get_facecolors()
        assert np.ptp(colours[hidden], axis=0).max() == 0
        np.testing.assert_allclose(colours[hidden][0, :3], 128 / 255)
        assert np.abs(colours[~hidden, :3] - 128 / 255).max(axis=1).min() > 0.05
        assert (colours[hidden, 3] < colours[~hidden, 3].min()).all()
    whole = EmbeddingDisplay.from_predictions(
        X, X[:, ::-1], (labels, labels[~hidden][:1].repeat(90))
    )
    assert "no label" in [text.get_text() for text in whole.legend_.get_texts()]


def test_lists_of_queries_hold_known_items_alone():
    (U, V), (first, other) = fitted(y).transform(X, Y), np.flatnonzero(~HIDDEN)[[7, 2]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        display = RankingDisplay.from_predictions(
            U, V, UNKNOWN, NAMES[y], rows=[first, other], k=90
        )
        found = RankingDisplay.from_predictions(U, V, UNKNOWN, k=9)
        with pytest.raises(ValueError, match="`rows` holds query 0, whose label is missing"):
            RankingDisplay.from_predictions(U, V, UNKNOWN, rows=[other, 0])
    np.testing.assert_array_equal(display.relevant, y[display.order] == y[[first, other], None])
    assert not HIDDEN[found.rows].any()
    assert not HIDDEN[found.order].any()
    np.testing.assert_array_equal(found.relevant, y[found.order] == y[found.rows][:, None])

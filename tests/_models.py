"""The models of the tests at a size of a moment, and every public callable by its name."""

import functools
import pickle
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from _data import HEARD, MOODS, SONGS, clean, two_views
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcca import (
    CCA,
    CCACV,
    DCCA,
    KCCA,
    KCCACV,
    ChunkSelector,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    ClusterKCCACV,
    CrossModalRetriever,
    SparseCCA,
    SparseClusterCCA,
    SupervisedDCCA,
    Views,
    ViewTransformer,
    cross_val_embed,
    datasets,
    inspection,
    make_retrieval_scorer,
    make_view_transformer,
    metrics,
    nn,
    plotting,
    retrieval_map,
)
from skcca.cluster import SeededKMeans, SoftMembership
from skcca.model_selection import PartlyLabelledKFold

# Two-view estimators

SMALL = {
    "x_hidden_layer_sizes": (8,),
    "y_hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "random_state": 0,
    "device": "cpu",
}
# Half of the features, and as many digits as the algebra of other models has.
SPARSE = {"x_penalty": 0.7, "y_penalty": 0.7, "tol": 1e-13}
# Folds that know no classes are the same whatever the labels are.
SEARCH = {"regs": (0.01, 1.0), "cv": KFold(3)}
INSTANCE = {
    "CCA": CCA(2),
    "CCACV": CCACV(2, **SEARCH),
    "KCCA": KCCA(2, reg=1e-2),
    "KCCACV": KCCACV(2, **SEARCH),
    "SparseCCA": SparseCCA(2, **SPARSE),
    "DCCA": DCCA(2, **SMALL),
}
CLASS = {
    "ClusterCCA": ClusterCCA(2),
    "ClusterCCACV": ClusterCCACV(2, **SEARCH),
    "ClusterKCCA": ClusterKCCA(2, reg=1e-2),
    "ClusterKCCACV": ClusterKCCACV(2, **SEARCH),
    "SparseClusterCCA": SparseClusterCCA(2, **SPARSE),
    "SupervisedDCCA": SupervisedDCCA(2, **SMALL),
}
MODELS = INSTANCE | CLASS
SEARCHES = {name: model for name, model in MODELS.items() if "cv" in model.get_params()}
# The rows of a fold are paired.
UNPAIRED = {name: model for name, model in CLASS.items() if name not in SEARCHES}

# Linear and kernel models with the settings that change their algebra.
LINEAR = {
    "CCA": CCA(),
    "CCA ridge": CCA(reg=0.1),
    "CCA svd": CCA(solver="svd"),
    "ClusterCCA": ClusterCCA(),
    "ClusterCCA blended": ClusterCCA(instance_weight=0.3, reg=0.01),
    "ClusterCCA by rows": ClusterCCA(pair_weight="row", component_scaling="unit"),
    # Of one ridge, so that the answer is that of all rows, whatever the folds are.
    "CCACV": CCACV(regs=[0.1], cv=2),
    "SparseCCA": SparseCCA(**SPARSE),
    "SparseClusterCCA by rows": SparseClusterCCA(pair_weight="row", **SPARSE),
}
KERNEL = {
    "KCCA": KCCA(2, reg=1e-2),
    "KCCA all": KCCA(reg=1e-2, kernel="poly", degree=2, gamma=0.3),
    "ClusterKCCA": ClusterKCCA(reg=1e-2),
    "ClusterKCCA blended": ClusterKCCA(2, instance_weight=0.3, reg=1e-2),
}
UNREGULARISED = ("CCA", "CCA svd", "ClusterCCA", "ClusterCCA by rows")


def of(models, name="model"):
    """Parametrise a test over models."""
    return pytest.mark.parametrize(name, models.values(), ids=models)


every, class_paired, instance_paired = of(MODELS), of(CLASS), of(INSTANCE)
takes_unpaired_rows = of(UNPAIRED)
ALGEBRAIC = LINEAR | KERNEL
algebraic = of(ALGEBRAIC)
algebraic_class_paired = of({k: m for k, m in ALGEBRAIC.items() if "Cluster" in k})
unregularised = of({name: LINEAR[name] for name in UNREGULARISED})


@contextmanager
def array_api_dispatch(*, on=True):
    """Switch the dispatch on where scikit-learn can: its version 1.6 asks for SciPy 1.14."""
    context = config_context(array_api_dispatch=on)
    try:
        context.__enter__()
    except ImportError as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        context.__exit__(None, None, None)


# Selectors of chunks, and transformers of one view


def selector(**settings):
    return ChunkSelector(**{"hidden_size": 8, "max_epochs": 2, "random_state": 0} | settings)


@functools.cache
def _pickled_selector():
    return pickle.dumps(selector().fit(SONGS, HEARD))


def trained_selector():
    """Return a fitted selector that a test may change: training takes longer than a copy."""
    return pickle.loads(_pickled_selector())


def audio_and_visual(audio=None, visual=None):
    return ViewTransformer([("audio", audio or PCA(2)), ("visual", visual or StandardScaler())])


class FirstFrames(TransformerMixin, BaseEstimator):
    """A transformer of sequences that is trained on labels and asks for metadata."""

    def __init__(self, n_frames=1):
        self.n_frames = n_frames

    def fit(self, X, y=None, labels=None):
        self.y_, self.labels_ = y, labels
        return self

    def transform(self, X):
        return np.array([song[: self.n_frames].ravel() for song in X])


class Recorder(BaseEstimator):
    """A transformer without `fit_transform`, `get_feature_names_out` or `set_output`."""

    def fit(self, X, y=None, weight=None):
        self.y_, self.weight_ = y, weight
        return self

    def transform(self, X, shift=0):
        return X + shift


# Pictures

DRAWN_X, DRAWN_Y, _codes = two_views(60, 5, 6, balanced=True)
DRAWN_LABELS = MOODS[_codes]
OF_PAIRS = CCA(3).fit(DRAWN_X, DRAWN_Y)
OF_CLASSES = ClusterCCA().fit(DRAWN_X, DRAWN_Y, DRAWN_LABELS)


def in_legend(display):
    return [text.get_text() for text in display.legend_.get_texts()]


# Every public callable: a function of `CALLS` takes a problem and the options drawn for it, and
# returns whatever came out.

QUICK = {
    name: clone(model).set_params(max_epochs=1) if "DCCA" in name else model
    for name, model in MODELS.items()
}
SELECTOR = ChunkSelector(
    frames_per_step=1, hidden_size=3, max_epochs=1, batch_size=8, random_state=0, device="cpu"
)
X, Y, y = clean()
STILL = [np.repeat(X[i : i + 1], 6 + i % 3, axis=0) + np.arange(6 + i % 3)[:, None] for i in y]


@functools.cache
def fitted(name):
    """Return a model on clean data, fitted when it is first asked for."""
    if name == "ChunkSelector":
        return clone(SELECTOR).fit(STILL, y)
    return clone(QUICK[name]).fit(X, Y, y)


def learned(model):
    return {k: v for k, v in vars(model).items() if k.endswith("_") and not k.startswith("_")}


def fit(name, p, **options):
    model = clone(QUICK[name]).set_params(**options)
    model.fit(p.X, p.Y, p.labels, sample_weight=p.weights)
    found = [learned(model), model.transform(p.X, p.Y), model.score(p.X, p.Y)]
    if hasattr(model, "predict"):
        found += [model.predict(p.X), model.predict_x(p.Y)]
    return found


def partial_fit(name, p, **options):
    model = clone(QUICK[name]).set_params(**options)
    model.partial_fit(X, Y, y)
    model.partial_fit(p.X, p.Y, p.labels)
    return [learned(model), model.transform(X, Y)]


def apply(name, p):
    model = fitted(name)
    found = [model.transform(p.X, p.Y), model.score(p.X, p.Y, labels=p.labels)]
    if hasattr(model, "predict"):
        found += [model.predict(p.X), model.predict_x(p.Y)]
    return found


def invert(name, p):
    """Take the first two columns of a plain view for scores, or whatever else the view is."""
    plain = type(p.X) is np.ndarray and p.X.ndim == 2
    return fitted(name).inverse_transform(p.X[:, :2] if plain else p.X)


def transform_y(name, p):
    return fitted(name).transform_y(p.Y)


def songs(p):
    """Songs of which one is the view of the problem, or the view itself."""
    return [p.X, *STILL[1:]] if p.made[0] % 2 == 0 else p.X


def select(p, **options):
    model = clone(SELECTOR).set_params(**options).fit(songs(p), p.labels)
    return [model.transform(STILL), model.predict_proba(STILL)]


def selected(p):
    model = fitted("ChunkSelector")
    return [
        model.transform(songs(p)),
        model.predict_proba(songs(p)),
        model.attention(songs(p)),
        model.emotion_features(songs(p)),
        [s.frames if hasattr(s, "frames") else 0 for s in model.select(songs(p))],
    ]


def retrieve(p, **options):
    retriever = CrossModalRetriever(CCA(2)).set_params(**options).fit(p.X, p.Y, p.labels)
    return [retriever.query(p.X, 3), len(retriever.add(p.Y))]


def search(p):
    retriever = CrossModalRetriever().add(Y).add(p.Y)
    found = [retriever.query(Y, 3), retriever.query(p.Y, 3), retriever.recall_against_exact(p.Y, 2)]
    return [found, len(retriever.remove([0, 1]))]


def group(p):
    retriever = CrossModalRetriever().add(Y)
    return retriever.query(p.Y, 3, groups=p.labels)


def named(p):
    retriever = CrossModalRetriever().add(Y, ids=p.labels)
    return [len(retriever), len(retriever.remove(p.labels))]


def cluster(p, **options):
    model = SeededKMeans(random_state=0).set_params(**options)
    model.fit(p.X, p.labels, sample_weight=p.weights)
    return [learned(model), model.predict(p.X), model.transform(p.X), model.score(p.X)]


def clustered(p):
    model = SeededKMeans(random_state=0).fit(X, y)
    return [model.predict(p.X), model.transform(p.X), model.score(p.X)]


def soften(p, **options):
    model = SoftMembership(3, **{"random_state": 0} | options)
    model.fit(p.X, sample_weight=p.weights)
    return [learned(model), model.transform(p.X)]


def softened(p):
    return SoftMembership(3, random_state=0).fit(X).transform(p.X)


def folds(p, **options):
    return [*PartlyLabelledKFold(2, **options).split(p.X, p.labels)]


def views(p):
    both = Views(audio=p.X, visual=p.Y)
    return [both.shape, len(both), both["audio"] is p.X, both[: len(both) // 2], repr(both)]


def frames(p):
    if isinstance(p.X, pd.DataFrame):
        both = zip(["audio", "visual"] * p.X.shape[1], p.X.columns, strict=False)
        p = replace(p, X=p.X.set_axis(pd.MultiIndex.from_tuples(both), axis=1))
    return Views.from_frame(p.X)


def passed_on(p):
    transformer = ViewTransformer([("audio", FunctionTransformer()), ("visual", "passthrough")])
    both = Views(audio=p.X, visual=p.Y)
    return transformer.fit(both).transform(both)


def passed_on_both(p):
    return make_view_transformer(FunctionTransformer(), FunctionTransformer()).fit_transform(
        Views(p.X, p.Y), p.labels
    )


def embed(p, **options):
    return cross_val_embed(CCA(2), p.X, p.Y, p.labels, **{"cv": 3} | options)


def scorer(p, **options):
    return make_retrieval_scorer(**options)(fitted("ClusterCCA"), Views(p.X, p.Y), p.labels)


def mean_precision(p):
    return retrieval_map(fitted("ClusterCCA"), p.X, p.Y, p.labels)


def ranked(function, p, **options):
    """Rank the rows of one width, once by row and once by class."""
    return [
        function(p.X, p.X, **options),
        function(p.X, X, p.labels, y, **options),
        function(p.X, p.X, p.labels, p.labels, **options),
    ]


def chance(function, p, **options):
    return [function(p.labels, **options), function(p.labels, y, **options)]


def numbers(p):
    """Return a few numbers between -1 and 1, or whatever else the first view is."""
    plain = type(p.X) is np.ndarray and p.X.dtype == float and p.X.ndim == 2 and p.X.shape[1]
    return np.tanh(p.X[:3, 0]) if plain else p.X


def wilks(p, function=inspection.wilks_test, **options):
    found = numbers(p)
    found = -np.sort(-np.abs(found)) if type(found) is np.ndarray and found.ndim == 1 else found
    settings = {"n_samples": 60, "n_features": 4, "n_features_y": 3} | options
    return function(found, **settings)


def of_four(p, **options):
    return wilks(p, function=inspection.multivariate_tests, **options)


def dequantized(p, **options):
    plain = isinstance(p.X, np.ndarray) and p.X.dtype == bool
    return datasets.dequantize_features(p.X.view(np.uint8) if plain else p.X, **options)


def written(p):
    views = [p.X, p.Y]
    for i, width in enumerate((128, 1024)):
        if isinstance(views[i], np.ndarray) and views[i].ndim == 2 and views[i].size:
            views[i] = np.resize(views[i], (len(views[i]), width))
            views[i] = views[i].astype(np.uint8) if views[i].dtype == np.int64 else views[i][0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.tfrecord"
        datasets.write_youtube8m(path, views[:1], views[1:], labels=[[1]])
        level = "video" if np.ndim(views[0]) == 1 else "frame"
        return datasets.load_youtube8m(path, level=level)


def simulated(p, **options):
    settings = {"n_samples": 12, "lengths": (9, 11), "random_state": 0} | options
    found = datasets.make_music_videos(**settings)
    return list(found.values())


def tensors(p):
    """Return both views as tensors, of equal widths where they are batches."""
    both = [
        V.detach() if isinstance(V, torch.Tensor) else torch.as_tensor(np.asarray(V))
        for V in (p.X, p.Y)
    ]
    return [z[:, :3] if z.ndim == 2 else z for z in both]


def loss(function, p, **options):
    """Return the loss and its gradient; NaN may come from what is no number already."""
    zx, zy = tensors(p)
    if zx.is_floating_point() and zy.is_floating_point():
        zx, zy = zx.clone().requires_grad_(), zy.clone().requires_grad_()
    value = function(zx, zy, **options)
    if value.requires_grad and value.ndim == 0:
        value.backward()
        if all(bool((z.abs() < 1e30).all()) for z in (zx, zy)):
            return [value.detach(), zx.grad, zy.grad]
    return []


def tower(p, **options):
    settings = {"n_features": 4, "hidden_layer_sizes": (3,), "n_outputs": 2} | options
    return nn.MLP(**settings).eval()(torch.zeros(2, settings["n_features"])).detach()


def attention(kind, p, **options):
    settings = {"n_features": 4, "n_outputs": 2, "hidden_size": 3} | options
    network = kind(**settings).eval()
    out = network(torch.zeros(2, 5, settings["n_features"]), torch.tensor([5, 2]))
    return (out if isinstance(out, torch.Tensor) else out.logits).detach()


def picture(display, p, **options):
    found = display.from_predictions(p.X, p.X, p.labels, **options)
    return {k: v for k, v in vars(found).items() if not k.endswith("_")}


def points(p, **options):
    found = plotting.EmbeddingDisplay.from_predictions(p.X, p.X, p.labels, **options)
    return [found.Zx, found.Zy]


def fit_picture(display, p, **options):
    display.from_estimator(CCA(2).fit(X, Y), p.X, p.Y, **options)


def bars(p, **options):
    display = plotting.CorrelationDisplay(numbers(p), **options)
    display.plot()


def arrows(p, **options):
    display = plotting.LoadingsDisplay(p.X, p.Y, **options)
    display.plot()


def curve(p, **options):
    display = plotting.PrecisionRecallDisplay(numbers(p), numbers(p), **options)
    display.plot()


def heat(p, **options):
    plotting.AttentionDisplay.from_estimator(fitted("ChunkSelector"), p.X, **options)


def permuted(p, **options):
    settings = {"n_permutations": 5, "random_state": 0} | options
    return inspection.permutation_test_correlations(CCA(2), p.X, p.Y, **settings)


def resampled(p, **options):
    settings = {"n_bootstraps": 8, "random_state": 0} | options
    found = inspection.bootstrap_loadings(ClusterCCA(2), p.X, p.Y, p.labels, **settings)
    return [getattr(part, "estimate", part) for part in found]


def steady(p, **options):
    settings = {"n_splits": 3, "random_state": 0} | options
    model = SparseClusterCCA(2, x_penalty=0.7, y_penalty=0.7)
    found = inspection.stability_selection(model, p.X, p.Y, p.labels, **settings)
    return [view.probabilities for view in found]


def reported(p, **options):
    settings = {"n_permutations": 3, "cv": 3, "random_state": 0} | options
    found = inspection.report(CCA(2), p.X, p.Y, p.labels, **settings)
    tables = [found.components, found.tests, found.x_features, found.y_features]
    return [c.values for table in tables if table for c in table.columns.values()]


def chosen(p, **options):
    settings = {"n_components": [1, 2, 3], "cv": 3} | options
    return inspection.select_n_components(CCA(), p.X, p.Y, p.labels, **settings)


CALLS = {
    **{name: partial(fit, name) for name in QUICK},
    **{f"{name}.transform": partial(apply, name) for name in QUICK},
    **{f"{name}.transform_y": partial(transform_y, name) for name in QUICK},
    **{
        f"{name}.partial_fit": partial(partial_fit, name)
        for name in ("CCA", "ClusterCCA", "DCCA", "SupervisedDCCA")
    },
    **{f"{name}.inverse_transform": partial(invert, name) for name in ("CCA", "ClusterCCA")},
    "ChunkSelector": select,
    "ChunkSelector.transform": selected,
    "CrossModalRetriever": retrieve,
    "CrossModalRetriever.query": search,
    "CrossModalRetriever.groups": group,
    "CrossModalRetriever.ids": named,
    "SeededKMeans": cluster,
    "SeededKMeans.predict": clustered,
    "SoftMembership": soften,
    "SoftMembership.transform": softened,
    "PartlyLabelledKFold": folds,
    "Views": views,
    "Views.from_frame": frames,
    "ViewTransformer": passed_on,
    "make_view_transformer": passed_on_both,
    "cross_val_embed": embed,
    "make_retrieval_scorer": scorer,
    "retrieval_map": mean_precision,
    **{
        name: partial(ranked, getattr(metrics, name))
        for name in (
            "average_precision_scores",
            "interpolated_precision",
            "mean_average_precision_score",
            "retrieval_precision_recall",
            "retrieval_report",
            "retrieval_score",
            "retrieval_scores",
        )
    },
    "chance_map": partial(chance, metrics.chance_map),
    "chance_score": partial(chance, metrics.chance_score),
    "permutation_test_correlations": permuted,
    "bootstrap_loadings": resampled,
    "report": reported,
    "stability_selection": steady,
    "select_n_components": chosen,
    "wilks_test": wilks,
    "multivariate_tests": of_four,
    "dequantize_features": dequantized,
    "make_music_videos": simulated,
    "write_youtube8m": written,
    **{
        name: partial(loss, getattr(nn, name))
        for name in (
            "cca_loss",
            "contrastive_loss",
            "ey_loss",
            "ranking_loss",
            "singular_values",
            "soft_hgr_loss",
        )
    },
    "MLP": tower,
    "AttentionBiLSTM": partial(attention, nn.AttentionBiLSTM),
    "AttentionTower": partial(attention, nn.AttentionTower),
    "EmbeddingDisplay": points,
    "PrecisionRecallDisplay": partial(picture, plotting.PrecisionRecallDisplay),
    "PrecisionRecallDisplay.plot": curve,
    "RankingDisplay": partial(picture, plotting.RankingDisplay),
    "CorrelationDisplay": bars,
    "CorrelationDisplay.from_estimator": partial(fit_picture, plotting.CorrelationDisplay),
    "LoadingsDisplay": arrows,
    "AttentionDisplay": heat,
}

EXEMPT = {
    **dict.fromkeys(("QueryResult", "RetrievalCurve"), "holds what a query or a measure found"),
    **dict.fromkeys(
        ("BootstrapResult", "CanonicalReport", "Interval", "NComponentsResult"),
        "holds what was inspected",
    ),
    **dict.fromkeys(("FeatureStability", "StabilityResult"), "holds what was inspected"),
    "StabilityDisplay": "takes what stability_selection found",
    **dict.fromkeys(("PermutationTestResult", "WilksTestResult"), "holds what a test found"),
    **dict.fromkeys(("MultivariateTest", "MultivariateTestsResult"), "holds what a test found"),
    **dict.fromkeys(("Batch", "Reconstruction"), "holds what a step takes"),
    **dict.fromkeys(("TwoViewStep", "train"), "takes networks, and is run by every deep fit here"),
    "as_torch_pairs": "takes pairs that skcca made, in every deep fit here",
    "by_backward": "takes a function",
    "seeded": "takes a seed",
    "resolve_device": "takes a name",
    **dict.fromkeys(("iter_youtube8m", "load_youtube8m"), "reads files, which their tests break"),
    **dict.fromkeys(("build_mv10k", "audio_frames"), "reads files, which their tests break"),
    "load_digit_halves": "takes nothing",
    **dict.fromkeys(
        (
            *("load_emotify", "load_mnist", "load_mnist_halves", "load_multiple_features"),
            *("load_noisy_mnist", "load_nutrimouse", "load_spoken_digits", "load_wikipedia"),
        ),
        "reads one folder of files",
    ),
}

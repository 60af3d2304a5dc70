"""Laws of whatever is fitted: copies, seeds, other processes, jobs, containers, progress."""

import contextlib
import copy
import functools
import pickle
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from _data import HEARD, SONGS, VISUAL, two_views
from _interrupt import interrupt
from _models import MODELS, SEARCHES, audio_and_visual, of, selector
from _oracles import assert_same_bits
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skcca import (
    CCA,
    CCACV,
    ClusterCCA,
    CrossModalRetriever,
    Views,
    cross_val_embed,
    make_retrieval_scorer,
    retrieval_map,
)
from skcca.cluster import SeededKMeans
from skcca.datasets import make_music_videos
from skcca.inspection import (
    bootstrap_loadings,
    permutation_test_correlations,
    report,
    select_n_components,
)
from skcca.nn import AttentionTower
from skcca.plotting import CorrelationDisplay

X, Y, y = two_views()
VIEWS = Views(X, Y)
ANNOTATED = np.where(np.arange(90) < 20, y, -1)


class Subject(NamedTuple):
    """A model, what it is fitted on, other rows of that, and what it answers."""

    model: object
    data: tuple
    fewer: tuple
    answer: object


def of_two_views(model):
    return Subject(model, (X, Y, y), (X[::2], Y[::2], y[::2]), lambda m: m.transform(X, Y))


SUBJECTS = {name: of_two_views(model) for name, model in MODELS.items()} | {
    "ChunkSelector": Subject(
        selector(dropout=0.3), (SONGS, HEARD), (SONGS[:30], HEARD[:30]),
        lambda m: [m.transform(SONGS)],
    ),
    "SeededKMeans": Subject(
        SeededKMeans(7, random_state=0), (X, ANNOTATED), (X[5:], ANNOTATED[5:]),
        lambda m: [m.predict(X), m.transform(X)],
    ),
    "ViewTransformer": Subject(
        audio_and_visual(), (Views(audio=X, visual=Y),), (Views(audio=X[::2], visual=Y[::2]),),
        lambda m: list(m.transform(Views(audio=X, visual=Y))),
    ),
    "CrossModalRetriever": Subject(
        CrossModalRetriever(CCA(2)), (X, Y), (X[::2], Y[::2]), lambda m: m.query(X, 5)
    ),
}  # fmt: skip
subjects = of(SUBJECTS, "subject")
# Models with networks, on rows of float32, which autocast would compute in half precision.
X32, Y32, VISUAL32 = (V.astype(np.float32) for V in (X, Y, VISUAL))
SONGS32 = [song.astype(np.float32) for song in SONGS]
TOWER = functools.partial(AttentionTower, hidden_size=4, dropout=0.2, position=True)
TORCH = {
    name: Subject(MODELS[name], (X32, Y32, y), (), lambda m: m.transform(X32, Y32))
    for name in ("DCCA", "SupervisedDCCA")
} | {
    "ChunkSelector": SUBJECTS["ChunkSelector"],
    "AttentionTower": Subject(
        clone(MODELS["DCCA"]).set_params(x_network=TOWER), (SONGS32, VISUAL32), (),
        lambda m: m.transform(SONGS32, VISUAL32),
    ),
}  # fmt: skip


@functools.cache
def fitted(name):
    """Return a fitted model, which no test changes."""
    subject = SUBJECTS[name]
    return clone(subject.model).fit(*subject.data)


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_answer_to_the_bit_and_are_fitted_anew(name, copied):
    subject, model = SUBJECTS[name], fitted(name)
    twin, before = copied(model), subject.answer(model)
    assert_same_bits(subject.answer(twin), before)
    twin.fit(*subject.fewer)
    assert_same_bits(subject.answer(model), before)
    assert_same_bits(subject.answer(twin.fit(*subject.data)), before)


def test_pickles_answer_in_a_fresh_process_and_are_fitted_there_as_here(tmp_path):
    code = (
        "import pickle, sys, _models\n"
        "from test_callables import SUBJECTS\n"
        "models = pickle.load(open(sys.argv[1], 'rb'))\n"
        "answers = {}\n"
        "for name, model in models.items():\n"
        "    subject = SUBJECTS[name]\n"
        "    first = list(subject.answer(model))\n"
        "    answers[name] = first, list(subject.answer(model.fit(*subject.data)))\n"
        "pickle.dump(answers, open(sys.argv[2], 'wb'))\n"
    )
    (tmp_path / "models").write_bytes(pickle.dumps({name: fitted(name) for name in SUBJECTS}))
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    files = [str(tmp_path / "models"), str(tmp_path / "answers")]
    subprocess.run([*command, *files], check=True, timeout=300)
    for name, answers in pickle.loads((tmp_path / "answers").read_bytes()).items():
        for found in answers:
            for a, b in zip(found, SUBJECTS[name].answer(fitted(name)), strict=True):
                # Another number of threads adds up in another order.
                np.testing.assert_allclose(a, b, atol=1e-10)


def random_states():
    return torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002


DRAWS = {name: lambda name=name: fit_without_seed(name) for name in SUBJECTS} | {
    "files of networks": lambda: [save_and_load(name) for name in ("DCCA", "ChunkSelector")],
    "make_music_videos": lambda: make_music_videos(12, n_emotions=3, lengths=(9, 12)),
    "bootstrap_loadings": lambda: bootstrap_loadings(CCA(1), X, Y, n_bootstraps=3),
    "permutations": lambda: permutation_test_correlations(CCA(1), X, Y, n_permutations=3),
}


def fit_without_seed(name):
    model = clone(SUBJECTS[name].model)
    if "random_state" in model.get_params():
        model.set_params(random_state=None)
    model.fit(*SUBJECTS[name].data)


def save_and_load(name):
    with tempfile.TemporaryDirectory() as folder:
        fitted(name).save(Path(folder) / "model")
        type(fitted(name)).load(Path(folder) / "model")


@of(DRAWS, "draw")
def test_global_random_states_stay_as_they_are(draw):
    before = random_states()
    draw()
    assert_same_bits(random_states(), before)


@of(SEARCHES)
def test_an_interrupted_search_is_the_old_one_or_the_new(model):
    old, rows = clone(model).fit(X, Y, y), (X[::2], Y[::2], y[::2])

    def learned(search):
        found = {name: value for name, value in vars(search).items() if name.endswith("_")}
        # How long a search took differs.
        found["cv_results_"] = found["cv_results_"]["mean_test_score"]
        return pickle.dumps({name: np.asarray(value) for name, value in found.items()})

    new = copy.deepcopy(old)
    n_steps = interrupt(lambda: new.fit(*rows), None)
    either, found = {learned(old), learned(new)}, []
    for at in [*np.linspace(1, n_steps, 4, dtype=int), *range(n_steps - 6, n_steps + 1)]:
        twin = copy.deepcopy(old)
        interrupt(functools.partial(twin.fit, *rows), at)
        found.append(learned(twin))
    assert set(found) == either


@subjects
def test_a_seed_decides_whatever_the_global_state(subject):
    first = subject.answer(clone(subject.model).fit(*subject.data))
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = subject.answer(clone(subject.model).fit(*subject.data))
    assert_same_bits(again, first)


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


TORCH_SETTINGS = {
    "default dtype": default_dtype,
    "default device": functools.partial(torch.device, "meta"),
    "autocast": functools.partial(torch.autocast, "cpu", torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("setting", TORCH_SETTINGS)
def test_what_the_caller_sets_in_torch_changes_no_model(name, setting, tmp_path):
    model, data, _, answer = TORCH[name]
    expected = list(answer(clone(model).fit(*data)))
    own = {"x_network": TOWER} if name == "AttentionTower" else {}
    with TORCH_SETTINGS[setting]():
        found = clone(model).fit(*data)
        assert_same_bits(answer(found), expected)
        found.save(tmp_path / "model")
        loaded = type(model).load(tmp_path / "model", **own)
        assert_same_bits(answer(loaded), expected)
        assert torch.is_grad_enabled() == (setting not in ("no_grad", "inference_mode"))
    for trained in (found, loaded):
        if hasattr(trained, "partial_fit"):
            # Its weights still take gradients.
            assert trained.partial_fit(*data).n_epochs_ == trained.max_epochs + 1


# Functions that fit clones of an estimator

REPORTED = {"test": "permutation", "n_permutations": 130, "random_state": 0}
INSPECTIONS = {
    "bootstrap_loadings": lambda model, *views, **more: (
        bootstrap_loadings(
            model, *views, n_bootstraps=3, random_state=0, **more
        ).y_loadings.distribution
    ),
    "permutation_test_correlations": lambda model, *views, **more: (
        permutation_test_correlations(
            model, *views, n_permutations=130, random_state=0, **more
        ).null_distribution
    ),
    "select_n_components": lambda model, *views, **more: (
        select_n_components(model, *views, n_components=[1, 2, 4], **more).totals
    ),
    "report": lambda model, *views, **more: np.concatenate(
        [
            column.values
            for table in report(model, *views, **REPORTED, **more)[1:5]
            for column in table.columns.values()
        ]
    ),
    "CorrelationDisplay": lambda model, *views, **more: (
        CorrelationDisplay.from_estimator(
            model, *views, n_permutations=3, random_state=0, **more
        ).null
    ),
    "cross_val_embed": lambda model, *views, **more: next(
        iter(cross_val_embed(model, *views, **more))
    ),
}


@of(INSPECTIONS, "inspect")
def test_estimators_that_are_inspected_stay_unfitted(inspect):
    model = CCA(2)
    before = dict(vars(model))
    inspect(model, X, Y)
    assert vars(model) == before


@pytest.mark.parametrize("name", ["cross_val_embed", "select_n_components", "CorrelationDisplay"])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: make_pipeline("passthrough", m)])
@pytest.mark.parametrize("fit", [False, True])
def test_searches_are_inspected_as_their_model_whether_fitted_or_not(name, wrap, fit):
    search = wrap(GridSearchCV(CCA(2), {"reg": [0.1]}, cv=3, scoring=retrieval_map))
    search = search.fit(VIEWS, y) if fit else search
    prefix = "gridsearchcv__" * hasattr(search, "steps")
    select = name == "select_n_components"
    options = {"param_name": f"{prefix}estimator__n_components"} if select else {}
    expected = INSPECTIONS[name](CCA(2, reg=0.1), VIEWS, y)
    np.testing.assert_allclose(INSPECTIONS[name](search, VIEWS, y, **options), expected)


class Sites(GroupKFold):
    """Folds by group that record the groups that they are given."""

    seen: ClassVar[list] = []

    def split(self, X, y=None, groups=None):
        self.seen.append(groups)
        return super().split(X, y, groups)


@pytest.mark.parametrize("name", ["bootstrap_loadings", "select_n_components", "cross_val_embed"])
@pytest.mark.parametrize("route", [False, True])
@pytest.mark.parametrize("piped", [False, True])
def test_groups_reach_the_search_inside(name, piped, route):
    sites, outer, options = np.arange(90) // 2, GroupKFold(3), {}
    search = CCACV(2, regs=[0.1], cv=Sites(3))
    given = [sites[train] for train, _ in outer.split(X, groups=sites)]
    if name == "bootstrap_loadings":
        piped, given = False, [sites] * 4  # all rows, and three resamples by weights
    else:
        options["cv"] = outer
    if name == "select_n_components":
        given = [groups for groups in given for _ in range(3)]  # three numbers of components
        options |= {"param_name": "ccacv__n_components"} if piped else {}
    search = make_pipeline("passthrough", search) if piped else search
    Sites.seen.clear()
    with config_context(enable_metadata_routing=route):
        INSPECTIONS[name](search, X, Y, groups=sites, **options)
    assert_same_bits(Sites.seen, given)


@of(INSPECTIONS, "inspect")
def test_frames_views_and_lists_are_inspected_as_arrays(inspect):
    expected = inspect(CCA(2), X, Y)
    frames = pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y).add_prefix("y")
    thin = sparse.csr_array(X), sparse.csr_array(Y)
    for args in (frames, (VIEWS,), (Views(*frames), y), (X.tolist(), Y.tolist()), thin):
        np.testing.assert_allclose(inspect(CCA(2), *args), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in INSPECTIONS if name != "cross_val_embed"])
def test_number_of_jobs_changes_nothing(name):
    one, two = (INSPECTIONS[name](CCA(2), X, Y, n_jobs=n) for n in (None, 2))
    np.testing.assert_array_equal(one, two)


def test_filters_of_warnings_outlive_threads():
    """They are those of all threads, and converting integers lets others run in between."""
    whole, before = np.rint(X * 9).astype(int), list(warnings.filters)
    tasks = [call for name, call in INSPECTIONS.items() if name != "CorrelationDisplay"] * 6
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda inspect: inspect(CCA(2), whole, Y), tasks))
            embed = functools.partial(cross_val_embed, ClusterCCA(2), X, Y, y)
            list(pool.map(lambda _: embed(), range(40)))
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


PROGRESS = {
    "DCCA": lambda **more: clone(MODELS["DCCA"]).set_params(**more).fit(X, Y),
    "ChunkSelector": lambda **more: selector(**more).fit(SONGS, HEARD),
    "permutation_test_correlations": functools.partial(
        INSPECTIONS["permutation_test_correlations"], CCA(2), X, Y
    ),
    "CorrelationDisplay": functools.partial(INSPECTIONS["CorrelationDisplay"], CCA(2), X, Y),
    "report": functools.partial(INSPECTIONS["report"], CCA(2), X, Y),
}


@pytest.mark.parametrize("name", PROGRESS)
def test_progress_goes_to_standard_error_when_it_is_asked_for(name, capsys):
    PROGRESS[name]()
    assert capsys.readouterr() == ("", "")
    PROGRESS[name](verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{name} [####" in err


SCORERS = {
    "retrieval_map": retrieval_map,
    "recall": make_retrieval_scorer("recall@5", direction="mean", metric="euclidean"),
}


@of(SCORERS, "scorer")
def test_copies_of_scorers_score_alike(scorer):
    model = ClusterCCA(2).fit(X, Y, y)
    expected = scorer(model, VIEWS, y)
    for copied in (copy.deepcopy(scorer), pickle.loads(pickle.dumps(scorer)), eval(repr(scorer))):
        assert copied(model, VIEWS, y) == expected
        assert copied.get_metadata_routing().score.requests == {"labels": True}
        assert copied._accept_sample_weight() is False

"""Deep estimators in training: memory, validation sets, callbacks, checkpoints, passes, files."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from _data import two_views
from _models import SMALL
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skcca import CCA, DCCA, SupervisedDCCA, Views, make_view_transformer, retrieval_map
from skcca._core.files import load_tree, save_tree
from skcca.nn.training import Run

X, Y, y = two_views(200)
X_NEW, Y_NEW, y_new = two_views(120, seed=0)
NO_SEED = {name: value for name, value in SMALL.items() if name != "random_state"}
LOSSES = ["trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"]


def weights_of(model):
    return torch.cat([p.detach().ravel() for p in model.x_network_.parameters()])


@pytest.mark.parametrize("loss", LOSSES)
def test_small_pieces_train_like_the_whole_batch(loss):
    options = SMALL | {"dropout": 0, "input_noise": 0, "batch_size": None, "loss": loss}
    whole = SupervisedDCCA(2, **options).fit(X, Y, y)
    pieces = SupervisedDCCA(2, micro_batch_size=7, **options).fit(X, Y, y)
    np.testing.assert_allclose(pieces.loss_curve_, whole.loss_curve_, atol=1e-9)
    np.testing.assert_allclose(pieces.transform(X), whole.transform(X), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_objective_finds_the_shared_directions(loss):
    options = SMALL | {"output_activation": "identity", "dropout": 0, "max_epochs": 60}
    model = DCCA(2, loss=loss, learning_rate=3e-3, **options).fit(X, Y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    share = 0.6 if loss in ("contrastive", "ranking") else 0.9  # these look at cosines
    assert model.score(X, Y) > share * CCA(2).fit(X, Y).score(X, Y)


def test_linear_tower_approaches_cca():
    """A network without hidden layers can do no better, and L-BFGS does as well in ten steps."""
    linear = {"x_hidden_layer_sizes": (), "y_hidden_layer_sizes": (), "max_epochs": 10}
    options = SMALL | linear | {"output_activation": "identity", "reg": 1e-6, "input_noise": 0}
    model = DCCA(3, optimizer="lbfgs", learning_rate=1, batch_size=None, **options).fit(X, Y)
    linear = CCA(3).fit(X, Y).correlations_
    assert (model.correlations_ <= linear + 1e-4).all()
    np.testing.assert_allclose(model.correlations_, linear, atol=1e-3)


def test_decoders_learn_to_restore_the_rows():
    options = SMALL | {"max_epochs": 40, "output_activation": "identity", "dropout": 0}
    model = DCCA(3, reconstruction_weight=10.0, learning_rate=1e-2, **options).fit(X, Y)
    without = DCCA(3, learning_rate=1e-2, **options).fit(X, Y)
    Z, Z_without = model.transform(X), without.transform(X)

    def unexplained(Z):
        design = np.column_stack([Z, np.ones(len(Z))])
        return np.linalg.lstsq(design, X, rcond=None)[1].sum()

    assert unexplained(Z) < unexplained(Z_without)


def test_noise_is_part_of_training_alone():
    model = DCCA(2, input_noise=0.5, **SMALL).fit(X, Y)
    np.testing.assert_array_equal(model.transform(X), model.transform(X))
    assert np.abs(model.transform(X) - DCCA(2, **SMALL).fit(X, Y).transform(X)).max() > 1e-3


def test_averaged_weights_are_the_mean_of_the_last_epochs():
    collected = []
    original = Run.end_epoch

    def end_epoch(run, *args):
        collected.append(torch.cat([p.detach().ravel() for p in run.network[0].parameters()]))
        original(run, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "end_epoch", end_epoch)
        model = DCCA(2, average_epochs=3, **SMALL | {"max_epochs": 5}).fit(X, Y)
    torch.testing.assert_close(weights_of(model), torch.stack(collected[-3:]).mean(dim=0))


# Validation sets


def test_early_stopping_watches_the_rows_it_is_given():
    held = Views(X_NEW, Y_NEW)
    model = DCCA(2, n_iter_no_change=3, **SMALL | {"max_epochs": 40, "learning_rate": 0.05})
    model.fit(X, Y, X_val=held)
    assert model.n_epochs_ < 40
    assert max(model.validation_scores_) == pytest.approx(model.score(held), abs=1e-8)


def test_validation_labels_change_nothing_where_rows_are_paired():
    held = Views(X_NEW, Y_NEW)
    plain, labelled = (
        DCCA(2, **SMALL).fit(X, Y, X_val=held, **more) for more in ({}, {"y_val": y_new})
    )
    assert plain.validation_scores_ == labelled.validation_scores_


def test_validation_labels_make_class_pairs():
    held = Views(X_NEW, Y_NEW)
    options = SMALL | {"max_epochs": 5}
    by_class = SupervisedDCCA(2, **options).fit(X, Y, y, X_val=held, y_val=y_new)
    by_row = SupervisedDCCA(2, **options).fit(X, Y, y, X_val=held)
    best = max(by_class.validation_scores_)
    assert best == pytest.approx(by_class.score(held, y_new), abs=1e-8)
    assert max(by_row.validation_scores_) == pytest.approx(by_row.score(held), abs=1e-8)


def test_a_pipeline_takes_the_validation_set_through_its_steps():
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [
            ("scale", make_view_transformer(StandardScaler(), StandardScaler())),
            ("deep", DCCA(2, scale=False, **SMALL)),
        ]
        pipe = Pipeline(steps, transform_input=["X_val"])
        pipe.fit(Views(100 * X, Y), X_val=Views(100 * X_NEW, Y_NEW))
        score = pipe.score(Views(100 * X_NEW, Y_NEW))
    assert max(pipe[-1].validation_scores_) == pytest.approx(score, abs=1e-8)


# Callbacks


@pytest.mark.parametrize("step", ["", "superviseddcca__"])
def test_a_halving_search_has_epochs_for_its_resource(step):
    scale, model = make_view_transformer(StandardScaler(), "passthrough"), SupervisedDCCA(2)
    pipe = make_pipeline(scale, model.set_params(**SMALL)) if step else model.set_params(**SMALL)
    scoring = {"scoring": retrieval_map, "cv": StratifiedKFold(2), "error_score": "raise"}
    epochs = {"resource": f"{step}max_epochs", "min_resources": 1, "max_resources": 3}
    grid = {f"{step}input_noise": [0.0, 0.5, 5.0]}
    search = HalvingGridSearchCV(pipe, grid, **epochs, **scoring).fit(Views(X, Y), y)
    assert (search.n_candidates_, search.n_resources_) == ([3, 1], [1, 3])
    winner = search.best_estimator_
    assert (winner[-1] if step else winner).n_epochs_ == 3
    scores = cross_val_score(clone(winner), Views(X, Y), y, **scoring)
    np.testing.assert_allclose(search.best_score_, scores.mean())


def test_a_callback_is_told_of_every_epoch_and_may_stop():
    told = []

    def stop_at_two(epoch):
        told.append(epoch)
        return epoch.number == 2

    model = DCCA(2, callback=stop_at_two, **SMALL).fit(X, Y)
    assert [epoch.number for epoch in told] == [1, 2]
    assert told[0].n_epochs == 3
    assert [epoch.loss for epoch in told] == model.loss_curve_
    assert told[0].score is None


def fit_in_a_thread(_):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(DCCA(2, **SMALL).fit, X_NEW, Y_NEW).result(timeout=60)


CALLBACKS = {
    "draw numbers": lambda _: torch.rand(3),
    "seed torch": lambda _: torch.manual_seed(5),
    "switch gradients off": lambda _: torch.set_grad_enabled(False),
    "set the default dtype": lambda _: torch.set_default_dtype(torch.float64),
    "set the default device": lambda _: torch.set_default_device("meta"),
    "fit another model": lambda _: DCCA(2, **SMALL).fit(X_NEW, Y_NEW),
    "fit another in a thread": fit_in_a_thread,
}


@pytest.fixture
def torch_settings():
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


@pytest.mark.parametrize("what", CALLBACKS)
def test_nothing_that_a_callback_does_changes_the_training(what, torch_settings):
    options = SMALL | {"dropout": 0.2, "input_noise": 0.1}
    expected = DCCA(2, **options).fit(X, Y).transform(X)
    with torch.enable_grad(), torch.random.fork_rng():

        def callback(epoch):
            CALLBACKS[what](epoch)

        model = DCCA(2, callback=callback, **options).fit(X, Y)
        np.testing.assert_array_equal(model.transform(X), expected)


def test_callbacks_have_the_torch_of_the_caller(torch_settings):
    drawn, told = [], []

    def look(epoch):
        drawn.append(torch.rand(1))
        told.append((torch.is_grad_enabled(), torch.get_default_dtype()))

    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        DCCA(2, callback=look, **SMALL).fit(X, Y)
        torch.manual_seed(3)
        assert torch.equal(torch.cat(drawn), torch.cat([torch.rand(1) for _ in drawn]))
    assert told == [(False, torch.float64)] * 3


def test_a_callback_sees_the_model_of_the_fit_before():
    seen = []
    model = DCCA(2, callback=lambda epoch: seen.append(model.transform(X)), **SMALL)
    with pytest.raises(NotFittedError):
        model.fit(X, Y)
    before = model.set_params(callback=None).fit(X, Y).transform(X)
    model.set_params(callback=lambda epoch: seen.append(model.transform(X))).fit(X_NEW, Y_NEW)
    assert len(seen) == 3
    assert all(np.array_equal(Z, before) for Z in seen)
    assert not np.array_equal(model.transform(X), before)


def test_a_model_is_that_of_its_last_fit_whole():
    """Whatever a callback fits or sets, parameters alone stay."""

    def refit(epoch):
        model.set_params(callback=None, verbose=0, n_iter_no_change=7)
        model.fit(pd.DataFrame(X).add_prefix("x"), Y)

    model = DCCA(2, callback=refit, **SMALL)
    model.fit(X, Y)
    expected = DCCA(2, **SMALL).fit(X, Y)
    assert model.n_iter_no_change == 7
    assert set(vars(model)) == set(vars(expected))
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))


def test_ctrl_c_keeps_the_best_weights_and_says_so():
    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    model = DCCA(2, callback=interrupt, **SMALL)
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch"):
        model.fit(X, Y)
    assert model.n_epochs_ == 2
    assert np.isfinite(model.transform(X)).all()


def test_scikit_learn_monitors_score_every_epoch():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring={"map": retrieval_map})
    model = SupervisedDCCA(2, **SMALL).set_callbacks(monitor)
    model.fit(Views(X, Y), y)
    logs = [row["map"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(logs) == 3
    assert logs[-1] == pytest.approx(retrieval_map(model, Views(X, Y), y), abs=1e-9)
    assert not hasattr(model, "_given")


# Checkpoints


@pytest.mark.parametrize("averaged", [1, 2])
@pytest.mark.parametrize("begun", [3, 4, 6])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, averaged, begun):
    """It may be interrupted, and may have begun as a shorter one."""
    options = SMALL | {"batch_size": 32, "optimizer": "adam", "early_stopping": True}
    options |= {"average_epochs": averaged, "input_noise": 0.1}
    whole = SupervisedDCCA(2, **options | {"max_epochs": 6}).fit(X, Y, y)

    def interrupt(epoch):
        if epoch.number == 3:
            raise RuntimeError("power cut")

    model = SupervisedDCCA(2, checkpoint=tmp_path / "run", **options | {"max_epochs": begun})
    with pytest.raises(RuntimeError, match="power cut"):
        clone(model).set_params(callback=interrupt).fit(X, Y, y)
    model.set_params(max_epochs=6)
    with pytest.warns(UserWarning, match="/run' is continued after epoch 3 of 6"):
        model.fit(X, Y, y)
    assert model.loss_curve_ == whole.loss_curve_
    assert model.validation_scores_ == whole.validation_scores_
    np.testing.assert_array_equal(model.transform(X), whole.transform(X))


def test_checkpoints_that_cannot_be_written_are_told_and_training_goes_on(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    def remove(_):
        shutil.rmtree(folder, ignore_errors=True)

    model = DCCA(2, checkpoint=folder / "run", callback=remove, **SMALL)
    with pytest.warns(UserWarning, match="/gone/run' could not be written .*No such file"):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.transform(X), DCCA(2, **SMALL).fit(X, Y).transform(X))


def test_checkpoints_are_as_far_apart_as_asked_for(tmp_path):
    path, there = tmp_path / "run.safetensors", []
    options = SMALL | {"max_epochs": 4, "callback": lambda _: there.append(path.exists())}
    DCCA(2, checkpoint=path, checkpoint_every=3, **options).fit(X, Y)
    assert there == [False, False, True, True]


def test_a_generator_goes_on_from_the_state_in_the_file(tmp_path):
    path = tmp_path / "run.safetensors"
    whole = DCCA(2, random_state=np.random.default_rng(3), **NO_SEED).fit(X, Y)

    def interrupt(epoch):
        if epoch.number == 1:
            raise RuntimeError("power cut")

    def begun(**more):
        rng = np.random.default_rng(3)
        return DCCA(2, checkpoint=path, random_state=rng, **NO_SEED, **more).fit(X, Y)

    with pytest.raises(RuntimeError, match="power cut"):
        begun(callback=interrupt)
    with pytest.warns(UserWarning, match="continued after epoch 1 of 3"):
        assert begun().loss_curve_ == whole.loss_curve_


def test_names_that_no_file_can_have_are_told_before_training(tmp_path):
    told = []
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "no" / "run", "is not there")):
        with pytest.raises(ValueError, match=f"`checkpoint`=.*{words}"):
            DCCA(2, checkpoint=path, callback=told.append, **SMALL).fit(X, Y)
        with pytest.raises(ValueError, match=words):
            DCCA(2, **SMALL).fit(X, Y).save(path)
    assert told == []


# Passes


def test_partial_fit_continues_the_networks():
    one_pass = DCCA(2, **SMALL | {"max_epochs": 1}).fit(X, Y)
    model = DCCA(2, **SMALL).partial_fit(X, Y)
    np.testing.assert_array_equal(model.transform(X), one_pass.transform(X))
    before = weights_of(model).clone()
    mean = model.x_mean_.copy()
    model.partial_fit(X_NEW, Y_NEW)
    assert model.n_epochs_ == len(model.loss_curve_) == 2
    assert not torch.equal(weights_of(model), before)
    np.testing.assert_array_equal(model.x_mean_, mean)
    model.fit(X, Y)
    assert model.n_epochs_ == SMALL["max_epochs"]


def test_partial_fit_gathers_the_classes():
    model = SupervisedDCCA(1, **SMALL)
    model.partial_fit(X[y < 2], Y[y < 2], y[y < 2]).partial_fit(X[y > 0], Y[y > 0], y[y > 0])
    assert list(model.classes_) == [0, 1, 2]


# Files


@pytest.mark.parametrize("labels", [y, np.array(["low", "mid", "high"])[y]])
def test_a_file_brings_back_the_estimator(tmp_path, labels):
    path = tmp_path / "model.safetensors"
    model = SupervisedDCCA(2, **SMALL).fit(Views(audio=X, visual=Y), labels)
    model.save(path)
    loaded = SupervisedDCCA.load(path)
    views = Views(audio=X_NEW, visual=Y_NEW)
    for a, b in zip(loaded.transform(views), model.transform(views), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.get_params() == model.get_params()
    assert set(vars(loaded)) == set(vars(model))
    assert loaded.score(views) == model.score(views)
    with pytest.raises(ValueError, match=r"holds a SupervisedDCCA: SupervisedDCCA.load"):
        DCCA.load(path)


def test_a_loaded_estimator_is_trained_further(tmp_path):
    model = DCCA(2, warm_start=True, **SMALL).fit(X, Y)
    model.save(tmp_path / "model")
    loaded = DCCA.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.fit(X, Y).transform(X), model.fit(X, Y).transform(X))


def test_networks_of_your_own_are_asked_for(tmp_path):
    def factory(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, n_outputs), nn.BatchNorm1d(n_outputs))

    model = DCCA(2, x_network=factory, **SMALL).fit(X, Y)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"give what the estimator was given: x_network=\.\.\."):
        DCCA.load(tmp_path / "model")
    loaded = DCCA.load(tmp_path / "model", x_network=factory)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


def test_every_process_needs_rows_of_a_batch(monkeypatch):
    monkeypatch.setattr("skcca.nn.two_view.world_size", lambda: 4)
    with pytest.raises(ValueError, match="`batch_size`=3 leaves some of 4 processes without rows"):
        DCCA(1, **SMALL | {"batch_size": 3}).fit(X, Y)


HELD = Views(X[:40], Y[:40])


# Checkpoints


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_checkpoints_are_of_one_fit(how, tmp_path):
    model = DCCA(2, checkpoint=tmp_path / "run", warm_start=how == "warm_start", **SMALL)
    with pytest.raises(ValueError, match=f"belongs to one fit, and .*{how}.* continues another"):
        (model.partial_fit if how == "partial_fit" else model.fit)(X, Y)
    assert not list(tmp_path.iterdir())


def arguments(**changes):
    return {"X": X, "y": Y, "labels": y, "X_val": HELD, "y_val": y[:40]} | changes


def own(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 7), nn.Linear(7, n_outputs))


WEIGHTS = np.ones(200)
WEIGHTS[:9] = 0.5
DIFFERENT = {
    "first view": (arguments(X=X + 1e-9 * (np.arange(5) == 3)), {}, "data"),
    "second view": (arguments(y=Y[:, ::-1]), {}, "data"),
    "labels": (arguments(labels=np.roll(y, 1)), {}, "data"),
    "names of the labels": (arguments(labels=y + 1, y_val=y[:40] + 1), {}, "data"),
    "weights": (arguments(sample_weight=WEIGHTS), {}, "data"),
    "held-out rows": (arguments(X_val=Views(X[40:80], Y[40:80])), {}, "validation_data"),
    "held-out labels": (arguments(y_val=np.roll(y[:40], 1)), {}, "validation_data"),
    "no held-out rows": (arguments(X_val=None, y_val=None), {}, "validation_data"),
    "hidden layers": (arguments(), {"x_hidden_layer_sizes": (7,)}, "network_shapes"),
    "own networks": (arguments(), {"y_network": own}, "network_shapes"),
    "seed": (arguments(), {"random_state": 1}, "random_state"),
    "learning rate": (arguments(), {"learning_rate": 0.1}, "learning_rate"),
    "schedule": (
        arguments(), {"learning_rate_schedule": "linear", "max_epochs": 4}, "max_epochs",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "run"
    SupervisedDCCA(2, checkpoint=path, **SMALL).fit(**arguments())
    return path


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_checkpoint_knows_its_training(what, written):
    given, settings, differs = DIFFERENT[what]
    content = written.read_bytes()
    with pytest.raises(ValueError, match=f"written by another training: .*{differs}.* differ"):
        SupervisedDCCA(2, checkpoint=written, **SMALL | settings).fit(**given)
    assert written.read_bytes() == content


def test_a_checkpoint_of_the_same_training_is_taken(written):
    with pytest.raises(ValueError, match=r"a training of 3 epochs, and `max_epochs`=2"):
        SupervisedDCCA(2, checkpoint=written, **SMALL | {"max_epochs": 2}).fit(**arguments())
    with pytest.warns(UserWarning, match="continued after epoch 3 of 3"):
        model = SupervisedDCCA(2, checkpoint=written, **SMALL).fit(**arguments())
    fresh = SupervisedDCCA(2, **SMALL).fit(**arguments())
    np.testing.assert_array_equal(model.transform(X), fresh.transform(X))


def test_files_that_are_no_checkpoint_are_named(tmp_path):
    (tmp_path / "notes").write_text("not a checkpoint")
    DCCA(2, **SMALL).fit(X, Y).save(tmp_path / "model")
    for name, message in (("notes", "not a whole file"), ("model", "something else than")):
        with pytest.raises(ValueError, match=f"{name}' .*{message}"):
            DCCA(2, checkpoint=tmp_path / name, **SMALL).fit(X, Y)
        assert (tmp_path / name).exists()


def test_a_checkpoint_of_an_older_layout_is_refused_by_both_versions(tmp_path):
    save_tree(tmp_path / "run", {"identity": {"the estimator": "DCCA"}, "rng": {}, "run": {}})
    with pytest.raises(ValueError, match=r"has layout 1 of checkpoints, and .* continues layout 2"):
        DCCA(2, checkpoint=tmp_path / "run", **SMALL).fit(X, Y)


# Files


@pytest.fixture(scope="module")
def model():
    return DCCA(2, **SMALL).fit(X, Y)


def test_a_path_among_the_parameters_comes_back_as_text(tmp_path):
    path = tmp_path / "run"
    DCCA(2, checkpoint=path, **SMALL).fit(X, Y).save(tmp_path / "model")
    assert DCCA.load(tmp_path / "model").checkpoint == str(path)


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_generators_are_refused_by_name_and_leave_no_file(kind, tmp_path):
    model = DCCA(2, **SMALL | {"random_state": kind(0)}).fit(X, Y)
    with pytest.raises(TypeError, match=r"DCCA.save: `random_state` .* set_params\(random_state="):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    model.set_params(random_state=None).save(tmp_path / "model")
    np.testing.assert_array_equal(DCCA.load(tmp_path / "model").transform(X), model.transform(X))


def test_the_container_of_scores_is_kept(tmp_path):
    model = DCCA(2, **SMALL).set_output(transform="pandas").fit(X, Y)
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(DCCA.load(tmp_path / "model").transform(X), model.transform(X))


def test_files_that_hold_no_estimator_are_named(written):
    with pytest.raises(ValueError, match="run' holds no estimator"):
        SupervisedDCCA.load(written)


def first(value):
    return {k: v[:1] for k, v in value.items()} if isinstance(value, dict) else value[:1]


@pytest.mark.parametrize(
    "name", ["x_network_", "y_network_", "x_mean_", "y_scale_", "_x_output_mean", "x_weights_"]
)
def test_files_whose_arrays_do_not_fit_are_named(name, model, tmp_path):
    model.save(tmp_path / "whole")
    tree = load_tree(tmp_path / "whole", torch)
    attributes = tree["attributes"]
    for changed in (
        attributes | {name: first(attributes[name])},
        {k: v for k, v in attributes.items() if k != name},
    ):
        save_tree(tmp_path / "other", tree | {"attributes": changed})
        with pytest.raises(ValueError, match=r"(?s)DCCA.load: '.*other' does not hold"):
            DCCA.load(tmp_path / "other")


@pytest.mark.parametrize("params", [{"loss": "none"}, {"of_another_version": 1}])
def test_files_whose_parameters_are_none_are_named(params, model, tmp_path):
    model.save(tmp_path / "whole")
    tree = load_tree(tmp_path / "whole", torch)
    save_tree(tmp_path / "other", tree | {"params": tree["params"] | params})
    with pytest.raises(ValueError, match=r"DCCA.load: '.*other' does not hold"):
        DCCA.load(tmp_path / "other")


def test_files_set_no_method(model, tmp_path):
    model.save(tmp_path / "whole")
    tree = load_tree(tmp_path / "whole", torch)
    attributes = tree["attributes"] | {"transform": 3}
    save_tree(tmp_path / "other", tree | {"attributes": attributes})
    with pytest.raises(ValueError, match="'transform' is no attribute that fit sets"):
        DCCA.load(tmp_path / "other")

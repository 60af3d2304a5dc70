"""Checkpoints and files of deep estimators: what they know, keep and refuse."""

import numpy as np
import pandas as pd
import pytest
import torch
from _data import two_views
from _models import SMALL
from torch import nn

from skcca import DCCA, SupervisedDCCA, Views
from skcca._core.files import load_tree, save_tree

X, Y, y = two_views(120)
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


WEIGHTS = np.ones(120)
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
}


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


@pytest.mark.parametrize("kept", [0, 5, 200, -20])
def test_files_that_end_too_soon_are_named(kept, model, tmp_path):
    model.save(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:kept])
    with pytest.raises(ValueError, match="cut' is not a whole file"):
        DCCA.load(tmp_path / "cut")


def test_files_that_hold_no_estimator_are_named(written):
    with pytest.raises(ValueError, match="run' holds no estimator"):
        SupervisedDCCA.load(written)


def first(value):
    return {k: v[:1] for k, v in value.items()} if isinstance(value, dict) else value[:1]


@pytest.mark.parametrize(
    "name",
    ["x_network_", "y_network_", "x_mean_", "y_scale_", "_x_output_mean", "x_weights_"],
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

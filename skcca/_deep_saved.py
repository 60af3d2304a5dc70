"""Two networks and their directions in one file, which executes nothing when it is read."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._base import TwoViewTransformer
from skcca._core.compat import require_torch
from skcca._core.files import check_writable


class SavedNetworks(TwoViewTransformer):
    """A two-view estimator of networks, with `save` and `load`."""

    x_network: Any
    y_network: Any
    n_components_: int
    _built_for: dict[str, Any]  # what the networks fit

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, which executes nothing when it is read.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format.

        Raises
        ------
        TypeError
            If a parameter or an attribute is neither a number, a string, an array nor made of
            these; pickle keeps everything.

        Examples
        --------
        >>> import numpy as np, tempfile, pathlib
        >>> from skcca import DCCA
        >>> rng = np.random.default_rng(0)
        >>> X, Y = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
        >>> model = DCCA(2, max_epochs=1, random_state=0).fit(X, Y)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> model.save(path)
        >>> np.array_equal(DCCA.load(path).transform(X), model.transform(X))
        True
        """
        check_is_fitted(self)
        check_writable(path, f"{type(self).__name__}.save: `path`")
        from skcca.nn.files import attributes_of, write_estimator

        params = self.get_params(deep=False)
        own = sorted(f"{side}_network" for side in "xy" if params[f"{side}_network"] is not None)
        attributes = attributes_of(self)
        for side in "xy":
            attributes[f"{side}_network_"] = attributes[f"{side}_network_"].state_dict()
        attributes["_built_for"] = attributes["_built_for"] | {"own networks": (None, None)}
        write_estimator(self, path, attributes, without=[*own, "callback"], own=own)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, x_network: Any = None, y_network: Any = None
    ) -> Self:
        """Return the estimator that `save` wrote; the networks are on the CPU.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        x_network, y_network : torch.nn.Module or callable, default=None
            Networks of your own, as the estimator was given them: a file without code holds their
            weights alone.

        Returns
        -------
        model : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the file is damaged, holds another estimator, or a network of your own is missing or
            another one.
        """
        require_torch(cls.__name__)
        from skcca.nn.files import read_estimator, rebuilding, set_attributes

        tree = read_estimator(cls, path)
        from skcca.nn.networks import build_network, restored

        given = {"x_network": x_network, "y_network": y_network}
        missing = [name for name in tree.get("own", ()) if given[name] is None]
        if missing:
            raise ValueError(
                f"{cls.__name__}.load: {str(path)!r} holds the weights of networks of your own; "
                f"give what the estimator was given: {', '.join(f'{m}=...' for m in missing)}."
            )
        with rebuilding(cls, path):
            model = cls(**tree["params"] | {name: given[name] for name in tree["own"]})
            weights = {side: tree["attributes"].pop(f"{side}_network_") for side in "xy"}
            set_attributes(model, tree["attributes"])
            built_for = model._built_for
            built_for["own networks"] = (model.x_network, model.y_network)
            for i, side in enumerate("xy"):
                network = build_network(
                    getattr(model, f"{side}_network"),
                    built_for["features"][i],
                    built_for["n_components"],
                    hidden_layer_sizes=built_for["layers"][i],
                    activation=built_for["activations"][0],
                    output_activation=built_for["activations"][1],
                    dropout=built_for["dropout"],
                )
                dtype = built_for["dtypes"][i]
                setattr(model, f"{side}_network_", restored(network, weights[side], dtype))
                model._check_shapes(side, built_for["features"][i])
            return model

    def _check_shapes(self, side: str, n_features: int) -> None:
        """Refuse arrays of a file that cannot belong to one estimator."""
        weights = getattr(self, f"{side}_weights_")
        for name, shape in (
            (f"{side}_mean_", (n_features,)),
            (f"{side}_scale_", (n_features,)),
            (f"_{side}_output_mean", (len(weights),)),
            (f"{side}_weights_", (len(weights), self.n_components_)),
        ):
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f"`{name}` has shape {found} in place of {shape}")

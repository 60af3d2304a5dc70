"""A fitted selector in a file, which executes nothing when it is read."""

from __future__ import annotations

import os
from typing import Self

from skcca._emotion import EmotionModel
from skcca._saved import (
    attributes_of,
    check_savable,
    read_estimator,
    rebuilding,
    set_attributes,
    write_estimator,
)


class SavedSelector(EmotionModel):
    """An emotion model, trained or not, with `save` and `load`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted selector to one file, which executes nothing when it is read.

        It carries the names of the emotions, the standardisation of the frames and all parameters,
        `frame_duration` among them.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format.

        Raises
        ------
        TypeError
            If a parameter or a label is neither a number nor a string; pickle keeps everything.
        """
        check_savable(self, path)
        attributes = attributes_of(self)
        if "network_" in attributes:
            attributes["network_"] = attributes["network_"].state_dict()
        write_estimator(self, path, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the selector that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Name of the file.

        Returns
        -------
        selector : ChunkSelector
            The fitted selector.

        Raises
        ------
        ValueError
            If the file is damaged or holds something else.
        """
        tree = read_estimator(cls, path)
        with rebuilding(cls, path):
            selector, attributes = cls(**tree["params"]), tree["attributes"]
            weights = attributes.pop("network_", None)
            set_attributes(selector, attributes)
            if weights is not None:
                network = selector._new_network(len(selector.classes_))
                network.load_state_dict(weights)
                selector.network_ = network.eval()
        return selector

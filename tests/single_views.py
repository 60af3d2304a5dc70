"""Two views, and single-view transformers that ask for labels or know no more than they must."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skcca import Views, ViewTransformer

N = 30
RNG = np.random.default_rng(0)
A = RNG.normal(3, 2, size=(N, 5))
V = RNG.normal(-1, 9, size=(N, 4))
Y = np.arange(N) % 2
SONGS = [RNG.normal(size=(3 + i % 4, 2)) for i in range(N)]
NAMED = Views(audio=A, visual=V)


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

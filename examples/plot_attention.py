"""
Attention from end to end
=========================

A song is a sequence, most of which says little about its emotion. Attention to the informative
parts can be learned in two ways. :class:`~skcca.ChunkSelector` learns it from the labels of songs,
before a two-view estimator is fitted. :class:`~skcca.nn.AttentionTower` is a network of
:class:`~skcca.SupervisedDCCA`; it takes whole sequences and learns attention from the correlation
with the other view.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from skcca import ChunkSelector, SupervisedDCCA
from skcca.datasets import make_music_videos
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.nn import AttentionTower
from skcca.plotting import AttentionDisplay

plt.style.use("tableau-colorblind10")

# %%
# Songs and pictures
# ------------------
# Simulated music videos: a sequence of 128 features a second, one vector of 1,024 features for
# the picture, and an emotion that is heard in a few stretches of the song. Songs differ in length.
data = make_music_videos(420, n_emotions=3, lengths=(45, 60), random_state=0)
songs, pictures = data.audio, data.visual
emotions = data.emotion_names[data.emotion]
train, test = np.arange(270), np.arange(270, 420)
print(f"{len(songs)} songs of {min(map(len, songs))} to {max(map(len, songs))} s")

# %%
# Three networks for the songs
# ----------------------------
# The pictures always have the default network. The songs have three: the default network, which
# takes rows, here the means over time; an attention tower, which takes sequences; and an attention
# tower that starts from the weights of a selector. Three emotions allow two components.
selector = ChunkSelector(hidden_size=32, batch_size=16, max_epochs=8, random_state=0)
selector.fit([songs[i] for i in train], emotions[train])


def model_of(x_network=None):
    """Return the estimator with a custom network for the songs."""
    options = {"batch_size": 135, "max_epochs": 15, "random_state": 0}
    return SupervisedDCCA(2, x_network=x_network, **options)


means = [song.mean(axis=0) for song in songs]
tower = partial(AttentionTower, hidden_size=32)
tried = {
    "means of songs": (model_of(), means),
    "attention, from nothing": (model_of(tower), songs),
    "attention, from a selector": (model_of(selector.tower()), songs),
}
chance = chance_map(emotions[test])
scores = {}
for name, (model, audio) in tried.items():
    model.fit([audio[i] for i in train], pictures[train], emotions[train])
    found = model.transform([audio[i] for i in test]), model.transform_y(pictures[test])
    scores[name] = mean_average_precision_score(*found, emotions[test])
    print(f"{name:<27} MAP {scores[name]:.3f}   (chance {chance:.3f})")

# %%
fig, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
names = list(scores)[::-1]
ax.plot([scores[name] for name in names], names, "o", ms=9)
ax.axvline(chance, color="k", ls="--", lw=1)
ax.annotate(
    "chance", (chance, 1), (4, -12), textcoords="offset points", xycoords=("data", "axes fraction")
)
ax.set(xlabel="MAP of held-out songs that search pictures", xlim=(0.3, 0.7), ylim=(-0.5, 2.5))
plt.show()

# %%
# Attention of the selector
# -------------------------
# The figure shows one held-out song: its attention over time, the borders of three chunks and the
# chosen one. The black line at the bottom marks the seconds in which the simulation put the
# emotion.
song = test[1]
display = AttentionDisplay.from_estimator(
    selector, songs[song], title=f"A held-out song: {emotions[song]}"
)
heard = np.flatnonzero(np.diff(np.r_[0, data.stretches[song], 0])).reshape(-1, 2)
for start, stop in heard:
    display.ax_.axvspan(start, stop, ymax=0.05, color="k")
display.ax_.set_xlabel("Time (s); black: the emotion is heard")
plt.show()

# %%
# Over all held-out songs, compare the share of attention in the seconds of the emotion with their
# share of time. A step of attention is the maximum over three seconds.
inside, share = [], []
for i, attention in zip(test, selector.attention([songs[i] for i in test]), strict=True):
    seconds = np.repeat(attention / 3, 3)[: len(songs[i])]
    inside.append(seconds[data.stretches[i]].sum() / seconds.sum())
    share.append(data.stretches[i].mean())
print(f"attention inside {np.mean(inside):.0%}, time inside {np.mean(share):.0%}")

# %%
# Conclusions
# -----------
# Most of the attention lies in the third of the time in which the emotion is heard. Both towers
# rank the pictures better here than the means of songs do, although the tower without a selector
# has no information about emotions but the pairing. One draw of 420 songs is not conclusive: with
# `random_state` 1, 2 and 3 of the data the towers were ahead of the means by between nothing and
# 0.08, and either tower could be the better one.

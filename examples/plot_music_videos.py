"""
A clip of a song finds music videos
===================================

Most of a song says little of its emotion. Here an attention network, trained on the annotated
songs, chooses the chunks that do; a supervised deep CCA learns a space that those chunks share
with the pictures; and a retriever answers a listener's clip with music videos of the same
emotion.

The videos are simulated by :func:`skcca.datasets.make_music_videos`: few and short ones, so that
this page is built in seconds. ``examples/music_video_retrieval.py`` runs the same steps at full
size, with more methods.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcca import ChunkSelector, ClusterCCA, CrossModalRetriever, SupervisedDCCA, Views
from skcca.datasets import make_music_videos
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.plotting import AttentionDisplay, RankingDisplay

# %%
# Songs and pictures
# ------------------
# A song is a sequence of 128 features a second, its picture one vector of 1,024. The emotion is
# heard in a few stretches of the song alone. Some songs are annotated with their emotion; others
# are held out.
data = make_music_videos(
    600, n_emotions=4, lengths=(60, 80), annotated_fraction=0.6, random_state=0
)
emotions = data.emotion_names[data.emotion]
videos = Views(audio=data.audio, visual=data.visual)
annotated = np.flatnonzero(data.annotated)
test = np.flatnonzero(~data.annotated)[:150]
train = np.setdiff1d(np.arange(len(emotions)), test)
print(f"{len(train)} videos to fit on, {len(annotated)} songs annotated, {len(test)} held out")

# %%
# Which chunks carry the emotion
# ------------------------------
# The selector learns from the annotated songs. A song is then cut into nine chunks, and the three
# that attention rates highest stand for it. Black below is where the simulation put the emotion,
# which the selector was never told.
selector = ChunkSelector(n_chunks=9, k=3, batch_size=16, max_epochs=6, random_state=0)
selector.fit(videos[annotated], emotions[annotated])

song = test[3]
display = AttentionDisplay.from_estimator(
    selector, data.audio[song], title=f"Song {song}, {emotions[song]}"
)
edges = np.flatnonzero(np.diff(np.r_[False, data.stretches[song], False]))
for start, stop in edges.reshape(-1, 2):
    display.ax_.axvspan(start, stop, ymax=0.04, color="k")
display.ax_.set_xlabel("Time (s); black: the emotion is heard")
plt.show()

# %%
# How much of the chosen chunks is emotion, over all held-out songs?
chosen = [
    data.stretches[i][start:stop]
    for i, selection in zip(test, selector.select(videos[test]), strict=True)
    for start, stop in zip(selection.starts, selection.stops, strict=True)
]
everything = [data.stretches[i] for i in test]
for name, seconds in {"chosen chunks": chosen, "whole songs": everything}.items():
    print(f"{name:<14} {np.concatenate(seconds).mean():.0%} of the seconds have the emotion")

# %%
# A space that both views share
# -----------------------------
# All pairs of a song and a picture of its emotion are learned from, by linear maps and by
# networks. Four emotions leave three components. Held-out songs search held-out pictures, and
# relevant are those of the song's emotion.
chance = chance_map(emotions[test])
for name, k in {"whole songs": 9, "chosen chunks": 3}.items():
    rows = selector.set_params(k=k).transform(videos)
    for model in ClusterCCA(3, reg="auto"), SupervisedDCCA(3, max_epochs=30, random_state=0):
        model.fit(rows[train], emotions[train])
        score = mean_average_precision_score(*model.transform(*rows[test]), emotions[test])
        print(f"{name:<14} {type(model).__name__:<15} MAP {score:.3f}   (chance {chance:.3f})")

# %%
# A listener's clip
# -----------------
# A retriever keeps the embedded pictures under names of ours. The clip of 25 seconds begins where
# the emotion sets in; it passes the same selector and finds its five best videos.
names = np.array([f"video {i} ({emotions[i]})" for i in range(len(emotions))])
retriever = CrossModalRetriever(model, prefit=True).add(data.visual[test], ids=names[test])
start = min(edges[0], len(data.audio[song]) - 25)
clip = data.audio[song][start : start + 25]
heard = selector.transform(Views(audio=[clip], visual=None))
found = retriever.query(heard, k=5)
print(f"A clip of song {song} ({emotions[song]}) finds")
for name, similarity in zip(found.ids[0], found.scores[0], strict=True):
    print(f"    {name:<22} {similarity:.3f}")

# %%
# Five whole songs of the test rows, and what they find:
RankingDisplay.from_estimator(
    model,
    *rows[test],
    labels=emotions[test],
    query_names=[f"song {i}" for i in test],
    gallery_names=[f"video {i}" for i in test],
    name="Songs find music videos",
)
plt.show()

# %%
# What was learned
# ----------------
# Attention finds the emotion: it is heard in more than two thirds of the chosen seconds, in a
# third of all. Chosen chunks rank better than the means of whole songs, with linear maps and with
# networks alike. The networks rank a little worse than the linear maps here: hundreds of videos
# are few for them.

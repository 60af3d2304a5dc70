"""
Retrieval of music videos by clips of songs
===========================================

Most of a song says little about its emotion. An attention network, trained on annotated songs,
selects the informative chunks. A supervised deep CCA embeds these chunks and the pictures in one
space, and a retriever answers a clip with music videos of the same emotion.

The videos are simulated by :func:`skcca.datasets.make_music_videos`. They are few and short, so
that the example runs in seconds. ``examples/music_video_retrieval.py`` runs the same steps at full
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
# Selection of chunks
# -------------------
# The selector learns from the annotated songs. A song is then cut into nine chunks, and is
# represented by the three with the highest attention. The black line below marks the seconds in
# which the simulation put the emotion, which the selector does not know.
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
# Share of emotional seconds in the chosen chunks, over all held-out songs:
chosen = [
    data.stretches[i][start:stop]
    for i, selection in zip(test, selector.select(videos[test]), strict=True)
    for start, stop in zip(selection.starts, selection.stops, strict=True)
]
everything = [data.stretches[i] for i in test]
for name, seconds in {"chosen chunks": chosen, "whole songs": everything}.items():
    print(f"{name:<14} {np.concatenate(seconds).mean():.0%} of the seconds have the emotion")

# %%
# A shared space
# --------------
# Linear maps and networks are fitted to all pairs of a song and a picture of its emotion. Four
# emotions allow three components. Held-out songs are the queries for held-out pictures, and the
# pictures of the song's emotion are relevant.
chance = chance_map(emotions[test])
for name, k in {"whole songs": 9, "chosen chunks": 3}.items():
    rows = selector.set_params(k=k).transform(videos)
    for model in ClusterCCA(3, reg="auto"), SupervisedDCCA(3, max_epochs=30, random_state=0):
        model.fit(rows[train], emotions[train])
        score = mean_average_precision_score(*model.transform(*rows[test]), emotions[test])
        print(f"{name:<14} {type(model).__name__:<15} MAP {score:.3f}   (chance {chance:.3f})")

# %%
# A query
# -------
# A retriever keeps the embedded pictures under given names. The clip of 25 seconds begins with the
# emotion. It passes through the same selector, and the five best videos are returned.
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
# Results of five whole songs of the test rows:
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
# Conclusions
# -----------
# The emotion is heard in more than two thirds of the chosen seconds, and in a third of all seconds.
# Chosen chunks rank better than the means of whole songs, with linear maps and with networks. The
# networks rank a little worse than the linear maps here, because hundreds of videos are few for
# them.

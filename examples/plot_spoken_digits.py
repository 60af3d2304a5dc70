"""
Retrieval of handwritten digits by spoken ones
==============================================

A recording of a digit and an image of a digit have only the class in common; no recording belongs
to a particular image. Methods that pair rows need a partner for each recording, which can only be a
random image of its digit. Methods that pair classes use all images of the digit.

With the Free Spoken Digit Dataset and MNIST in the folder that the variable ``SKCCA_DATA`` names,
this example uses them (see :func:`skcca.datasets.load_spoken_digits` for the files); without them
it makes ten "words" of moving bands of noise, and takes the small digits of scikit-learn.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skcca import CCA, ClusterCCA, SupervisedDCCA
from skcca.datasets import load_mnist, load_spoken_digits
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.plotting import PrecisionRecallDisplay, RankingDisplay

# Some pixels are empty in every image, and are left out.
warnings.filterwarnings("ignore", message=".*features that are constant")
rng = np.random.default_rng(0)
# The colours can be told apart by colour-blind readers, the dashes in print.
STYLES = [
    ("#0072B2", ":"),
    ("#E69F00", "--"),
    ("#009E73", "-"),
]

# %%
# Sound and images
# ----------------
# A recording has one row of 40 log-mel bands every 10 ms, and recordings differ in length. An
# artificial word has two bands that glide along different courses; speakers differ in pitch and
# pace.


def speak(digit):
    """Return one artificial recording of a digit, of shape (n_frames, 40)."""
    start, end, curve = np.random.default_rng(digit).uniform([8, 8, 0], [32, 32, 8], size=(2, 3)).T
    time = np.linspace(0, 1, rng.integers(30, 60))[:, None] ** rng.uniform(0.7, 1.4)
    height = start + (end - start) * time + curve * np.sin(2 * np.pi * time) + rng.normal(0, 2)
    bands = np.exp(-(((np.arange(40) - height[:, :, None]) / 2.5) ** 2)).sum(axis=1)
    return 2 * bands + rng.normal(0, 1, size=bands.shape)


try:
    spoken, written = load_spoken_digits(), load_mnist()
except FileNotFoundError as missing:
    print(f"Artificial recordings, and the digits of scikit-learn: no {str(missing).split()[0]}")
    digits, new_digits = np.arange(1000) % 10, np.arange(300) % 10
    recordings, new_recordings = ([speak(digit) for digit in y] for y in (digits, new_digits))
    pixels, labels = load_digits(return_X_y=True)
    images, image_digits = pixels[:1200] / 16, labels[:1200]
    new_images, new_image_digits = pixels[1200:] / 16, labels[1200:]
else:
    print("Real recordings, and MNIST")
    some = rng.permutation(len(spoken.x_train))[:2000]
    recordings = [spoken.x_train[i] for i in some]
    digits = spoken.labels_train[some]
    new_recordings, new_digits = spoken.x_test, spoken.labels_test
    some = rng.permutation(60_000)[:2000]
    images, image_digits = written.x_train[some], written.labels_train[some]
    new_images, new_image_digits = written.x_test[:1000], written.labels_test[:1000]
print(f"{len(recordings)} recordings of {min(map(len, recordings))} to "
      f"{max(map(len, recordings))} frames, {len(images)} images")  # fmt: skip

# %%
# Recordings of any length are turned into rows of one length: each is cut into eight equal pieces,
# and the frames of a piece are averaged.


def as_rows(recordings, n_pieces=8):
    """Average the pieces of each recording: (n_recordings, n_pieces * 40)."""
    pieces = [np.array_split(recording, n_pieces) for recording in recordings]
    return np.array([np.concatenate([p.mean(axis=0) for p in row]) for row in pieces])


sound, new_sound = as_rows(recordings), as_rows(new_recordings)
print(sound.shape, images.shape)

# %%
# Three methods
# -------------
# :class:`~skcca.CCA` gets a random image of the right digit for each recording.
# :class:`~skcca.ClusterCCA` and :class:`~skcca.SupervisedDCCA` get the digits of both views, a
# tuple, and pair every recording with every image of its digit; the views need not have equally
# many rows. Ten classes allow nine components.
partners = [rng.choice(np.flatnonzero(image_digits == digit)) for digit in digits]
both = (digits, image_digits)
models = {
    "CCA, random partners": CCA(9, reg="auto").fit(sound, images[partners]),
    "ClusterCCA": ClusterCCA(9, reg="auto").fit(sound, images, labels=both),
    "SupervisedDCCA": SupervisedDCCA(9, max_epochs=15, random_state=0).fit(
        sound, images, labels=both
    ),
}

# %%
# New recordings are the queries for new images. Images of the same digit are relevant, and the
# chance level is their share of all images.
_, ax = plt.subplots(figsize=(6, 4.8), layout="constrained")
chance = chance_map(new_digits, new_image_digits)
for (name, model), (colour, dashes) in zip(models.items(), STYLES, strict=True):
    queries, gallery = model.transform(new_sound), model.transform_y(new_images)
    score = mean_average_precision_score(queries, gallery, new_digits, new_image_digits)
    print(f"{name:<22} MAP {score:.3f}   (chance {chance:.3f})")
    PrecisionRecallDisplay.from_predictions(
        queries,
        gallery,
        new_digits,
        new_image_digits,
        name=name,
        ax=ax,
        color=colour,
        linestyle=dashes,
    )
ax.set_title("Recordings search images")
plt.show()

# %%
# Results of five recordings
# --------------------------
# The first column shows log-mel bands over time, low ones at the bottom. Below each picture stand
# its name and its digit.
side = int(np.sqrt(images.shape[1]))
RankingDisplay.from_predictions(
    queries,
    gallery,
    new_digits,
    new_image_digits,
    k=6,
    query_images=[recording.T[::-1] for recording in new_recordings],
    gallery_images=new_images.reshape(-1, side, side),
    query_names=[f"recording {i}" for i in range(len(new_recordings))],
    gallery_names=[f"image {i}" for i in range(len(new_images))],
    name="SupervisedDCCA: what recordings find",
)
plt.show()

# %%
# Conclusions
# -----------
# Linear CCA with random partners of the same digit is already far above chance. All pairs of a
# digit improve it with the same linear maps, because they are free of the randomness of the
# partners. Networks on all pairs rank nearly every image of the digit before the others.

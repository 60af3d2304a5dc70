"""
Which genes and which lipids go together
========================================

Of forty mice the expression of 120 genes and the percentages of 21 fatty acids in the liver are
known. There are more features than mice, and a weight for each of them would tell little.
:class:`~skcca.SparseCCA` looks for a few genes and a few lipids that go together.

With nutrimouse in the folder that the variable ``SKCCA_DATA`` names, this example uses it (see
:func:`skcca.datasets.load_nutrimouse` for the file); without it it makes views of the same size.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold

from skcca import SparseCCA, Views
from skcca.datasets import load_nutrimouse
from skcca.inspection import report, stability_selection
from skcca.plotting import LoadingsDisplay, StabilityDisplay

# %%
# Forty mice
# ----------
try:
    mice = load_nutrimouse()
    genes, lipids = mice.x, mice.y
    names = (list(mice.x_names), list(mice.y_names))
except FileNotFoundError:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(40, 2))
    genes, lipids = rng.normal(size=(40, 120)), rng.normal(size=(40, 21))
    genes[:, :10] += 2 * np.repeat(shared, 5, axis=1)
    lipids[:, :6] += 2 * np.repeat(shared, 3, axis=1)
    names = None
print(f"{len(genes)} mice, {genes.shape[1]} genes, {lipids.shape[1]} lipids")

# %%
# Penalties by held-out correlation
# ---------------------------------
# The score is the sum of the correlations of held-out mice. It is that of eight mice at a time, and
# differences between neighbouring penalties are within its noise.
folds = KFold(5, shuffle=True, random_state=0)
grid = {"x_penalty": [0.15, 0.2, 0.3, 0.5, 1.0], "y_penalty": [0.3, 0.5, 0.7, 1.0]}
search = GridSearchCV(SparseCCA(2), grid, cv=folds).fit(Views(genes=genes, lipids=lipids))
scores = search.cv_results_["mean_test_score"].reshape(5, 4)
print("x_penalty (rows), y_penalty (columns)")
print(f"{'':>6}" + "".join(f"{p:>7}" for p in grid["y_penalty"]))
for penalty, row in zip(grid["x_penalty"], scores, strict=True):
    print(f"{penalty:>6}" + "".join(f"{score:>7.2f}" for score in row))
model = search.best_estimator_
for k, (n_genes, n_lipids) in enumerate(model.n_nonzero_.T):
    print(f"component {k}: {n_genes} genes and {n_lipids} lipids")

# %%
# The circle of correlations
# --------------------------
# A feature stands at its correlations with both variates of its view. Selected ones have names.
# Genes and lipids in the same direction go together; those on opposite sides are high where the
# others are low.
LoadingsDisplay.from_estimator(model, feature_names=names, n_features=20)
plt.show()

# %%
# What every half of the mice selects
# -----------------------------------
# The model is fitted to both halves of fifty random splits. The dashed line is the smallest share
# for which the expected number of false selections is at most one. Twenty mice are few: a gene that
# goes along with others is selected in some halves and replaced by them in the rest.
sparse = SparseCCA(2, x_penalty=0.2, y_penalty=0.4)
stable = stability_selection(sparse, genes, lipids, random_state=0)
for component in (0, 1):
    StabilityDisplay(
        stable,
        component=component,
        n_features=12,
        feature_names=names,
        view_names=(f"Genes, component {component}", f"Lipids, component {component}"),
    ).plot()
plt.show()

# %%
# One table
# ---------
# F tests do not hold for more features than rows. The p-values compare each correlation with the
# largest one of a fit to shuffled rows. The penalties were chosen on the same mice, so that these
# and the held-out correlations are a little too good.
table = report(model, genes, lipids, n_permutations=199, random_state=0)
print(table.components)

# %%
# Conclusions
# -----------
# - A few genes and lipids go together on held-out mice as well as all of them do, and the model
#   names them.
# - Not all features of one fit are reliable. Fewer, or none, are selected in enough halves of the
#   mice for the bound on false selections to hold.
# - Correlations of the mice that the model was fitted to are higher than those of others; the table
#   has both.

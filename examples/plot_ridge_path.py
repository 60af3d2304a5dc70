"""
Choosing the ridge and the number of components
===============================================

Few rows of many features need a ridge. Under a small one the components follow noise, under a large
one the features that vary most. :class:`~skcca.CCACV` scores a grid of ridges and numbers of
components on held-out rows, at the cost of a few fits. This page draws its table, shows what a
ridge for each view does, and compares the choices on new rows.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA, CCACV

# %%
# Two wide views
# --------------
# As in a small study of genes and lipids, there are 120 rows of 300 and of 30 features. Two sources
# are in both views. Others are in one view alone, and stronger, so that the features that vary most
# say nothing about the other view.
rng = np.random.default_rng(0)
n_rows, widths = 2120, (300, 30)
shared, own = rng.normal(size=(n_rows, 2)), rng.normal(size=(2, n_rows, 4))
X, Y = (
    np.hstack([shared, 3 * own[i]]) @ rng.normal(size=(6, d)) + 2 * rng.normal(size=(n_rows, d))
    for i, d in enumerate(widths)
)
train, test = slice(0, 120), slice(120, None)

# %%
# The table as a picture
# ----------------------
# `cv_results_` has the form of that of `GridSearchCV`: an entry for each setting, with its mean
# over the folds and the standard deviation. Bars are one standard error. More components always add
# to the total of training rows. Of rows that were left out, the third and later ones add noise of
# either sign. The best of many noisy means is often such a case; the rule of one standard error
# takes the simplest setting that is about as good: the fewest components, then the largest ridge.
regs, numbers, n_folds = np.logspace(-3, 2, 11), [1, 2, 3, 5], 5
search = CCACV(numbers, regs=regs, cv=n_folds).fit(X[train], Y[train])
simple = CCACV(numbers, regs=regs, cv=n_folds, one_standard_error=True).fit(X[train], Y[train])
total = search.cv_results_["mean_test_score"]
error = search.cv_results_["std_test_score"] / np.sqrt(n_folds - 1)

_, ax = plt.subplots(figsize=(6.8, 4.4), layout="constrained")
looks = zip(["#0072B2", "#E69F00", "#009E73", "#CC79A7"], ["o", "s", "^", "D"], strict=True)
for i, (k, (colour, marker)) in enumerate(zip(numbers, looks, strict=True)):
    rows = search.cv_results_["param_n_components"] == k
    ax.errorbar(
        regs * 1.06**i,  # side by side
        total[rows],
        error[rows],
        color=colour,
        marker=marker,
        ms=5,
        capsize=2,
        label=f"{k} component{'s' * (k > 1)}",
    )
for model, name, height in ((search, "best", 0.3), (simple, "one standard error", 0.15)):
    i, place = numbers.index(model.best_params_["n_components"]), total[model.best_index_]
    ax.annotate(
        name,
        (model.reg_ * 1.06**i, place),
        (model.reg_ * 1.06**i, place + height),
        ha="right" if model is search else "left",
        arrowprops={"arrowstyle": "->"},
    )
ax.set(xscale="log", xlabel="Ridge", ylabel="Total correlation of held-out rows")
ax.set_ylim(top=total.max() + 0.4)
ax.legend(frameon=False, loc="lower left")
plt.show()
print("best", search.best_params_)
print("one standard error", simple.best_params_)

# %%
# A ridge for each view
# ---------------------
# The first view has ten times as many features as the second, and needs a larger ridge. Pairs of
# ridges are given as tuples, here all of a grid with two components.
x_regs, y_regs = np.logspace(-2, 2, 9), np.logspace(-3, 1, 9)
pairs = [(x_reg, y_reg) for x_reg in x_regs for y_reg in y_regs]
paired = CCACV(2, regs=pairs, cv=n_folds).fit(X[train], Y[train])
scores = paired.cv_results_["mean_test_score"].reshape(9, 9)

figure, ax = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
image = ax.pcolormesh(y_regs, x_regs, scores, cmap="cividis", shading="nearest")
x_reg, y_reg = paired.reg_
ax.plot(y_reg, x_reg, "o", ms=13, mfc="none", mec="k", mew=1.5, label="best pair")
same = y_regs[y_regs >= x_regs[0]]
ax.plot(same, same, "k:", label="the same ridge for both")
ax.set(xscale="log", yscale="log")
ax.set(xlabel="Ridge of the narrow view", ylabel="Ridge of the wide view")
ax.legend(loc="lower left")
figure.colorbar(image, label="Total correlation of held-out rows")
plt.show()

# %%
# New rows
# --------
# Scores of a search are those of the setting that did best on these very folds. 2,000 rows that
# took no part show what each choice is worth. Without cross-validation, ``reg="auto"`` estimates a
# ridge for each view from the training rows.
tried = {
    "almost no ridge": CCA(2, reg=1e-3),
    "chosen ridge, all components": CCACV(regs=regs, cv=n_folds),
    "best of the table": search,
    "one standard error": simple,
    'reg="auto"': CCA(2, reg="auto"),
    "best pair of ridges": paired,
}
for name, model in tried.items():
    model.fit(X[train], Y[train])
    known = f"{model.best_score_:.2f}" if hasattr(model, "best_score_") else "    "
    print(f"{name:<29} in the search {known}   new rows {model.score(X[test], Y[test]):.2f}")

# %%
# Conclusions
# -----------
# In these wide views a small ridge costs little, and one as large as the variance of a feature
# begins to cost much, as the components then follow the sources of one view alone. The best total
# belongs to two components, as many as there are. The rule of one standard error chose the same
# number and a larger ridge, which predicts about as well. A ridge for each view was better than the
# best common one, on new rows too. The score in the search of a model of all thirty components is
# far above what new rows confirm: sums of many small correlations vary, and the best of the table
# is a large one. Report the score of rows that took no part in the search.

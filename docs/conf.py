"""Sphinx configuration."""

import inspect
import os
import re

import skcca

# Examples run while the site is built; a single thread is fastest for their small matrices.
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "skcca"
author = "skcca developers"
copyright = "2026, skcca developers"
version = release = skcca.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "sg_execution_times.rst", "auto_examples/sg_execution_times.rst"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = "skcca"
html_show_sourcelink = False
html_sidebars = {name: [] for name in ("results", "changes", "contributing")}
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}

extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

# Tables of contents show "fit()" and not "ClusterCCA.fit()".
toc_object_entries_show_parents = "hide"
autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
# The docstrings have types that are more precise than the annotations.
autodoc_typehints = "none"
# Members of classes are listed by autodoc.
numpydoc_show_class_members = False
# The rules of scikit-learn, except for those that its own docstrings break: the extended summary
# may be missing (ES01), as may `See Also` and `Examples` (SA01, EX01); a summary may end in a
# formula (SS03); a description need not have a capital or a period (PR08, PR09, RT04, RT05); and
# returned values have names (RT02). Parameters on consecutive lines share the description below
# them, often a reference to the function that describes them, so that PR07 is left out too.
numpydoc_validation_checks = {
    "GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10",
    "SS01", "SS02", "SS04", "SS06", "PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR10",
    "RT01", "RT03",
}  # fmt: skip

# These have the docstrings of their class, or of scikit-learn.
numpydoc_validation_exclude = {r"\.retrieval_map$", r"ViewTransformer\.[gs]et_params$"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "min_reported_time": 1e6,
    "show_memory": False,
}


def skip_what_scikit_learn_documents(app, what, name, obj, skip, options):
    """Leave out inherited methods whose docstrings refer to pages of scikit-learn's own site."""
    module = getattr(obj, "__module__", None) or ""
    foreign = inspect.isroutine(obj) and not module.startswith("skcca")
    return foreign or name.endswith("_request") or skip


def escape_fitted_names(app, what, name, obj, options, lines):
    """Escape names such as `n_components_` in types, which would become links."""
    for i, line in enumerate(lines):
        if " : " in line and not line.lstrip().startswith(">>>"):
            lines[i] = re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line)


def setup(app):
    """Connect the filters above; types are escaped before numpydoc reads them."""
    app.connect("autodoc-skip-member", skip_what_scikit_learn_documents)
    app.connect("autodoc-process-docstring", escape_fitted_names, priority=100)

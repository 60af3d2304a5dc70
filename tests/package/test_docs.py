"""The site: public names are in the API reference, chapters in the guide, and links are real."""

import importlib
import re
from pathlib import Path

import pytest
from test_docstrings import PUBLIC_MODULES

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = sorted(path for path in (DOCS / "guide").glob("*.rst") if path.stem != "index")
ROLE = re.compile(r":(?:class|func|obj|mod|meth):`~?(skcca[\w.]*)`")


def reference():
    """Return the names that api.rst lists, with that of their module."""
    text = (DOCS / "api.rst").read_text()
    assert ".. currentmodule:: skcca\n" in text
    return {f"skcca.{name}" for name in re.findall(r"^    ([\w.]+)$", text, flags=re.MULTILINE)}


def resolved(name):
    """Return the object of a dotted name."""
    parts = name.split(".")
    for i in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:i]))
        except ModuleNotFoundError:
            continue
        for part in parts[i:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def test_the_reference_lists_what_is_public_and_nothing_else():
    documented = {id(resolved(name)): name for name in reference()}
    assert len(documented) == len(reference()), "something is listed twice"
    public = {}
    for module in (*PUBLIC_MODULES, "skcca.nn"):
        names = importlib.import_module(module).__all__
        public |= {id(resolved(f"{module}.{name}")): f"{module}.{name}" for name in names}
    public = {key: name for key, name in public.items() if not described_elsewhere(name)}
    missing = {name for key, name in public.items() if key not in documented}
    assert not missing
    assert {name for key, name in documented.items() if key not in public} == set()


def test_pictures_of_estimators_link_to_the_reference():
    names = {name for name in reference() if hasattr(resolved(name), "_get_doc_link")}
    assert len(names) >= 10
    for name in names:
        link = object.__new__(resolved(name))._get_doc_link()
        assert link.endswith(f"/generated/{name}.html")
    assert type("Own", (resolved("skcca.CCA"),), {"__module__": "own"})()._get_doc_link() == ""


def described_elsewhere(name):
    """Tell whether a name is a version, a module, or the type of what a function returns."""
    found = resolved(name)
    is_result = isinstance(found, type) and issubclass(found, tuple)
    return not callable(found) or is_result


def test_every_chapter_is_in_the_guide():
    index = (DOCS / "guide" / "index.rst").read_text()
    assert set(re.findall(r"^    (\w+)$", index, flags=re.MULTILINE)) == {p.stem for p in GUIDE}


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.stem)
def test_what_a_chapter_refers_to_exists(path):
    names = ROLE.findall(path.read_text())
    for name in names:
        resolved(name)


def test_chapters_refer_to_most_of_what_there_is():
    assert len({name for path in GUIDE for name in ROLE.findall(path.read_text())}) > 30


def test_a_name_that_is_gone_is_noticed():
    with pytest.raises(AttributeError):
        resolved("skcca.metrics.no_such_measure")

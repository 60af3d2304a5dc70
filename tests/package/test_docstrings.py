"""What the docstrings state about parameters, against the signatures."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

PUBLIC_MODULES = (
    "skcca",
    "skcca.audio",
    "skcca.cluster",
    "skcca.datasets",
    "skcca.inspection",
    "skcca.metrics",
    "skcca.model_selection",
    "skcca.plotting",
    "skcca.retrieval",
)


def public_objects() -> dict[str, object]:
    """Return public classes and functions by the name under which a user finds them."""
    found = {}
    for module in map(importlib.import_module, PUBLIC_MODULES):
        for name in module.__all__:
            member = getattr(module, name)
            result_type = inspect.isclass(member) and issubclass(member, tuple)
            if callable(member) and not result_type and member not in found.values():
                found[f"{module.__name__}.{name}"] = member
    return found


def public_functions() -> dict[str, object]:
    """Return public functions, and the public methods that this package writes."""
    found = {name: member for name, member in OBJECTS.items() if inspect.isfunction(member)}
    for class_name, member in OBJECTS.items():
        if not inspect.isclass(member) and not inspect.isfunction(member):  # a scorer
            found[f"{class_name}.__call__"] = type(member).__call__
        methods = inspect.getmembers(member, inspect.isroutine) if inspect.isclass(member) else []
        for name, method in methods:
            # scikit-learn writes set_fit_request and its kin, docstring included.
            ours = (getattr(method, "__module__", None) or "").startswith("skcca")
            if ours and not name.startswith("_") and not name.endswith("_request"):
                found[f"{class_name}.{name}"] = method
    return found


OBJECTS = public_objects()
FUNCTIONS = public_functions()
CLASSES = {name: member for name, member in OBJECTS.items() if inspect.isclass(member)}


def sections(documented: object) -> dict[str, str]:
    """Split a numpydoc docstring into its sections."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}$", inspect.getdoc(documented), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented_parameters(documented: object) -> dict[str, str]:
    """Map each name of the Parameters section to its type line."""
    entries = re.findall(r"^(\S.*?)(?: : (.*))?$", sections(documented).get("Parameters", ""), re.M)
    return {name.lstrip("*"): kind for names, kind in entries for name in names.split(", ")}


def signature_parameters(documented: object) -> dict[str, inspect.Parameter]:
    """Map each parameter of the signature to its entry, without `self`."""
    parameters = dict(inspect.signature(documented).parameters)
    parameters.pop("self", None)
    return parameters


@pytest.mark.parametrize("name", CLASSES | FUNCTIONS)
def test_documented_defaults_are_those_of_the_signature(name):
    documented = (CLASSES | FUNCTIONS)[name]
    stated, actual = documented_parameters(documented), signature_parameters(documented)
    assert list(stated) == list(actual)
    for parameter, entry in actual.items():
        _, _, default = stated[parameter].partition("default=")
        if entry.default is inspect.Parameter.empty:
            assert not default, f"`{parameter}` has no default"
        else:
            assert default, f"the default of `{parameter}`, {entry.default!r}, is not documented"
            assert ast.literal_eval(default) == entry.default, parameter


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_object_shows_an_example(name):
    assert ">>> " in sections(OBJECTS[name]).get("Examples", "")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_documents_what_it_returns(name):
    if inspect.signature(FUNCTIONS[name]).return_annotation not in (None, "None"):
        assert {"Returns", "Yields"} & sections(FUNCTIONS[name]).keys()


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_object_is_on_the_api_page(name):
    page = Path(__file__).parents[2] / "docs" / "api.rst"
    assert name.removeprefix("skcca.") in page.read_text(encoding="utf-8").split()

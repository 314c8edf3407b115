"""The public names: which are visible, and that each has types, a docstring and an example that runs.

What one folder of the package takes from another is an interface as well: it has types, and no underscore.
"""

import ast
import doctest
import importlib.util
import inspect
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import command_environment

import deepdream as dd

PACKAGE = Path(dd.__file__).resolve().parent
FUNCTIONS = [name for name in dd.__all__ if inspect.isfunction(getattr(dd, name))]
CLASSES = [name for name in dd.__all__ if inspect.isclass(getattr(dd, name))]
ERRORS = [name for name in CLASSES if issubclass(getattr(dd, name), dd.DreamError)]
RECORDS = ["Frame", "Step"]  # made by the library alone
WITH_EXAMPLES = [*FUNCTIONS, *(name for name in CLASSES if name not in (*ERRORS, *RECORDS))]
NO_PARAMETER = {"self", "cls"}


def test_nothing_is_visible_beside_the_public_names():
    assert sorted(dir(dd)) == sorted(dd.__all__)
    assert sorted({*FUNCTIONS, *CLASSES, "__version__"}) == sorted(dd.__all__)


# What is imported when it is first used


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-c", code], env=command_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_package_imports_no_library():
    """So that the command can answer at once."""
    for module in ("deepdream", "deepdream.cli", "deepdream.cli.startup"):
        loaded = {name.partition(".")[0] for name in run_python(f"import sys, {module}; print(*sys.modules)")}
        assert loaded & {"numpy", "scipy", "caffe", "PIL", "typer", "rich", "requests"} == set()


def test_a_type_checker_finds_each_name_where_it_is_imported_from():
    found = {
        alias.name: node.module
        for node in ast.walk(MODULES[("__init__",)])
        if isinstance(node, ast.ImportFrom) and node.level and node.module not in ("_version", "fork_lock")
        for alias in node.names
    }
    assert found == dd._HOMES
    assert sorted([*found, "__version__"]) == sorted(dd.__all__)


def test_no_module_takes_the_place_of_a_public_name():
    assert {name for name in dd.__all__ if importlib.util.find_spec(f"deepdream.{name}")} == set()


def test_every_name_can_be_imported_first():
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda name: run_python(f"from deepdream import {name}"), ("Video", "picture", "Recipe")):
            pass
    assert run_python("from deepdream import *; print(classify.__name__, guided.__name__)") == ["classify", "guided"]


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'dream_on'"):
        _ = dd.dream_on
    assert not hasattr(dd, "guide_image")


THREADS = """
import threading
import deepdream as dd

names, found, start = sorted(dd.__all__), {}, threading.Barrier(12)

def use(number):
    start.wait()
    name = names[number * len(names) // 12]
    found[name] = getattr(dd, name)

threads = [threading.Thread(target=use, args=(number,)) for number in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(getattr(dd, name) is value for name, value in found.items()))
"""


def test_several_threads_may_use_the_package_first():
    assert run_python(THREADS) == ["12"]


def test_caffe_is_quiet_even_when_it_is_imported_by_itself():
    forget = "import os; os.environ.pop('GLOG_minloglevel', None)"
    assert run_python(f"{forget}; import deepdream; print(os.environ['GLOG_minloglevel'])") == ["1"]


def unannotated(function):
    """The parameters of a function that have no type, and "return" if its result has none."""
    signature = inspect.signature(function)
    bare = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is parameter.empty and name not in NO_PARAMETER
    ]
    return bare + ["return"] * (signature.return_annotation is signature.empty)


def own_methods(kind):
    """{name: function} of the public methods and properties that a class of ours defines, and its constructor."""
    found = {}
    for parent in kind.__mro__:
        if not parent.__module__.startswith("deepdream"):
            continue
        for name, value in vars(parent).items():
            value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_")):
                found.setdefault(name, value)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_types(name):
    assert unannotated(getattr(dd, name)) == []


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_types(name):
    bare = {method: unannotated(function) for method, function in own_methods(getattr(dd, name)).items()}
    assert {method: names for method, names in bare.items() if names} == {}
    annotated = {field for parent in getattr(dd, name).__mro__ for field in vars(parent).get("__annotations__", {})}
    assert set(getattr(getattr(dd, name), "__dataclass_fields__", {})) <= annotated


def sections(text):
    """{heading: lines} of a docstring's sections, as Google writes them."""
    found, lines = {}, None
    for line in text.splitlines():
        if heading := re.fullmatch(r"(Args|Returns|Yields|Raises|Attributes|Example):", line):
            lines = found.setdefault(heading[1], [])
        elif lines is not None and (not line.strip() or line.startswith("    ")):
            lines.append(line)
        else:
            lines = None
    return found


def described(lines):
    """The names that a section of a docstring describes."""
    return re.findall(r"^ {4}\*{0,2}([\w, *]+?)(?: \(.*?\))?: ", "\n".join(lines), re.MULTILINE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_say_what_goes_in_and_comes_out(name):
    function = getattr(dd, name)
    found = sections(inspect.getdoc(function) or "")
    parameters = list(inspect.signature(function).parameters)
    assert described(found.get("Args", [])) == parameters
    if inspect.signature(function).return_annotation not in (None, "None", inspect.Signature.empty):
        assert "Returns" in found or "Yields" in found


@pytest.mark.parametrize("name", CLASSES)
def test_docstrings_of_classes_say_what_they_are_made_of(name):
    kind = getattr(dd, name)
    assert "__doc__" in vars(kind)
    found = sections(inspect.getdoc(kind))
    if name in ERRORS:
        return
    given = [parameter for parameter in inspect.signature(kind).parameters if parameter not in NO_PARAMETER]
    told = {each for heading in ("Args", "Attributes") for each in described(found.get(heading, []))}
    if name != "Objectives":  # a mapping, made as `dict` is
        assert set(given) <= told
    for method, function in own_methods(kind).items():
        assert method == "__init__" or inspect.getdoc(function), method


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name, squeezenet, tmp_path, monkeypatch):
    """With `dd`, `np` and SqueezeNet as `net`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names = {"dd": dd, "np": np, "net": squeezenet}
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(getattr(dd, name)), names, name, None, 0)
    assert example.examples, f"{name} has no example"
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example, out=said.append).failed == 0, "".join(said)


# Between the folders of the package

MODULES = {
    tuple(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
    if "_data" not in path.parts
}


def module_of(parts):
    """The module that an import means: itself, or the folder's `__init__`; `None` if it is none of ours."""
    return next((found for found in (parts, (*parts, "__init__")) if found in MODULES), None)


def imports(module):
    """(module, name) of everything that a module of ours takes from others of ours."""
    for node in ast.walk(MODULES[module]):
        if not isinstance(node, ast.ImportFrom):
            continue
        inner = tuple((node.module or "").split(".")) if node.module else ()
        if node.level:
            parts = (*module[: len(module) - node.level], *inner)
        elif inner and inner[0] == "deepdream":
            parts = inner[1:]
        else:
            continue
        for alias in node.names:
            if source := module_of((*parts, alias.name)):
                yield source, None  # a module as a whole
            elif source := module_of(parts):
                yield source, alias.name


def shared():
    """{(module, name): the modules of other folders that import it}, where names lead to where they are defined."""
    found = {}
    for module in MODULES:
        for source, name in imports(module):
            if name is None or source[:-1] == module[:-1]:
                continue
            found.setdefault((source, name), []).append(module)
    return found


def definition(module, name):
    """The function or class of this name, also where a module only passes it on; `None` for other values."""
    for node in MODULES[module].body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return node
    passed_on = [source for source, other in imports(module) if other == name]
    return definition(passed_on[0], name) if passed_on else None


def missing_types(function):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    bare = [each.arg for each in every if each and each.annotation is None and each.arg not in NO_PARAMETER]
    return bare + ["return"] * (function.returns is None)


def test_no_folder_takes_a_private_name_from_another():
    private = {(source, name): users for (source, name), users in shared().items() if name.startswith("_")}
    private.pop((("_version",), "__version__"), None)
    assert private == {}
    modules = [
        (module, source)
        for module in MODULES
        for source, _ in imports(module)
        if source[:-1] != module[:-1] and any(part.startswith("_") and part != "__init__" for part in source)
    ]
    assert {source for _, source in modules} <= {("_types",), ("_version",)}


def test_what_folders_share_has_types():
    bare = {}
    for source, name in shared():
        node = definition(source, name)
        if isinstance(node, ast.FunctionDef):
            functions = [node]
        elif isinstance(node, ast.ClassDef):
            functions = [
                each
                for each in node.body
                if isinstance(each, ast.FunctionDef) and (each.name == "__init__" or not each.name.startswith("_"))
            ]
        else:
            continue
        for function in functions:
            if missing := missing_types(function):
                bare[f"{'.'.join(source)}.{name}:{function.name}"] = missing
    assert bare == {}


def test_the_walk_sees_what_folders_share():
    """The two tests above say nothing if it finds nothing."""
    found = shared()
    assert (("errors",), "DreamError") in found
    assert (("network", "net"), "Net") in found
    assert len(found) > 80

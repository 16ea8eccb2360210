"""The package as a whole: versions, imports, docstrings."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import autoloss as al
from autoloss import _core

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

CRATE = Path(__file__).parent.parent


def manifest(path):
    return tomllib.loads(path.read_text())


def test_version_and_lints_are_those_of_the_workspace():
    own, workspace = manifest(CRATE / "Cargo.toml"), manifest(CRATE.parent.parent / "Cargo.toml")["workspace"]
    assert own["package"]["version"] == workspace["package"]["version"] == al.__version__
    for key in ("edition", "rust-version", "license"):
        assert own["package"][key] == workspace["package"][key]
    assert own["lints"] == workspace["lints"]


def test_the_package_does_not_depend_on_burn():
    lock = (CRATE / "Cargo.lock").read_text()
    assert 'name = "autoloss-search"' in lock
    assert 'name = "burn' not in lock


def test_import_loads_neither_torch_nor_pandas():
    heavy = ["torch", "pandas", "matplotlib", "sklearn", "multiprocessing"]
    code = f"import sys, autoloss; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    for name in al.__all__:
        if name not in ("__version__", "TorchTask"):
            assert getattr(al, name).__doc__, name


def test_a_panic_is_an_ordinary_exception():
    with pytest.raises(RuntimeError, match="autoloss has a fault: no such thing; please report"):
        _core._panic("no such thing")


MODULES = [f"autoloss{name}" for name in ("", "._bridge", "._timed", ".metrics", ".task", "._run_settings")]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_of_python(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted > 0 or name == "autoloss"


def native_docstrings():
    for name, value in vars(_core).items():
        if isinstance(value, type):
            for attribute in [value, *vars(value).values()]:
                yield name, getattr(attribute, "__doc__", None)
        elif callable(value):
            yield name, value.__doc__


def test_docstrings_of_rust():
    parser, examples = doctest.DocTestParser(), 0
    for name, text in native_docstrings():
        test = parser.get_doctest(text or "", {}, name, None, None)
        examples += len(test.examples)
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        assert runner.run(test).failed == 0, name
    assert examples >= 15


def test_stubs_name_what_the_native_part_has():
    import ast

    tree = ast.parse((Path(al.__file__).parent / "_core.pyi").read_text())
    stubs = {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    public = {name for name in vars(_core) if not name.startswith("__")}
    assert set(stubs) == public
    for name, node in stubs.items():
        if isinstance(node, ast.ClassDef) and not issubclass(getattr(_core, name), BaseException):
            own = {f.name for f in node.body if isinstance(f, ast.FunctionDef)} - {"__init__", "__eq__", "__hash__"}
            there = {
                m for m in vars(getattr(_core, name)) if not m.startswith("__") or m in ("__call__", "__getitem__")
            }
            assert own - {"__name__"} == there - {"__reduce__"}, name


def test_the_readme_shows_the_first_example_whole():
    example = (CRATE / "examples" / "digits.py").read_text()
    assert f"```python\n{example}```" in (CRATE.parent.parent / "README.md").read_text()

"""The rules of the house that a machine can keep: layers, names, sizes, imports, docs."""

import ast
import configparser
import inspect
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

from sklearn.base import BaseEstimator

import skatom
from skatom.testing import all_estimators

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skatom"
FILES = sorted(PACKAGE.rglob("*.py"))

# Data flows one way: a wing imports from lower floors only, and from itself.
FLOORS = (
    {"_validation"},
    {"_runtime"},
    {"structures"},
    {"neighbors"},
    {"features", "datasets"},
    {"base", "elements", "model_selection"},
    {"bases", "featurizers", "preprocessing", "store", "labels"},
    {"_training"},
    {"models"},
    {"potential"},
    {"metrics"},
    {"plotting", "uncertainty"},
    {"inspection", "report", "persistence"},
    {"calculator"},
    {"dynamics"},
    {"cli", "testing"},
    {"__main__"},
)
FLOOR_OF = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
GRAB_BAGS = {"utils", "util", "tools", "common", "helpers", "core", "misc"}
MAX_LINES_OF_CODE = 250
MAX_LINES_IN_FUNCTION = 60
MAX_SECONDS_OF_IMPORT = 0.4
LIGHT = (
    "torch",
    "matplotlib",
    "dask",
    "skorch",
    "mapie",
    "pandas",
    "numba",
    "vesin",
    "lmdb",
    "tblite",
)
# Modules whose __all__ is public.
PUBLIC = (
    "skatom",
    "skatom.bases",
    "skatom.structures",
    "skatom.featurizers",
    "skatom.labels",
    "skatom.preprocessing",
    "skatom.models",
    "skatom.store",
    "skatom.potential",
    "skatom.uncertainty",
    "skatom.model_selection",
    "skatom.dynamics",
    "skatom.datasets",
    "skatom.metrics",
    "skatom.persistence",
    "skatom.inspection",
    "skatom.plotting",
    "skatom.report",
    "skatom.testing",
)


def wing_of(path: Path) -> str:
    """First part of a module's name after skatom."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Nodes of the syntax tree of a file."""
    return list(ast.walk(ast.parse(path.read_text())))


@cache
def imports_of(path: Path) -> list[tuple[str, list[str]]]:
    """Modules that a file imports anywhere, late ones too, with the names taken."""
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.append((node.module, [alias.name for alias in node.names]))
    return found


def imported_wings(path: Path) -> set[str]:
    wings = set()
    for module, names in imports_of(path):
        parts = module.split(".")
        if parts[0] != "skatom":
            continue
        wings |= {parts[1]} if len(parts) > 1 else set(names)
    home = {name: module.split(".")[1] for name, module in skatom._PUBLIC.items()}
    return {home.get(wing, wing) for wing in wings} - {"__version__"}


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_wing_has_its_floor():
    wings = {wing_of(path) for path in FILES} - {"__init__"}
    assert wings <= set(FLOOR_OF), f"give a floor to {wings - set(FLOOR_OF)}"


def test_imports_point_downwards():
    upwards = [
        f"{named(path)} (floor {FLOOR_OF[wing]}) imports {other} ({FLOOR_OF[other]})"
        for path in FILES
        if (wing := wing_of(path)) != "__init__"
        for other in sorted(imported_wings(path) - {wing})
        if FLOOR_OF[other] >= FLOOR_OF[wing]
    ]
    assert not upwards, "\n".join(upwards)


def test_there_are_no_grab_bags():
    names = {path.stem.strip("_") for path in FILES}
    names |= {path.parent.name for path in FILES}
    assert not names & GRAB_BAGS


def test_private_names_of_scikit_learn_come_from_one_file():
    private = [
        f"{named(path)} imports {module}: {', '.join(names)}"
        for path in FILES
        if path.name != "_validation.py"
        for module, names in imports_of(path)
        if module.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in module.split(".") + names)
    ]
    assert not private, "\n".join(["import from skatom._validation:", *private])


def test_files_and_functions_can_be_read_at_once():
    long = []
    for path in FILES:
        lines = lines_of_code(path)
        if lines > MAX_LINES_OF_CODE:
            long.append(f"{named(path)} has {lines} lines of code")
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                body = node.body[1:] if _is_docstring(first) else node.body
                lines = node.end_lineno - body[0].lineno + 1 if body else 0
                if lines > MAX_LINES_IN_FUNCTION:
                    long.append(f"{named(path)}: {node.name} has {lines} lines")
    assert not long, "\n".join(long)


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    documented: set[int] = set()
    for node in nodes_of(path):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            documented |= set(range(body[0].lineno, body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if number not in documented
    )


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# -- import --------------------------------------------------------------------------


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout


def imported() -> tuple[float, set[str], set[str]]:
    """CPU time of importing skatom, what that loads, and what all public modules load."""
    code = (
        "import sys, time, numpy, sklearn, sklearn.base; before = set(sys.modules)\n"
        "start = time.process_time(); import skatom; from skatom import Structures\n"
        "print(time.process_time() - start)\n"
        "print(*set(sys.modules) - before)\n"
        f"import {', '.join(PUBLIC)}; print(*sys.modules)"
    )
    seconds, *loaded = run_python(code).splitlines()
    light, all_of_it = ({n.split(".")[0] for n in names.split()} for names in loaded)
    return float(seconds), light, all_of_it


def test_importing_skatom_is_light():
    seconds, light, all_of_it = imported()
    assert not light & set(LIGHT)
    assert not all_of_it & {"torch", "matplotlib", "dask", "skorch", "mapie", "lmdb"}
    # CPU time, and the better of two: other processes may keep the processor busy.
    assert seconds < MAX_SECONDS_OF_IMPORT or imported()[0] < MAX_SECONDS_OF_IMPORT


# -- configuration -------------------------------------------------------------------


def test_no_setting_stands_in_two_files():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(pyproject["tool"]) <= {"setuptools", "ruff", "numpydoc_validation"}
    checks = {"tool:pytest", "coverage:run", "coverage:report", "mypy", "codespell"}
    overrides = {name for name in setup.sections() if name.startswith("mypy-")}
    assert set(setup.sections()) - overrides <= checks


def test_there_is_no_third_place_for_settings():
    others = "setup.py", "pytest.ini", "tox.ini", ".coveragerc", "mypy.ini", "ruff.toml"
    assert not [name for name in others if (ROOT / name).exists()]


# -- documentation -------------------------------------------------------------------


@cache
def public_objects() -> dict[str, object]:
    found = {}
    for name in PUBLIC:
        module = import_module(name)
        for attribute in module.__all__:
            value = getattr(module, attribute)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{value.__module__}.{attribute}"] = value
    return found


def sections_of(value) -> set[str]:
    lines = (inspect.getdoc(value) or "").splitlines()
    return {
        title.strip()
        for title, line in zip(lines, lines[1:])
        if line.strip() and set(line.strip()) == {"-"}
    }


def parameters_of(value) -> list[str]:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return []
    return [name for name in signature.parameters if name not in ("self", "args")]


def undocumented(value) -> list[str]:
    """What the docstring of a public object lacks."""
    # without the docstring of a base class
    if not value.__doc__:
        return ["a docstring"]
    if inspect.isclass(value) and issubclass(value, Exception):
        return []
    sections, needed = sections_of(value), []
    if parameters_of(value) and not sections & {"Parameters", "Attributes"}:
        needed.append("Parameters")
    if inspect.isfunction(value):
        returns = inspect.signature(value).return_annotation
        if returns not in (None, "None", inspect.Signature.empty):
            needed.append("Yields" if inspect.isgeneratorfunction(value) else "Returns")
    if inspect.isclass(value) and issubclass(value, BaseEstimator):
        needed += ["Examples", "See Also"]
    described = {
        part.strip().lstrip("*")
        for line in inspect.getdoc(value).splitlines()
        if not line.startswith(" ")
        for part in line.split(" : ")[0].split(",")
    }
    parameters = [p for p in parameters_of(value) if p.lstrip("*") not in described]
    return [title for title in needed if title not in sections] + parameters


def test_public_objects_and_their_parameters_are_documented():
    lacking = {name: undocumented(value) for name, value in public_objects().items()}
    lacking = {name: lacks for name, lacks in lacking.items() if lacks}
    assert not lacking, "\n".join(
        f"{k} lacks {', '.join(v)}" for k, v in lacking.items()
    )


def test_public_methods_are_documented():
    silent = [
        f"{name}.{attribute}"
        for name, cls in public_objects().items()
        if inspect.isclass(cls)
        for attribute, value in vars(cls).items()
        if not attribute.startswith("_")
        and inspect.isfunction(value)
        and not inspect.getdoc(value)
    ]
    assert not silent, "\n".join(["no docstring:", *silent])


def test_public_estimators_declare_their_parameters():
    for name, cls in all_estimators():
        constraints = getattr(cls, "_parameter_constraints", None)
        if constraints is None:
            continue
        missing = set(inspect.signature(cls).parameters) - set(constraints)
        assert not missing, f"{name} does not constrain {missing}"


def test_every_public_name_exists():
    for name in PUBLIC:
        module = import_module(name)
        assert len(set(module.__all__)) == len(module.__all__), f"{name} lists twice"
        for attribute in module.__all__:
            assert hasattr(module, attribute), f"{name} has no {attribute}"

"""The five packages have one shape, and the table of the noxfile knows them."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FOLDERS = sorted((ROOT / "packages").iterdir())
# distributions whose name is not that of the module
CALLED = {
    "pythia8": "pythia8mc",
    "sklearn": "scikit-learn",
    "triton": "torch",
}  # CUDA builds of torch bring Triton
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    spec = importlib.util.spec_from_file_location("jetformer_noxfile", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by its name
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


def test_table_names_every_package(noxfile: ModuleType) -> None:
    assert [f"jetformer-{name}" for name in sorted(noxfile.PACKAGES)] == [folder.name for folder in FOLDERS]


def test_table_asks_for_extras_that_exist(noxfile: ModuleType) -> None:
    for name, package in noxfile.PACKAGES.items():
        offered = noxfile.project(name)["optional-dependencies"]
        assert {"test", *package.extras} <= offered.keys(), name


def test_siblings_are_collected_through_others(noxfile: ModuleType) -> None:
    assert noxfile.siblings("data") == []
    assert noxfile.siblings("hpo") == ["data", "model"]
    assert "model" not in noxfile.siblings("fpga")


@each_folder
def test_package_has_the_common_shape(folder: Path) -> None:
    module = folder.name.replace("-", "_")
    wanted = (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        f"src/{module}/py.typed",
        f"src/{module}/cli.py",
        "tests",
    )
    assert [name for name in wanted if not (folder / name).exists()] == []


@each_folder
def test_package_declares_what_all_declare(folder: Path, noxfile: ModuleType) -> None:
    project = noxfile.project(folder.name.removeprefix("jetformer-"))
    assert project["name"] == folder.name
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert folder.name in project["scripts"]


@each_folder
def test_siblings_are_declared_by_range(folder: Path, noxfile: ModuleType) -> None:
    for need in noxfile.dependencies(folder.name.removeprefix("jetformer-")):
        if need.name.startswith("jetformer-"):
            assert {part.operator for part in need.specifier} == {">=", "<"}, str(need)


def imported(folder: Path, *, anywhere: bool) -> dict[str, str]:
    """Distributions that a package imports, and where: at the head of its modules, or also inside functions."""
    found: dict[str, str] = {}
    for source in sorted(folder.glob("src/**/*.py")):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if anywhere else tree.body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != folder.name.replace("-", "_"):
                    found[CALLED.get(top, top.replace("_", "-"))] = source.name
    return found


@each_folder
def test_what_is_imported_is_declared(folder: Path, noxfile: ModuleType) -> None:
    name = folder.name.removeprefix("jetformer-")
    core = {need.name for need in noxfile.dependencies(name)}
    extras = {
        Requirement(line).name
        for extra in noxfile.project(name)["optional-dependencies"].values()
        for line in extra
    }
    always = {
        dist: where for dist, where in imported(folder, anywhere=False).items() if where != "testing.py"
    }
    assert {dist: where for dist, where in always.items() if dist not in core} == {}
    assert {
        dist: at for dist, at in imported(folder, anywhere=True).items() if dist not in core | extras
    } == {}


@each_folder
def test_a_version_that_a_package_states_is_its_own(folder: Path, noxfile: ModuleType) -> None:
    module = folder / "src" / folder.name.replace("-", "_") / "__init__.py"
    stated = re.findall(r'^__version__ = "(.*)"', module.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert stated in ([], [noxfile.project(folder.name.removeprefix("jetformer-"))["version"]])


@each_folder
def test_changelog_has_the_version(folder: Path, noxfile: ModuleType) -> None:
    version = noxfile.project(folder.name.removeprefix("jetformer-"))["version"]
    changes = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(version)}\b", changes, flags=re.MULTILINE)


@each_folder
def test_direct_dependencies_were_tested_at_a_stated_version(folder: Path, noxfile: ModuleType) -> None:
    stated = (ROOT / "ci" / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in stated.splitlines() if "==" in line}
    needs = noxfile.dependencies(folder.name.removeprefix("jetformer-"))
    assert [
        need.name for need in needs if not need.name.startswith("jetformer-") and need.name not in pinned
    ] == []

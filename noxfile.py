"""All jobs of the repository:   sh ci/nox -l   lists them,   sh ci/nox -s NAME   runs one.

A session installs the packages from their folders, at the versions of ci/constraints.txt, into an environment of its own
under .nox/ that is kept for the next time (`-R` skips the installation altogether, `--no-reuse-venv` starts afresh).
What follows `--` goes to the tool inside:   sh ci/nox -s "tests(data)" -- -k schema
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
CONSTRAINTS = ROOT / "ci" / "constraints.txt"


@dataclass(frozen=True)
class Package:
    """One row of the table below."""

    does: str
    extras: tuple[str, ...] = ()  # needed by its tests, besides `test`
    forbidden: tuple[str, ...] = ()  # never installed by the package alone
    needs_compiler: bool = False


GPL = ("pythia8mc", "fastjet")

PACKAGES = {
    "data": Package(
        "makes, reads, converts, streams jets",
        ("generate", "plot", "root", "parquet", "dask"),
        forbidden=("torch", *GPL),
    ),
    "model": Package("JetFormer: training, evaluation, states, FLOPs", forbidden=GPL),
    "hpo": Package("multi-objective search: accuracy up, FLOPs down", forbidden=GPL),
    "compress": Package("pruning and fixed-point training", forbidden=GPL),
    "fpga": Package(
        "fixed-point network to verified firmware", ("tools",), forbidden=("torch", *GPL), needs_compiler=True
    ),
}

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_venv = "yes"
# virtualenv brings a recent pip of its own, so that an old Python's pip does not matter; pip reads the user's settings
nox.options.default_venv_backend = "virtualenv"

each_package = nox.parametrize("name", [nox.param(name, id=name) for name in PACKAGES])


# What the packages say of themselves


def folder(name: str) -> Path:
    return ROOT / "packages" / f"jetformer-{name}"


@functools.cache
def project(name: str) -> dict[str, Any]:
    """The [project] table of a package."""
    table: dict[str, Any] = tomllib.loads((folder(name) / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return table


def dependencies(name: str) -> list[Requirement]:
    return [Requirement(line) for line in project(name)["dependencies"]]


def siblings(name: str) -> list[str]:
    """The other packages that this one declares, and those that they declare."""
    declared = [
        need.name.removeprefix("jetformer-")
        for need in dependencies(name)
        if need.name.startswith("jetformer-")
    ]
    return sorted({sibling for direct in declared for sibling in (direct, *siblings(direct))})


# Steps that sessions share


def install(session: nox.Session, *arguments: str) -> None:
    """pip, within the tested versions; sources are never compiled where a wheel exists."""
    session.install(
        "--prefer-binary",
        "--constraint",
        str(CONSTRAINTS),
        "--build-constraint",
        str(CONSTRAINTS),
        *arguments,
    )


def from_folder(name: str, extras: Iterable[str] = ()) -> str:
    wanted = ",".join(extras)
    return f"{folder(name)}[{wanted}]" if wanted else str(folder(name))


def install_all(session: nox.Session, *tools: str) -> None:
    """All five packages with the extras of their tests."""
    install(
        session, *tools, *(from_folder(name, ("test", *package.extras)) for name, package in PACKAGES.items())
    )


def pytest(session: nox.Session, run: str, *arguments: str) -> None:
    """pytest, with a record in build/tests/RUN.xml. A folder that holds no tests yet is no failure."""
    record = BUILD / "tests" / f"{run}.xml"
    # the networks of the tests are so small that threads cost more than they bring
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    session.run(
        "pytest", f"--junitxml={record}", *arguments, *session.posargs, env=threads, success_codes=[0, 5]
    )


def require_compiler(session: nox.Session) -> None:
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        session.error("needs a C++ compiler for the simulation: install g++ or clang++ and try again")


def installed(session: nox.Session) -> dict[str, str]:
    """Name -> version of all that the session's environment holds."""
    listing = session.run("python", "-m", "pip", "list", "--format=json", silent=True, log=False)
    return {entry["name"].lower(): entry["version"] for entry in json.loads(str(listing))}


@functools.cache
def wheels() -> Path:
    """The folder of the five wheels, emptied once in a run of nox so that no older wheel is taken for new."""
    place = BUILD / "wheels"
    shutil.rmtree(place, ignore_errors=True)
    return place


def build_wheels(session: nox.Session) -> Path:
    """Builds the five wheels once in a run of nox, whichever session asks first."""
    if not list(wheels().glob("*.whl")):
        # fmt: off
        session.run(
            "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--build-constraint", str(CONSTRAINTS),
            "--wheel-dir", str(wheels()), *(str(folder(name)) for name in PACKAGES),
        )
        # fmt: on
    return wheels()


def install_wheel(session: nox.Session, *requirements: str) -> None:
    """What a user's `pip install` does, siblings coming from the wheels just built."""
    install(session, "--find-links", str(build_wheels(session)), *requirements)


# Every day


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and layers: ruff, mypy, import-linter over all packages."""
    install_all(session, "ruff", "mypy", "import-linter", "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


def test_package(session: nox.Session, name: str) -> None:
    if PACKAGES[name].needs_compiler:
        require_compiler(session)
    own = from_folder(name, ("test", *PACKAGES[name].extras))
    install(session, own, *(from_folder(sibling) for sibling in siblings(name)))
    # a module made for a GPU or another optional tool has no doctests to miss where it cannot be imported
    pytest(
        session,
        name,
        "--doctest-modules",
        "--doctest-ignore-import-errors",
        "--pyargs",
        f"jetformer_{name}",
        str(folder(name) / "tests"),
    )


def test_repository(session: nox.Session) -> None:
    install(session, "pytest", "import-linter", "nox")
    pytest(session, "repository", "tests/meta")


def test_integration(session: nox.Session) -> None:
    require_compiler(session)
    install_all(session)
    pytest(session, "integration", "tests/integration")


@nox.session
@nox.parametrize("part", [nox.param(part, id=part) for part in (*PACKAGES, "repository", "integration")])
def tests(session: nox.Session, part: str) -> None:
    """A package with nothing but what it declares; `repository`: layers, settings; `integration`: all five together."""
    if part == "repository":
        test_repository(session)
    elif part == "integration":
        test_integration(session)
    else:
        test_package(session, part)


@nox.session
def contracts(session: nox.Session) -> None:
    """The three interfaces: every consumer against their owners' checkers, all five packages side by side."""
    install_all(session)
    pytest(session, "contracts", *(str(path) for path in sorted(ROOT.glob("packages/*/tests/contract"))))


@nox.session
def integration(session: nox.Session) -> None:
    """From collisions to verified firmware on a few hundred jets: the same as tests(integration)."""
    test_integration(session)


@nox.session
def demo(session: nox.Session) -> None:
    """The whole path, from collisions to verified firmware: build/demo/report.html and summary.json."""
    require_compiler(session)
    extras = {"data": ("generate", "plot"), "fpga": ("tools",)}
    install(session, "matplotlib", "mplhep", *(from_folder(name, extras.get(name, ())) for name in PACKAGES))
    session.run("python", "demo/run.py", "--out", "build/demo", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """What the pages say: links lead somewhere, commands and options they name exist, Python examples hold."""
    install_all(session)
    pages = [
        str(path)
        for path in (ROOT / "README.md", ROOT / "docs", *ROOT.glob("packages/*/README.md"))
        if path.exists()
    ]
    pytest(session, "docs", "tests/docs", "--doctest-glob=*.md", *pages)


@nox.session
def realdata(session: nox.Session) -> None:
    """Tests on real jets, which lie in the folder that JETFORMER_REAL_DATA names and never in this repository."""
    if not os.environ.get("JETFORMER_REAL_DATA"):
        session.error("set JETFORMER_REAL_DATA to the folder of real jets")
    install_all(session)
    pytest(session, "realdata", *(str(path) for path in sorted(ROOT.glob("packages/*/tests/real"))))


@nox.session
def allo(session: nox.Session) -> None:
    """The Allo backend, stage by stage, with the Allo that JETFORMER_ALLO_PYTHON has: tests and build/bench/allo.json."""
    install_all(session)
    pytest(session, "allo", "-m", "allo", str(folder("fpga") / "tests"))
    session.run("python", "ci/allo_stages.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks of a package into build/bench/NAME.json, with machine and versions: -- NAME [PART ...], or all of all."""
    install_all(session)
    name, *parts = session.posargs or ["every"]
    if name != "every" and name not in PACKAGES:
        session.error(f"no package {name}: expected one of {', '.join(PACKAGES)}")
    for one in PACKAGES if name == "every" else [name]:
        session.run("python", "ci/bench.py", one, *parts)


# Before a release


@nox.session(reuse_venv=False)
@each_package
def imports(session: nox.Session, name: str) -> None:
    """A wheel alone in a clean environment: installs, imports, answers --help, and draws in nothing undeclared."""
    install_wheel(session, str(next(build_wheels(session).glob(f"jetformer_{name}-*.whl"))))
    session.run("python", "-m", "pip", "check")
    session.run("python", "-c", f"import jetformer_{name}")
    session.run(f"jetformer-{name}", "--help", silent=True)
    found = installed(session)
    if intruders := sorted(found.keys() & set(PACKAGES[name].forbidden)):
        session.error(f"jetformer-{name} alone must not install {', '.join(intruders)}")
    present = {other for other in PACKAGES if f"jetformer-{other}" in found}
    if present != {name, *siblings(name)}:
        session.error(f"jetformer-{name} alone installed {sorted(present)}, declared {siblings(name)}")


@nox.session(reuse_venv=False)
def downstream(session: nox.Session) -> None:
    """An experiment elsewhere that pins only jetformer-fpga: installs the wheel, builds and verifies a stored network."""
    require_compiler(session)
    install_wheel(session, "-r", "downstream/requirements.txt")
    if "torch" in installed(session):
        session.error("the firmware of a stored network must not need torch")
    session.run("python", "downstream/experiment.py", "--out", "build/downstream", *session.posargs)


@nox.session
@each_package
def minimums(session: nox.Session, name: str) -> None:
    """A package's tests with the lowest versions it declares; torch stays the tested one unless `-- torch` is given."""
    session.install(
        from_folder(name, ("test", *PACKAGES[name].extras)), *(from_folder(other) for other in siblings(name))
    )
    # an old torch means gigabytes of GPU libraries where only the default index is at hand
    kept = set() if "torch" in session.posargs else {"torch"}
    lowest = [
        f"{need.name}=={floor(need.specifier)}"
        for need in dependencies(name)
        if not need.name.startswith("jetformer-") and need.name not in kept
    ]
    session.install("--prefer-binary", *lowest)
    # old versions and their new dependencies warn of each other: that is not this package's to mend
    session.run("pytest", "-W", "default", str(folder(name) / "tests"), env={"OMP_NUM_THREADS": "1"})


def floor(allowed: SpecifierSet) -> str:
    """The lowest version that a range such as >=1.26,<3 or ==0.8.2 allows."""
    return next(part.version for part in allowed if part.operator in (">=", "==", "~="))


@nox.session
@each_package
def build(session: nox.Session, name: str) -> None:
    """Source archive and wheel of each package, in build/dist."""
    install(session, "build")
    session.run("python", "-m", "build", "--outdir", str(BUILD / "dist"), str(folder(name)))


@nox.session
@each_package
def release(session: nox.Session, name: str) -> None:
    """A package's checklist before its tag is set. Publishes nothing and changes nothing."""
    version = project(name)["version"]
    tag = f"jetformer-{name}-v{version}"
    changes = (folder(name) / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[?{re.escape(version)}\b", changes, flags=re.MULTILINE):
        session.error(f"{folder(name).name}/CHANGELOG.md has no entry '## {version}'")
    if session.run("git", "tag", "--list", tag, external=True, silent=True, log=False):
        session.error(f"the tag {tag} exists: raise the version in {folder(name).name}/pyproject.toml")
    for need in dependencies(name):
        sibling = need.name.removeprefix("jetformer-")
        if sibling in PACKAGES and not need.specifier.contains(project(sibling)["version"]):
            session.error(
                f"jetformer-{name} asks for {need}, but jetformer-{sibling} is at {project(sibling)['version']}"
            )
    build(session, name)
    print(
        f"jetformer-{name} {version}: changelog, sibling ranges and archives are in order. To release: git tag {tag}"
    )

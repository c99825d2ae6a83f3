"""Runs one stage with Allo, by whichever Python has it: python -P worker.py REQUEST.json

Needs Allo and numpy and nothing else. The request names the stage, the generated program, the jets, and where results go.
"""

import importlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np


def restore_isinstance() -> None:
    """Newer MLIR has no `Type.isinstance(x)`, which Allo calls; Python's isinstance says the same."""
    ir = importlib.import_module("allo._mlir.ir")
    for kind in vars(ir).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, (ir.Type, ir.Attribute, ir.Value))
            and not hasattr(kind, "isinstance")
        ):
            setattr(kind, "isinstance", staticmethod(lambda other, kind=kind: isinstance(other, kind)))  # noqa: B010


def loaded(path: str) -> Any:
    """The generated module; Allo reads its source again, so it must be known by name."""
    spec = importlib.util.spec_from_file_location("network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["network"] = module
    spec.loader.exec_module(module)
    return module


def answers(built: Any, request: dict[str, Any]) -> None:
    """Logits of every jet, one call a jet; the last argument is filled by the call."""
    jets = np.load(request["jets"])
    names = [argument["name"] for argument in request["arguments"]]
    kinds = [np.dtype(f"int{argument['bits']}") for argument in request["arguments"]]
    logits = []
    for jet in range(len(jets[names[0]])):
        given = [
            np.ascontiguousarray(jets[n][jet].astype(k)) for n, k in zip(names[:-1], kinds[:-1], strict=True)
        ]
        out = np.zeros(request["arguments"][-1]["shape"], dtype=kinds[-1])
        built(*given, out)
        logits.append(out.copy())
    np.save(request["answers"], np.asarray(logits, dtype=np.int64))


def use_part(project: str, part: str) -> None:
    """Allo knows boards; the part is this network's."""
    script = Path(project) / "run.tcl"
    script.write_text(re.sub(r"set_part \{.*?\}", f"set_part {{{part}}}", script.read_text()))


def run(request: dict[str, Any]) -> None:
    stage, program = request["stage"], loaded(request["program"]).schedule()
    if stage == "llvm":
        answers(program.build(), request)
    elif stage == "hls":
        Path(request["code"]).write_text(program.build(target="vhls").hls_code)
    else:
        settings = {"device": "u250", "frequency": request["clock_mhz"]}
        project = request["project"]
        built = program.build(target="vitis_hls", mode=stage, project=project, configs=settings)
        if stage == "csyn":
            use_part(project, request["part"])
            built()
        else:
            answers(built, request)


def main() -> None:
    allo = importlib.import_module("allo")
    restore_isinstance()
    run(json.loads(Path(sys.argv[1]).read_text()))
    print(f"allo {getattr(allo, '__version__', '')}".strip())


if __name__ == "__main__":
    main()

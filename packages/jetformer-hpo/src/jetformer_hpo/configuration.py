"""A candidate as options of `jetformer-model train`, so that its network is trained again by one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import tomli_w

from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate
from jetformer_hpo.trial import PRESET, SIZES, TRAINING, UNQUANTISED
from jetformer_model.config import PRESETS
from jetformer_model.optimisation import Recipe

_LINEAR = "jetformer-linformer"
# Fields of a recipe that are no options of the command, and so have to have their usual values
_FIXED = ("warm_up", "beta1", "beta2", "plateau_factor", "plateau_patience")


def options(candidate: Candidate, request: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Names of options and their values. `request`: what all trials have in common."""
    asked, settings = dict(request), candidate.settings
    recipe = asked["recipe"] | {name: settings[name] for name in TRAINING if name in settings}
    usual = asdict(Recipe())
    for name in _FIXED:
        if recipe.get(name, usual[name]) != usual[name]:
            raise SearchError(
                f"the recipe's {name} is not the usual one, and `jetformer-model train` has no option for it"
            )
    sizes = {name: value for name, value in PRESETS[PRESET].items() if name in SIZES}
    sizes |= {name: asked[name] for name in ("norm", "activation") if asked.get(name) is not None}
    sizes |= {name: settings[name] for name in SIZES if name in settings}
    constituents = settings.get("constituents", asked.get("constituents")) or PRESETS[PRESET]["constituents"]
    chosen = {
        "data": [str(path) for path in asked["data"]],
        "preset": _LINEAR if settings.get("attention") == "linear" else PRESET,
        "constituents": constituents,
        **sizes,
        "features": ",".join(asked["features"]),
        "min_pt": asked["min_pt_gev"],
        **{name: value for name, value in recipe.items() if name not in (*_FIXED, "seed")},
        "seed": seed,
    }
    return {name.replace("_", "-"): value for name, value in chosen.items() if value is not None}


def as_toml(candidate: Candidate, request: Mapping[str, Any], seed: int) -> str:
    """The file, with its origin and use as comments."""
    found = ", ".join(f"{name} {value:.6g}" for name, value in candidate.measured.items())
    lines = [
        f"# Trial {candidate.trial} of a search: {found}.",
        "# jetformer-model train --config THIS --out network.safetensors",
    ]
    bits = candidate.settings.get("bits", UNQUANTISED)
    if bits < UNQUANTISED:
        lines.append(
            f"# jetformer-compress quantize network.safetensors {request['data'][0]} --out fixed.safetensors "
            f"--weight-bits {bits} --activation-bits {bits}"
        )
    return "\n".join(lines) + "\n" + tomli_w.dumps(options(candidate, request, seed))

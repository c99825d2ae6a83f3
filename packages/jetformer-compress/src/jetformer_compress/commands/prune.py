"""`jetformer-compress prune`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from jetformer_compress import held_out, pruning
from jetformer_compress.commands.application import (
    AsJson,
    DataFile,
    Device,
    Seed,
    StateFile,
    app,
    checkpoint_of,
    finish,
    require_device,
)
from jetformer_compress.errors import CompressError
from jetformer_compress.plan_table import plan_table, show_plan
from jetformer_compress.pruning_plan import Pruning, plan, with_target
from jetformer_compress.pruning_steps import Step
from jetformer_model.dataset import tagging_data_for
from jetformer_model.distributed import processes
from jetformer_model.flops import flops
from jetformer_model.state import load, require_folder
from jetformer_model.training import Run


@app.command()
def prune(
    state: StateFile,
    data: DataFile,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the new state; the log goes beside it as .csv.")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option(help="Share of dimensions to remove; 0.5 if not given.")
    ] = None,
    target_flops: Annotated[
        int | None, typer.Option(help="Instead of --ratio: the smallest that leaves at most so many FLOPs.")
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Prune in so many steps, fine-tuning after each.")
    ] = Pruning.steps,
    importance: Annotated[
        str, typer.Option(help="taylor (change of the loss), l1 or l2 (size of the weights).")
    ] = Pruning.importance,
    scope: Annotated[
        str, typer.Option(help="layer: the same share of each layer; global: one ranking over all blocks.")
    ] = Pruning.scope,
    heads: Annotated[
        bool, typer.Option("--heads", help="Remove whole heads, not dimensions inside heads.")
    ] = False,
    residual: Annotated[
        bool, typer.Option("--residual", help="Narrow the residual stream and the class token too.")
    ] = False,
    epochs: Annotated[int, typer.Option(help="Epochs of fine-tuning a step.")] = pruning.RECIPE.epochs,
    last_epochs: Annotated[
        int | None, typer.Option(help="Epochs after the last step; as after each if not given.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Jets a training step.")] = pruning.RECIPE.batch_size,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = pruning.RECIPE.learning_rate,
    seed: Seed = 0,
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    keep_steps: Annotated[
        bool, typer.Option("--keep-steps", help="Leave each step's state beside OUT, as OUT.step1 and so on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the dimensions or heads that matter least, in steps, and fine-tune after each.

    jetformer-compress prune tiny.safetensors jets.h5 --ratio 0.5 --out pruned.safetensors

    jetformer-compress prune tiny.safetensors jets.h5 --target-flops 15000 --scope global --dry-run

    Killed and run again, the same command goes on after the last whole epoch (OUT.partial). The test split is read once, at
    the end, for the accuracies before and after.
    """
    if out is None and not dry_run:
        raise CompressError("--out: where shall the pruned state go? (or --dry-run to see the plan alone)")
    if out is not None:
        require_folder(out)
    require_device(device)
    if ratio is not None and target_flops is not None:
        raise CompressError("--ratio and --target-flops: give one of them")
    loaded = load(state)
    before = pruning.prunable(loaded).architecture
    how = Pruning(Pruning.ratio if ratio is None else ratio, steps, cast(Any, importance), cast(Any, scope))
    how = dataclasses.replace(how, heads=heads, residual=residual, last_epochs=last_epochs)
    if target_flops is not None:
        how = with_target(before, how, target_flops)
    recipe = dataclasses.replace(
        pruning.RECIPE, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    plan(before, how)  # a ratio that cannot be is refused before the jets are read
    jets = tagging_data_for(loaded, data)
    with processes(device) as process:
        after = pruning.foresee(loaded, jets, how, recipe, process.device)
        if dry_run or out is None:
            show_plan(before, after, how, as_json)
            return
        Console(stderr=True).print(plan_table(before, after, how))
        held_out.require_test_jets(data)
        taken: list[Step] = []
        folder = checkpoint_of(out)
        run = Run(folder, progress=True, process=process)
        result = pruning.prune(loaded, jets, how, recipe, run, after_step=taken.append)
        test = held_out.compare(loaded, result.state, data, process.device)
    if keep_steps:
        for path in folder.glob("step*.safetensors"):
            path.rename(out.with_name(f"{out.stem}.{path.name}"))
    settings = {
        "pruning": dataclasses.asdict(how),
        "recipe": dataclasses.asdict(recipe),
        "steps": [_facts(step) for step in taken],
    }
    finish("prune", out, state, result, settings, as_json, test)


def _facts(step: Step) -> dict[str, Any]:
    best = min(step.history, key=lambda epoch: epoch.validation_loss)
    return {"flops": flops(step.network.architecture), **best.metrics}

"""`jetformer-model predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jetformer_model import training
from jetformer_model.commands.application import app
from jetformer_model.dataset import Dataset
from jetformer_model.errors import ModelError
from jetformer_model.score_files import columns_of, require_writer, score_file
from jetformer_model.scorers import RUNTIMES, open_scorer
from jetformer_model.scoring import BATCH, Scoring, describe
from jetformer_model.state import load, require_folder

TENSORS = ".safetensors"


@app.command()
def predict(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Jets: files, globs or folders in the array schema, or other files that jetformer-data reads. Or one "
            f"{TENSORS} file with `inputs` [jets, P, F] float32 (padded, normalised) and `mask` [jets, P] bool."
        ),
    ],
    model: Annotated[Path, typer.Option(help="A state (.safetensors), or a graph from `export` (.onnx).")],
    out: Annotated[
        Path, typer.Option(help=f"Scores (.root, .h5, .parquet); of a {TENSORS} file, logits ({TENSORS}).")
    ],
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "all",
    batch: Annotated[int, typer.Option(help="Jets at once.")] = BATCH,
    runtime: Annotated[
        str | None,
        typer.Option(help=f"{' or '.join(RUNTIMES)} (on the CPU); that of the model's file if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="The labels of the files mean nothing: leave them out.")
    ] = False,
) -> None:
    """Scores of all jets, in their order: `score_CLASS` (a probability), `label`, `file_index`, `jet_index`.

    jetformer-model predict jets.h5 --model tiny.safetensors --out scores.root
    """
    if len(files) == 1 and files[0].suffix == TENSORS:
        _predict_tensors(files[0], model, out)
        return
    require_writer(out)
    scorer = open_scorer(model, runtime, device)  # type: ignore[arg-type]
    scoring = Scoring(files, scorer, split, batch, labelled=not unlabelled)
    console = Console(stderr=True)
    with (
        score_file(out, describe(scoring, model, split)) as append,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        for scores in bar.track(scoring, description="batches"):
            append(columns_of(scores, scorer.class_names))


def _predict_tensors(inputs: Path, model: Path, out: Path) -> None:
    """Logits float64, without normalisation or softmax: what a test of other implementations needs."""
    if out.suffix != TENSORS:
        raise ModelError(f"{out}: logits of {inputs} go to a {TENSORS} file")
    require_folder(out)
    state = load(model)
    try:
        tensors = load_file(inputs)
        x, mask = tensors["inputs"], tensors["mask"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{inputs}: expected a {TENSORS} file with `inputs` and `mask` ({error})") from error
    shape = (state.constituents, len(state.inputs.features))
    if x.dim() != 3 or tuple(x.shape[1:]) != shape or mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ModelError(
            f"{inputs}: expected inputs [jets, {shape[0]}, {shape[1]}] and a bool mask, got {tuple(x.shape)}"
        )
    nothing = torch.zeros(len(x), dtype=torch.int64)
    save_file(
        {"logits": torch.from_numpy(training.predict(state.network, Dataset(x, mask, nothing, nothing)))}, out
    )

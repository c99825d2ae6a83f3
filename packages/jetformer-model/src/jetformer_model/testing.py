"""For tests: a small state made without training, and the contract tests of the model state interface.

A program that writes states inherits `StateWriterContract`; one that reads them inherits `StateReaderContract`; a tagger
inherits `TaggerContract`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from jetformer_model.config import Architecture
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph_builder import GraphBuilder
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.state import State, check, load, save
from jetformer_model.taggers.contract import TaggerContract as TaggerContract

FEATURES = ("pt", "etarel", "phirel")
CLASS_NAMES = ("g", "q", "W", "Z", "t")
SMALL = Architecture(
    constituents=5,
    features=3,
    embed_dim=6,
    heads=2,
    classes=5,
    attention_dims=(6, 4),
    feedforward_dims=(12, 7),
    norm="batch",
    activation="relu",
)


def example_state(architecture: Architecture = SMALL, seed: int = 1) -> State:
    """A float state with random weights and with batch-norm statistics that are not the initial ones."""
    torch.manual_seed(seed)
    network = JetFormer(architecture).eval()
    for module in network.modules():
        if isinstance(module, MaskedBatchNorm):
            module.weight.data.uniform_(0.5, 1.5).mul_(torch.randint(0, 2, module.weight.shape) * 2 - 1)
            module.bias.data.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    inputs = Inputs(FEATURES, ("GeV", "", "rad"), (60.0, 0.0, 0.0), (80.0, 0.1, 0.1), 2.0)
    return State(network, inputs, CLASS_NAMES[: architecture.classes])


def example_batch(
    jets: int, architecture: Architecture = SMALL, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal x [jets, P, F] and a mask [jets, P] with 0 to P real constituents a jet, zeros where it is False."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, architecture.constituents + 1, (jets, 1), generator=generator)
    mask = torch.arange(architecture.constituents) < counts
    x = torch.randn(jets, architecture.constituents, architecture.features, generator=generator)
    return x * mask.unsqueeze(-1), mask


def example_one_bit_state(form: OneBit | None = None) -> State:
    """The float state of `example_state` with weights of one bit, not trained."""
    state = example_state()
    network = OneBitJetFormer(SMALL, form)
    network.load_state_dict(state.network.state_dict())
    return dataclasses.replace(state, network=network.eval())


def example_fixed_point_state(seed: int = 1) -> State:
    """A small fixed-point state with random weights in which every operation of the interface occurs: two heads of attention
    from a class token to the constituents, each number with a format of its own."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    build = GraphBuilder(constituents=5, features=3)
    h = build.features().linear("embedding", random(6, 3), random(6)).relu().quantised("tokens")
    tokens = build.concatenate([build.parameter("class_token", random(1, 6)), h], axis=0)
    real = build.concatenate([build.constant("one", torch.ones(1)), build.mask()], axis=0).reshape(1, 1, 6)
    q = tokens[:1].linear("q", random(4, 6)).quantised("query").reshape(1, 2, 2).transpose(1, 0, 2)
    k, v = (tokens.linear(name, random(4, 6)).reshape(6, 2, 2).transpose(1, 0, 2) for name in ("k", "v"))
    score = (q @ k.quantised("key").transpose(0, 2, 1)).quantised("score", along=[0])
    far = (score.maximum(2, real, keep=True) - score).quantised("exponent", along=[])
    weight = far.table("exp", "exp").gated(real)
    share = weight.sum(2, keep=True).quantised("total", along=[]).table("reciprocal", "reciprocal")
    attended = (((weight @ v.quantised("value")).quantised("weighted") * share).transpose(1, 0, 2)).reshape(4)
    pooled = h.gated(build.mask().reshape(5, 1)).maximum(0).quantised("pooled")
    joined = build.concatenate([attended, pooled], axis=0).quantised("joined")
    joined.linear("head", random(5, 10), random(5)).quantised("logits")
    graph, tensors = build.finish()
    architecture = {"name": "deep-sets", "constituents": 5, "features": 3, "classes": 5, "sizes": {}}
    network = FixedPointNetwork(graph, architecture, tensors)
    network.set_formats(
        {name: _random_format(network, name, generator) for name, _ in network.named_quantisers()}
    )
    return State(network.eval(), example_state().inputs, CLASS_NAMES)


def _random_format(network: FixedPointNetwork, name: str, generator: torch.Generator) -> torch.Tensor:
    single = {
        "exponent": (0, 3, 3),
        "total": (0, 3, 4),
        "exp": (0, 1, 6),
        "reciprocal": (0, 1, 7),
        "one": (0, 1, 0),
    }
    if name in single:
        return torch.tensor(single[name])
    shape = network.shape(name)
    i, f = (torch.randint(low, high, shape, generator=generator) for low, high in ((0, 4), (2, 6)))
    return torch.stack([torch.ones_like(i), i, f], -1)


# What a reader may meet: blocks alike, as they are trained; of uneven widths, as pruning leaves them; and two compressions
EXAMPLES: dict[str, Callable[[], State]] = {
    "float": lambda: example_state(
        Architecture.uniform(blocks=2, embed_dim=6, heads=2, constituents=5, features=3, classes=5)
    ),
    "pruned": example_state,
    "one_bit": example_one_bit_state,
    "fixed_point": example_fixed_point_state,
}


class StateWriterContract:
    """Tests of a program that writes states: inherit and define `write_state(path)`."""

    def write_state(self, path: Path) -> None:
        """Write a state to `path`."""
        raise NotImplementedError

    @pytest.fixture
    def written(self, tmp_path: Path) -> Path:
        """A folder with the written state alone in it."""
        folder = tmp_path / "state"
        folder.mkdir()
        self.write_state(folder / "state.safetensors")
        return folder / "state.safetensors"

    def test_state_follows_the_interface(self, written: Path) -> None:
        check(written)

    def test_state_is_written_whole(self, written: Path) -> None:
        load(written)
        assert not [path for path in written.parent.iterdir() if path.name.endswith(".tmp")]

    def test_state_survives_a_second_writing(self, written: Path) -> None:
        again = written.with_name("again.safetensors")
        save(again, load(written))
        first, second = load_file(written), load_file(again)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert _header(again) == _header(written)


class StateReaderContract:
    """Tests of a program that reads states: inherit, define `use_state(path)` and the error it raises for bad ones."""

    expected_error: type[BaseException] | tuple[type[BaseException], ...]
    # of the state that `make_state` writes: a matrix that is cut, and a vector that is taken away
    weight, bias = "blocks.0.attention.q.weight", "embedding.bias"
    # those of EXAMPLES that the program has no use for, each with words of the sentence that says so
    refused: Mapping[str, str] = {}

    def use_state(self, path: Path) -> Any:
        """Do the program's work on a state."""
        raise NotImplementedError

    def make_state(self, path: Path) -> None:
        """Write a state that the program accepts; a float one with batch norm unless overridden."""
        save(path, example_state())

    def test_a_good_state_is_accepted(self, tmp_path: Path) -> None:
        self.make_state(tmp_path / "state.safetensors")
        self.use_state(tmp_path / "state.safetensors")

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_states_of_every_form_are_used_or_refused_in_a_sentence(
        self, example: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "state.safetensors"
        save(path, EXAMPLES[example]())
        if example not in self.refused:
            self.use_state(path)
            return
        with pytest.raises(self.expected_error) as caught:
            self.use_state(path)
        assert self.refused[example] in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_newer_minor_version_is_accepted(self, tmp_path: Path) -> None:
        self.use_state(self._edited(tmp_path, version="2.7"))

    def test_an_unknown_major_version_is_refused(self, tmp_path: Path) -> None:
        self._refuses(self._edited(tmp_path, version="3.0"), "3.0")

    def test_another_format_is_refused(self, tmp_path: Path) -> None:
        self._refuses(self._edited(tmp_path, format="something-else"), "state")

    def test_a_wrong_shape_is_refused(self, tmp_path: Path) -> None:
        path = self._edited(tmp_path)
        tensors, header = load_file(path), _header(path)
        tensors[self.weight] = tensors[self.weight][1:].contiguous()
        save_file(tensors, path, {"jetformer": json.dumps(header)})
        self._refuses(path, self.weight)

    def test_a_missing_tensor_is_refused(self, tmp_path: Path) -> None:
        path = self._edited(tmp_path)
        tensors, header = load_file(path), _header(path)
        del tensors[self.bias]
        save_file(tensors, path, {"jetformer": json.dumps(header)})
        self._refuses(path, self.bias)

    def test_a_truncated_file_is_refused(self, tmp_path: Path) -> None:
        path = self._edited(tmp_path)
        path.write_bytes(path.read_bytes()[:-100])
        self._refuses(path, "safetensors")

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        self._refuses(tmp_path / "absent.safetensors", "no such file")

    def _edited(self, folder: Path, **changes: Any) -> Path:
        path = folder / "state.safetensors"
        self.make_state(path)
        save_file(load_file(path), path, {"jetformer": json.dumps(_header(path) | changes)})
        return path

    def _refuses(self, path: Path, reason: str) -> None:
        with pytest.raises(self.expected_error) as caught:
            self.use_state(path)
        assert path.name in str(caught.value)
        assert reason in str(caught.value)


def _header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["jetformer"])
    return header

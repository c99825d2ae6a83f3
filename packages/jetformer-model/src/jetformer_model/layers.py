"""The layers of any network: what each gives for one full jet, its own parameters and its own FLOPs.

FLOPs: 1 multiply-accumulate = 1 FLOP, a norm 2 an element (as in `flops.py`); products come from PyTorch's counter. What a
layer's parts count is theirs, not the layer's, so that columns add up to `taggers.parameters` and `taggers.flops` exactly.
JetFormer computes all tokens in its last block here, as its published count does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from jetformer_model.network import JetFormer
from jetformer_model.taggers.counting import NORMS
from jetformer_model.taggers.tagger import Tagger


@dataclass(frozen=True)
class Layer:
    """One module. `shape`: of its (first) output for one jet, None where it is not called as a whole."""

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    flops: int


@torch.no_grad()
def layers(network: JetFormer | Tagger) -> list[Layer]:
    """Modules with parameters, FLOPs or both, in their order; "" is the network itself."""
    modules = dict(network.named_modules())
    shapes: dict[str, tuple[int, ...]] = {}
    norms = dict.fromkeys(modules, 0)

    def note(name: str) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            first = output if isinstance(output, Tensor) else output[0]
            shapes[name] = tuple(first.shape[1:] if len(first) == 1 else first.shape)
            norms[name] += 2 * first.numel() if isinstance(module, NORMS) else 0

        return modules[name].register_forward_hook(hook)

    hooks = [note(name) for name in modules]
    try:
        # a fused attention hides its products from the counter
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            _one_full_jet(network)
    finally:
        for hook in hooks:
            hook.remove()  # type: ignore[attr-defined]
    found = counter.get_flop_counts()
    root = type(network).__name__
    whole = {name: sum(found.get(f"{root}.{name}".rstrip("."), {}).values()) // 2 for name in shapes}
    own = dict(whole)
    for name in whole:
        if name:
            own[_nearest(name, whole)] -= whole[name]
    table = [
        Layer(
            name,
            type(module).__name__,
            shapes.get(name),
            sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad),
            own.get(name, 0) + norms[name],
        )
        for name, module in modules.items()
    ]
    return [layer for layer in table if layer.parameters or layer.flops]


def _one_full_jet(network: JetFormer | Tagger) -> None:
    number, features = (
        (network.architecture.constituents, network.architecture.features)
        if isinstance(network, JetFormer)
        else (network.constituents, network.features)
    )
    x, mask = torch.rand(1, number, features), torch.ones(1, number, dtype=torch.bool)
    training = network.training
    network.eval()
    try:
        network(x, mask, every_token=True) if isinstance(network, JetFormer) else network(x, mask)
    finally:
        network.train(training)


def _nearest(name: str, called: dict[str, int]) -> str:
    """The closest module around this one that was called as a whole."""
    while True:
        name = name.rpartition(".")[0]
        if name in called:
            return name

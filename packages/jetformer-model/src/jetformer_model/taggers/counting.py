"""Parameters and FLOPs of any tagger, and a count of FLOPs that knows nothing of their formulae."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from jetformer_model.flops import flops as jetformer_flops
from jetformer_model.network import JetFormer
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.tagger import Tagger

NORMS = (MaskedBatchNorm, nn.LayerNorm, nn.BatchNorm1d)


def parameters(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def flops(network: Tagger | JetFormer) -> int:
    """FLOPs of one full jet, in closed form; 1 multiply-accumulate = 1 FLOP, a norm 2 an element."""
    if isinstance(network, JetFormer):
        return jetformer_flops(network.architecture)
    return network.flops()


@torch.no_grad()
def counted_flops(network: Tagger) -> int:
    """The same, counted while one full jet goes through: PyTorch's counter for products, and 2 for each normed element."""
    elements = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, NORMS)]
    training = network.training
    x = torch.rand(1, network.constituents, network.features)
    try:
        # a fused attention hides its products from the counter
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            network.eval()(x, torch.ones(1, network.constituents, dtype=torch.bool))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops() // 2 + 2 * elements

"""The kernel that follows the attention against the modules, through Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from jetformer_model.config import Architecture
from jetformer_model.network import Block, JetFormer

# tokens, width: one program and a tile that is not full; several steps of a program
CASES = ((7, 16), (131, 32), (600, 16))


def block(width: int) -> Block:
    architecture = Architecture.uniform(
        blocks=1,
        embed_dim=width,
        heads=2,
        constituents=5,
        features=3,
        classes=2,
        norm="layer",
        activation="silu",
    )
    made = next(JetFormer(architecture).each_block())
    for parameter in made.parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(mean=0.7)
    return made


@torch.no_grad()
def compare(tokens: int, width: int, device: str) -> None:
    torch.manual_seed(tokens)
    made = block(width)
    x, attended = torch.randn(tokens, width), torch.randn(tokens, width)
    y = x + made.attention.output(attended)
    expected = y + made.feedforward(y, None)
    found = made.to(device)._fused(x.to(device), attended.to(device))
    torch.testing.assert_close(found.cpu(), expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("tokens", "width"), CASES)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_the_kernel_equals_the_modules_on_a_gpu(tokens: int, width: int) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    compare(tokens, width, "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernel is tested on the GPU itself")
def test_the_kernel_equals_the_modules_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="needs Triton, which comes with CUDA builds of torch")
    calls = "; ".join(f"test.compare({tokens}, {width}, 'cpu')" for tokens, width in CASES)
    folder = os.path.dirname(__file__)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_fused_tokens as test; {calls}"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"TRITON_INTERPRET": "1"})


def test_networks_that_the_kernel_cannot_compute_do_not_use_it() -> None:
    from jetformer_model.tokens import Packed, Padded

    made, x = block(16).half(), torch.randn(9, 16).half()
    packed = Packed(torch.tensor([0, 4, 9], dtype=torch.int32))
    with torch.no_grad():
        assert made._fuses(x, packed)
        assert not made._fuses(x, Padded(torch.ones(9, 1, dtype=torch.bool)))
        assert not made._fuses(x.float(), packed)
        assert not made.float()._fuses(x.float(), packed)
        made.half().feedforward.activation = "relu"
        assert not made._fuses(x, packed)
    made.feedforward.activation = "silu"
    assert not made._fuses(x, packed)  # gradients are asked for

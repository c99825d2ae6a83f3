import torch
from torch import nn

from jetformer_model.norm import MaskedBatchNorm


def test_statistics_are_those_of_real_tokens_alone() -> None:
    torch.manual_seed(1)
    x, mask = torch.randn(3, 5, 7), torch.rand(3, 5) < 0.6
    ours, oracle = MaskedBatchNorm(7), nn.BatchNorm1d(7)
    out = ours(x, mask)
    torch.testing.assert_close(out[mask], oracle(x[mask]))
    torch.testing.assert_close(ours.running_mean, oracle.running_mean)
    torch.testing.assert_close(ours.running_var, oracle.running_var)
    torch.testing.assert_close(ours.eval()(x, mask)[mask], oracle.eval()(x[mask]))


def test_gradients_are_those_of_torch() -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 5, 3, requires_grad=True)
    mask = torch.ones(2, 5, dtype=torch.bool)
    weights = torch.randn(10, 3)
    ours = torch.autograd.grad((MaskedBatchNorm(3)(x, mask).flatten(0, 1) * weights).sum(), x)[0]
    oracle = torch.autograd.grad((nn.BatchNorm1d(3)(x.flatten(0, 1)) * weights).sum(), x)[0]
    torch.testing.assert_close(ours, oracle)


def test_a_batch_of_empty_jets_leaves_no_trace() -> None:
    norm = MaskedBatchNorm(3).train()
    norm(torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool))
    before = [buffer.clone() for buffer in norm.buffers()]
    out = norm(torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.bool))
    assert torch.isfinite(out).all()
    assert all(torch.equal(buffer, kept) for buffer, kept in zip(norm.buffers(), before, strict=True))

"""Dense layers and batch norms on those rows alone that are real: of constituents, of neighbours or of pairs."""

from __future__ import annotations

from torch import Tensor, nn


class RowNorm(nn.BatchNorm1d):
    """Batch norm of rows [rows, channels], in PyTorch's fused form; a single row in training is normed as in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)


def spread(rows: Tensor, places: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    """[*shape, channels], with the rows [rows, channels] at their places and zeros elsewhere."""
    return rows.new_zeros(*shape, rows.shape[-1]).index_put(places, rows)

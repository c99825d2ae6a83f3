"""Learning from a larger network: the loss is a mean of the labels' and of the teacher's.

    (1 - a) CE(labels, student) + a T^2 KL(softmax(teacher / T) || softmax(student / T)),      a = 0.5, T = 2

Source: G. Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from jetformer_compress.errors import CompressError
from jetformer_model.gradients import Loss, cross_entropy
from jetformer_model.state import State

SHARE, TEMPERATURE = 0.5, 2.0


def loss_with_teacher(teacher: State, student: State, device: torch.device) -> Loss:
    """The loss of a student that is trained on `device`; the teacher sees what the student sees, normalised as it wants.

    Raises CompressError if the two have other features or classes.
    """
    for what, a, b in (
        ("features", teacher.inputs.features, student.inputs.features),
        ("classes", teacher.class_names, student.class_names),
    ):
        if a != b:
            raise CompressError(f"teacher: expected the {what} {', '.join(b)}, got {', '.join(a)}")
    network = teacher.network.to(device).eval()
    scale, shift = (part.to(device) for part in _renormalised(teacher, student))

    def loss(logits: Tensor, x: Tensor, where: Any, labels: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = (network(x * scale + shift, where).float() / TEMPERATURE).log_softmax(-1)
        found = (logits / TEMPERATURE).log_softmax(-1)
        imitation = functional.kl_div(found, wanted, reduction="batchmean", log_target=True)
        return (1 - SHARE) * cross_entropy(logits, x, where, labels) + SHARE * TEMPERATURE**2 * imitation

    return loss


def _renormalised(teacher: State, student: State) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the student's normalised features to the teacher's."""
    (mean, std), (of_student, std_of_student) = (
        (torch.tensor(state.inputs.mean), torch.tensor(state.inputs.std)) for state in (teacher, student)
    )
    return std_of_student / std, (of_student - mean) / std

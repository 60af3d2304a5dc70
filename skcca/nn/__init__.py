"""Networks, losses and the training loop: the only part of skcca that imports torch.

A torch user needs no estimator: `cca_loss` is a loss of two batches of outputs, `MLP` a tower,
`TwoViewStep` the exact gradient of a batch of any size.
"""

from skcca.nn.attention import AttentionBiLSTM, AttentionTower
from skcca.nn.losses import (
    as_torch_pairs,
    cca_loss,
    contrastive_loss,
    ey_loss,
    ranking_loss,
    singular_values,
    soft_hgr_loss,
)
from skcca.nn.networks import MLP
from skcca.nn.step import Batch, Reconstruction, TwoViewStep
from skcca.nn.training import by_backward, resolve_device, seeded, train

__all__ = [
    "MLP",
    "AttentionBiLSTM",
    "AttentionTower",
    "Batch",
    "Reconstruction",
    "TwoViewStep",
    "as_torch_pairs",
    "by_backward",
    "cca_loss",
    "contrastive_loss",
    "ey_loss",
    "ranking_loss",
    "resolve_device",
    "seeded",
    "singular_values",
    "soft_hgr_loss",
    "train",
]

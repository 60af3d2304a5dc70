"""Recurrences over songs in both directions of time.

Each takes the steps in time order and the mirrored steps, and returns the states of either pass in
the order that it was given. The usual LSTM has no W_c; with it, these are Eqs. 1 to 5 of [1]_::

    i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + W_ci c_{t-1} + b_i)    (Eq. 1, there printed s_t)
    f_t = sigmoid(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)    (Eq. 2)
    c_t = f_t c_{t-1} + i_t tanh(W_xc x_t + W_hc h_{t-1} + b_c)    (Eq. 3)
    o_t = sigmoid(W_xo x_t + W_ho h_{t-1} + W_co c_t + b_o)        (Eq. 4)
    h_t = o_t tanh(c_t)                                            (Eq. 5)

from h_0 = c_0 = 0, with weights of its own for each direction.

.. [1] D. Zeng, Y. Yu, K. Oyama, "Audio-Visual Embedding for Cross-Modal Music Video Retrieval
   through Supervised Deep CCA", IEEE ISM 2018. :doi:`10.1109/ISM.2018.00-21`
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["BiLSTM", "BiPeepholeLSTM", "bi_recurrence"]

Tensor = torch.Tensor


def bi_recurrence(
    cell: str, n_features: int, hidden_size: int, *, peepholes: str = "diagonal"
) -> BiLSTM | BiPeepholeLSTM:
    """Return the recurrence of a name.

    Parameters
    ----------
    cell : {"lstm", "peephole"}
        The usual LSTM, or Eqs. 1 to 5.
    n_features, hidden_size : int
        Width of a step, and of a state of one direction.
    peepholes : {"diagonal", "full"}, default="diagonal"
        Form of W_ci, W_cf and W_co. The paper does not state it; diagonal is the convention.
    """
    if cell == "lstm":
        return BiLSTM(n_features, hidden_size)
    if cell == "peephole":
        return BiPeepholeLSTM(n_features, hidden_size, peepholes=peepholes)
    raise ValueError(f"`cell` must be 'lstm' or 'peephole'; got {cell!r}.")


class BiLSTM(nn.Module):
    """Run two LSTM layers of torch, one a direction.

    Two layers, the second fed with mirrored songs, instead of packed sequences: the states are the
    same, and a ragged batch trains three times faster on a CPU.

    Parameters
    ----------
    n_features, hidden_size : int
        Width of a step, and of a state of one direction.
    """

    def __init__(self, n_features: int, hidden_size: int):
        super().__init__()
        self.forwards = nn.LSTM(n_features, hidden_size, batch_first=True)
        self.backwards = nn.LSTM(n_features, hidden_size, batch_first=True)

    def forward(self, steps: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (B, S, hidden_size) of steps and mirrored steps (B, S, n_features)."""
        return self.forwards(steps)[0], self.backwards(mirrored)[0]

    @torch.no_grad()
    def set_forget_bias(self, value: float) -> None:
        """Set b_f, but for torch's second, random bias."""
        for layer in (self.forwards, self.backwards):
            gates = layer.get_parameter("bias_ih_l0")  # input, forget, cell, output
            gates[layer.hidden_size : 2 * layer.hidden_size] = value


class BiPeepholeLSTM(nn.Module):
    """Run Eqs. 1 to 5, both directions in one loop over time.

    Parameters
    ----------
    n_features, hidden_size : int
        Width of a step, and of a state of one direction.
    peepholes : {"diagonal", "full"}, default="diagonal"
        Whether a gate sees the memory c of its own unit or of all.
    """

    def __init__(self, n_features: int, hidden_size: int, *, peepholes: str = "diagonal"):
        super().__init__()
        if peepholes not in ("diagonal", "full"):
            raise ValueError(f"`peepholes` must be 'diagonal' or 'full'; got {peepholes!r}.")
        # Both directions in each; gates as torch has them: input, forget, cell, output.
        self.weight_x = nn.Parameter(torch.empty(2, 4 * hidden_size, n_features))
        self.weight_h = nn.Parameter(torch.empty(2, 4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(2, 4 * hidden_size))
        self.full = peepholes == "full"
        shape = (3 * hidden_size, hidden_size) if self.full else (1, 3, hidden_size)
        self.weight_c = nn.Parameter(torch.empty(2, *shape))  # input, forget, output
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, steps: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (B, S, hidden_size) of steps and mirrored steps (B, S, n_features)."""
        n_units = self.weight_h.shape[2]
        n_songs, n_steps, _ = steps.shape
        inputs = torch.stack([steps, mirrored]).flatten(1, 2)
        inputs = torch.baddbmm(self.bias[:, None], inputs, self.weight_x.mT)
        weight_h = self.weight_h.mT
        h = c = inputs.new_zeros(2, n_songs, n_units)
        seen = inputs.new_zeros(2, n_songs, 3 * n_units)  # W_c c, of all three gates
        states = []
        for x in inputs.unflatten(1, (n_songs, n_steps)).unbind(2):
            gates = torch.baddbmm(x, h, weight_h)
            early = torch.sigmoid_(gates[..., : 2 * n_units] + seen[..., : 2 * n_units])
            i, f = early.chunk(2, dim=-1)
            c = torch.addcmul(f * c, i, torch.tanh(gates[..., 2 * n_units : 3 * n_units]))
            seen = self._seen(c)
            o = torch.sigmoid_(gates[..., 3 * n_units :] + seen[..., 2 * n_units :])
            h = o * torch.tanh(c)
            states.append(h)
        ahead, behind = torch.stack(states, dim=1).transpose(2, 1)  # in memory step by step
        return ahead, behind

    def _seen(self, c: Tensor) -> Tensor:
        """Return what the gates see of a memory (2, B, hidden_size): W_ci c, W_cf c, W_co c."""
        if self.full:
            return torch.bmm(c, self.weight_c.mT)
        return (c[:, :, None] * self.weight_c).flatten(2)

    @torch.no_grad()
    def set_forget_bias(self, value: float) -> None:
        """Set b_f."""
        n_units = self.weight_h.shape[2]
        self.bias[:, n_units : 2 * n_units] = value

"""Recurrence, attention and head of the emotion network, and the tower made of them.

A song is a sequence of steps x_t. An LSTM whose gates see its memory runs over the steps in both
directions of time, with weights of its own for each, from h_0 = c_0 = 0::

    i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + W_ci c_{t-1} + b_i)    (Eq. 1, there printed s_t)
    f_t = sigmoid(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)    (Eq. 2)
    c_t = f_t c_{t-1} + i_t tanh(W_xc x_t + W_hc h_{t-1} + b_c)    (Eq. 3)
    o_t = sigmoid(W_xo x_t + W_ho h_{t-1} + W_co c_t + b_o)        (Eq. 4)
    h_t = o_t tanh(c_t)                                            (Eq. 5)

The usual LSTM is the same without W_ci, W_cf and W_co. Attention weighs the states h^f and h^b of
the two directions, and a linear layer turns their weighted mean into logits (head="pooled")::

    u_t    = w^T tanh(W_f h^f_t + W_b h^b_t + beta)        (Eq. 6)
    theta  = softmax(u) over the real steps                (Eq. 7)
    logits = H sum_t theta_t [h^f_t, h^b_t] + b

With head="per_step" each step has logits z_t = H [h^f_t, h^b_t] + b of its own, and their
probabilities are averaged, so that a step without attention has no influence, however certain
it is::

    p = sum_t theta_t softmax(z_t),    logits = log p               (one class a song)
    p = sum_t theta_t sigmoid(z_t),    logits = log p - log(1 - p)  (tags)

Guarantees: a padded step never changes the score of a real one, and attention is zero on padding
and sums to one over the real steps. Of a batch with long songs, a few of similar length are in
memory at a time, so that one song of ten hours does not fill all others up with padding. References
are those of `ChunkSelector`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from skcca.nn.networks import check_size

__all__ = ["AttentionBiLSTM", "AttentionOutput", "AttentionTower"]

# Songs of up to so many steps, 51 minutes by default, are computed together however many they are;
# of longer ones so many padded steps, 0.5 GB with 128 features and 128 units, at a time.
_ORDINARY_STEPS = 1_024
_STEPS_AT_ONCE = 32_768


def similar_lengths(lengths: np.ndarray, n_steps: int) -> Iterator[np.ndarray]:
    """Yield the indices of songs that are padded together to ``n_steps``, the longest first."""
    # In the order of their lengths songs of a group are about equally long.
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        n_songs = max(1, n_steps // lengths[order[0]])
        yield order[:n_songs]
        order = order[n_songs:]


def check_lengths(songs: Any, lengths: Any) -> None:
    """Refuse lengths that are not those of padded songs (B, T, d)."""
    if not isinstance(songs, Tensor) or not isinstance(lengths, Tensor):
        kinds = f"{type(songs).__name__} and {type(lengths).__name__}"
        raise TypeError(f"padded songs and their lengths are tensors; got {kinds}.")
    if songs.ndim != 3 or lengths.shape != songs.shape[:1]:
        raise ValueError(
            f"padded songs have shape {tuple(songs.shape)} and lengths {tuple(lengths.shape)}; "
            "expected (n_songs, n_frames, n_features) and (n_songs,)."
        )
    # A GPU would wait for the comparison, and padding comes from the library there.
    if lengths.device.type == "cpu" and not ((lengths >= 1) & (lengths <= songs.shape[1])).all():
        raise ValueError(
            f"`lengths` range from {int(lengths.min())} to {int(lengths.max())}; songs of "
            f"{songs.shape[1]} padded frames have 1 to {songs.shape[1]}."
        )


def by_groups(
    forward: Callable[[Tensor, Tensor], Any],
    songs: Tensor,
    lengths: Tensor,
    *,
    frames_per_step: int = 1,
) -> tuple[list[Any], Tensor]:
    """Return the outputs of groups of padded songs (B, T, d), and the places of songs in them.

    A group is computed anew when its gradient is taken, with the same random numbers.
    """
    check_lengths(songs, lengths)
    groups = [torch.arange(len(songs))]
    # Lengths are read on the host only if there can be a long song.
    if songs.shape[1] > _ORDINARY_STEPS * frames_per_step:
        n_steps = -(-lengths.cpu().numpy() // frames_per_step)
        groups = list(map(torch.from_numpy, similar_lengths(n_steps, _STEPS_AT_ONCE)))
    if len(groups) == 1:
        return [forward(songs, lengths)], groups[0]
    outputs = []
    for group in (group.to(lengths.device) for group in groups):
        longest = int(lengths[group].max())
        part = songs[group, :longest], lengths[group]
        outputs.append(checkpoint(forward, *part, use_reentrant=False))
    return outputs, torch.argsort(torch.cat(groups)).to(lengths.device)


def bi_recurrence(
    cell: str, n_features: int, hidden_size: int, *, peepholes: str = "diagonal"
) -> BiLSTM | BiPeepholeLSTM:
    """Return a bidirectional recurrence by the name of its cell."""
    # torch takes no integers of NumPy, which grids of a search hold.
    n_features, hidden_size = int(n_features), int(hidden_size)
    if cell == "lstm":
        return BiLSTM(n_features, hidden_size)
    if cell == "peephole":
        return BiPeepholeLSTM(n_features, hidden_size, peepholes=peepholes)
    raise ValueError(f"`cell` must be 'lstm' or 'peephole'; got {cell!r}.")


class BiLSTM(nn.Module):
    """Two LSTM layers of torch, one for each direction of time.

    The second layer is fed with mirrored songs. Packed sequences give the same states, but a ragged
    batch trains three times faster on a CPU this way.
    """

    def __init__(self, n_features: int, hidden_size: int):
        super().__init__()
        self.forwards = nn.LSTM(n_features, hidden_size, batch_first=True)
        self.backwards = nn.LSTM(n_features, hidden_size, batch_first=True)

    def forward(self, steps: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (B, S, hidden_size) of (mirrored) steps, in the order of the input."""
        return self.forwards(steps)[0], self.backwards(mirrored)[0]

    @torch.no_grad()
    def set_forget_bias(self, value: float) -> None:
        """Set b_f, without the second bias of torch, which stays random."""
        for layer in (self.forwards, self.backwards):
            gates = layer.get_parameter("bias_ih_l0")  # input, forget, cell, output
            gates[layer.hidden_size : 2 * layer.hidden_size] = value


class BiPeepholeLSTM(nn.Module):
    """LSTM whose gates see the memory (Eqs. 1 to 5), both directions in one loop over time.

    The paper does not state the form of W_ci, W_cf and W_co: "diagonal" lets a gate see the memory
    of its own unit, which is the convention, and "full" that of all units.
    """

    def __init__(self, n_features: int, hidden_size: int, *, peepholes: str = "diagonal"):
        super().__init__()
        if peepholes not in ("diagonal", "full"):
            raise ValueError(f"`peepholes` must be 'diagonal' or 'full'; got {peepholes!r}.")
        # Each parameter holds both directions; the order of the gates is that of torch: input,
        # forget, cell, output. The cell gate has no peephole.
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
        peephole = inputs.new_zeros(2, n_songs, 3 * n_units)
        states = []
        for x in inputs.unflatten(1, (n_songs, n_steps)).unbind(2):
            gates = torch.baddbmm(x, h, weight_h)
            # Input and forget gates see the memory of the step before, the output gate the new one.
            early = torch.sigmoid_(gates[..., : 2 * n_units] + peephole[..., : 2 * n_units])
            i, f = early.chunk(2, dim=-1)
            c = torch.addcmul(f * c, i, torch.tanh(gates[..., 2 * n_units : 3 * n_units]))
            peephole = self._peephole(c)
            o = torch.sigmoid_(gates[..., 3 * n_units :] + peephole[..., 2 * n_units :])
            h = o * torch.tanh(c)
            states.append(h)
        # Stacked before they are transposed, so that states lie in memory step by step, as those of
        # `nn.LSTM` do.
        forward, backward = torch.stack(states, dim=1).transpose(2, 1)
        return forward, backward

    def _peephole(self, c: Tensor) -> Tensor:
        """Return W_ci c, W_cf c and W_co c side by side, of a memory c (2, B, hidden_size)."""
        if self.full:
            return torch.bmm(c, self.weight_c.mT)
        return (c[:, :, None] * self.weight_c).flatten(2)

    @torch.no_grad()
    def set_forget_bias(self, value: float) -> None:
        """Set b_f."""
        n_units = self.weight_h.shape[2]
        self.bias[:, n_units : 2 * n_units] = value


class AttentionOutput(NamedTuple):
    """Output of the network for a batch of B songs padded to S steps."""

    scores: Tensor  # (B, S): u_t of Eq. 6, minus infinity on padding
    attention: Tensor  # (B, S): theta of Eq. 7, zero on padding
    pooled: Tensor  # (B, 2 * hidden_size): states averaged by attention
    logits: Tensor  # (B, n_outputs)

    def padded(self, n_steps: int) -> AttentionOutput:
        """Return the output of a batch that is padded to ``n_steps``."""
        more = 0, n_steps - self.scores.shape[1]
        scores = functional.pad(self.scores, more, value=-torch.inf)
        return self._replace(scores=scores, attention=functional.pad(self.attention, more))


class AttentionBiLSTM(nn.Module):
    """Classify sequences by attention over the states of a bidirectional LSTM (Eqs. 6 and 7).

    Parameters
    ----------
    n_features : int
        Width of a step.
    n_outputs : int
        Number of classes or tags.
    hidden_size : int, default=128
    cell : {"lstm", "peephole"}, default="lstm"
    dropout : float, default=0.0
    peepholes : {"diagonal", "full"}, default="diagonal"
    head : {"pooled", "per_step"}, default="pooled"
        See `ChunkSelector`.
    multilabel : bool, default=False
        With ``head="per_step"``, whether outputs are tags that may occur together (sigmoid), not
        classes (softmax).
    position : bool, default=False
        Whether `position_code` is added to the steps.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import AttentionBiLSTM
    >>> network = AttentionBiLSTM(n_features=4, n_outputs=3, hidden_size=8).eval()
    >>> output = network(torch.zeros(2, 5, 4), lengths=torch.tensor([5, 2]))
    >>> output.attention.shape, output.logits.shape
    (torch.Size([2, 5]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        hidden_size: int = 128,
        cell: str = "lstm",
        dropout: float = 0.0,
        *,
        peepholes: str = "diagonal",
        head: str = "pooled",
        multilabel: bool = False,
        position: bool = False,
    ):
        super().__init__()
        check_size(n_features, "n_features")
        check_size(n_outputs, "n_outputs")
        check_size(hidden_size, "hidden_size")
        if head not in ("pooled", "per_step"):
            raise ValueError(f"`head` must be 'pooled' or 'per_step'; got {head!r}.")
        self.n_features, self.position = n_features, position
        self.per_step, self.multilabel = head == "per_step", multilabel
        self.recurrence = bi_recurrence(cell, n_features, hidden_size, peepholes=peepholes)
        # `mix` holds [W_f, W_b] and beta of Eq. 6, and `weight` holds w, without a bias, which the
        # softmax of Eq. 7 would cancel.
        self.mix = nn.Linear(2 * hidden_size, hidden_size)
        self.weight = nn.Linear(hidden_size, 1, bias=False)
        # The comparison is False for NaN.
        if not 0 <= dropout <= 1:
            raise ValueError(f"`dropout`={dropout!r} must be a share from 0 to 1.")
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden_size, n_outputs)
        # Training starts with a short memory, so that a state tells of the steps around it, and
        # with uneven attention, so that the steps get different gradients.
        self.recurrence.set_forget_bias(-3.0)
        nn.init.normal_(self.weight.weight, std=4 / hidden_size**0.5)

    def forward(self, steps: Tensor, lengths: Tensor) -> AttentionOutput:
        """Return scores, attention, pooled features and logits.

        Parameters
        ----------
        steps : Tensor of shape (B, S, n_features)
            Padded songs; the padding may hold any finite value.
        lengths : Tensor of shape (B,)
            Number of real steps of each song, at least 1.

        Returns
        -------
        output : AttentionOutput
            Scores and attention (B, S), pooled states (B, 2 hidden_size), logits (B, n_outputs).
        """
        outputs, places = by_groups(self._forward, steps, lengths)
        if len(outputs) == 1:
            return outputs[0]
        padded = [output.padded(steps.shape[1]) for output in outputs]
        return AttentionOutput(*(torch.cat(part)[places] for part in zip(*padded, strict=True)))

    def _forward(self, steps: Tensor, lengths: Tensor) -> AttentionOutput:
        """Return the output for songs that are computed together."""
        if self.position:
            steps = steps + position_code(steps.shape[1], self.n_features).to(steps)
        piece_length = self._piece_length(steps.shape[1])
        forward, backward = self._states_of_pieces(steps, lengths, piece_length)
        scores = self.weight(torch.tanh_(_linear_of_both(self.mix, forward, backward))).squeeze(-1)
        time = torch.arange(steps.shape[1], device=steps.device)
        scores = scores.masked_fill(time >= lengths[:, None], -torch.inf)
        attention = torch.softmax(scores, dim=1)
        pooled = torch.cat([attention[:, None] @ h for h in (forward, backward)], dim=2)[:, 0]
        if not self.per_step:
            return AttentionOutput(scores, attention, pooled, self.head(self.dropout(pooled)))
        step_logits = _linear_of_both(self.head, self.dropout(forward), self.dropout(backward))
        # Averages of probabilities are taken of their logarithms: a product of attention and
        # probability may underflow.
        log_attention = torch.log_softmax(scores, dim=1)[..., None]
        if self.multilabel:
            log_p, log_not_p = (
                torch.logsumexp(log_attention + functional.logsigmoid(sign * step_logits), dim=1)
                for sign in (1, -1)
            )
            return AttentionOutput(scores, attention, pooled, log_p - log_not_p)
        log_p = torch.logsumexp(log_attention + torch.log_softmax(step_logits, dim=2), dim=1)
        return AttentionOutput(scores, attention, pooled, log_p)

    def states(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states h^f and h^b, in time order.

        Parameters
        ----------
        steps, lengths : Tensors of shape (B, S, n_features) and (B,)
            As in `forward`.

        Returns
        -------
        forward, backward : Tensors of shape (B, S, hidden_size)
            States of the pass from the first step on, and of the pass from the last step back.
        """
        n_songs, n_steps, n_features = steps.shape
        time = torch.arange(n_steps, device=steps.device)[:, None]
        song = torch.arange(n_songs, device=steps.device)
        # Reverses the real steps of each song; the modulo sends padding to padding.
        mirror = (lengths - 1 - time) % n_steps
        # In memory states lie step by step, so mirrored steps do too: layers need not copy them.
        index = (song * n_steps + mirror).flatten()
        mirrored = steps.flatten(0, 1).index_select(0, index).view(n_steps, n_songs, n_features)
        forward, backward = self.recurrence(steps, mirrored.transpose(0, 1))
        index = (mirror * n_songs + song).flatten()
        backward = backward.transpose(0, 1).flatten(0, 1).index_select(0, index)
        return forward, backward.view(n_steps, n_songs, -1).transpose(0, 1)

    def _states_of_pieces(
        self, steps: Tensor, lengths: Tensor, piece_length: int
    ) -> tuple[Tensor, Tensor]:
        """Return the states where memory is cut after every ``piece_length`` steps."""
        n_songs, n_steps, n_features = steps.shape
        if piece_length == n_steps:
            return self.states(steps, lengths)
        # Each piece is passed on as a song of its own.
        starts = torch.arange(0, n_steps, piece_length, device=steps.device)
        pieces = functional.pad(steps, (0, 0, 0, -n_steps % piece_length))
        pieces = pieces.reshape(-1, piece_length, n_features)
        piece_lengths = (lengths[:, None] - starts).clamp(0, piece_length).flatten()
        forward, backward = (
            h.reshape(n_songs, len(starts) * piece_length, -1)[:, :n_steps]
            for h in self.states(pieces, piece_lengths)
        )
        return forward, backward

    def _piece_length(self, n_steps: int) -> int:
        """Return the steps after which memory is cut: random in training, all in inference.

        Every other batch is cut into pieces of 2 steps or more. Not every state can then tell of
        distant steps, and attention must find the steps that matter.
        """
        if not self.training:
            return n_steps
        return min(int(torch.randint(2, 2 * n_steps + 1, ())), n_steps)


def _linear_of_both(layer: nn.Linear, forward: Tensor, backward: Tensor) -> Tensor:
    """Return ``layer(cat([forward, backward], dim=2))`` of states (B, S, hidden_size)."""
    # A product for each direction saves the concatenated copy. Transposed, states are contiguous.
    forward_weight, backward_weight = layer.weight.chunk(2, dim=1)
    forward, backward = forward.transpose(0, 1), backward.transpose(0, 1)
    outputs = functional.linear(forward, forward_weight, layer.bias).flatten(0, 1)
    outputs = torch.addmm(outputs, backward.flatten(0, 1), backward_weight.T)
    return outputs.view(*forward.shape[:2], -1).transpose(0, 1)


def position_code(n_steps: int, n_features: int) -> Tensor:
    """Return waves of periods from 2 pi to 20,000 pi steps, (n_steps, n_features).

    ::

        P_{t,2j} = sin(t r^j),    P_{t,2j+1} = cos(t r^j),    r = 10000^(-2 / n_features)

    Positions count from the start of a song, so that its length does not matter.
    """
    feature = torch.arange(n_features)
    rate = 10_000.0 ** (-(feature - feature % 2) / n_features)
    angle = torch.arange(n_steps)[:, None] * rate
    return torch.where(feature % 2 == 0, torch.sin(angle), torch.cos(angle))


Tower = TypeVar("Tower", bound="AttentionTower")


class AttentionTower(nn.Module):
    """Embed songs by attention over the states of a bidirectional recurrence.

    Frames are pooled into steps by maxima, as in `ChunkSelector`, and the output is ::

        z = H sum_t theta_t [h^f_t, h^b_t] + b,    theta = softmax(u) over the real steps

    Passed to an estimator as ``x_network=functools.partial(AttentionTower, hidden_size=64)``, it
    learns attention from the correlation with the other view. ``x_network=selector.tower()`` starts
    from the network of a fitted `ChunkSelector`.

    Parameters
    ----------
    n_features : int
        Width of a frame.
    n_outputs : int
        Width of the output.
    frames_per_step : int, default=3
        Frames pooled into a step; the last step of a song may have fewer.
    **attention
        Further arguments of `AttentionBiLSTM`: `hidden_size`, `cell`, `peepholes`, `position` and
        `dropout`.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import AttentionTower
    >>> tower = AttentionTower(20, 5, hidden_size=8)
    >>> tower(torch.zeros(2, 30, 20), torch.tensor([30, 11])).shape
    torch.Size([2, 5])
    """

    def __init__(
        self, n_features: int, n_outputs: int, *, frames_per_step: int = 3, **attention: Any
    ):
        super().__init__()
        check_size(frames_per_step, "frames_per_step")
        self.frames_per_step = frames_per_step
        self.attention = AttentionBiLSTM(n_features, n_outputs, **attention)

    @classmethod
    def pretrained(
        cls, network: AttentionBiLSTM, *, frames_per_step: int = 3, frozen: bool = False
    ) -> Callable[[int, int], Self]:
        """Return a factory, for ``x_network=``, of towers that start from a trained network.

        Parameters
        ----------
        network : AttentionBiLSTM
            Trained network. It is copied, and the output layer of the copy is replaced.
        frames_per_step : int, default=3
            Frames pooled into a step when it was trained.
        frozen : bool, default=False
            Whether the output layer alone is trained.

        Returns
        -------
        build : callable
            ``build(n_features, n_outputs)`` returns a tower.
        """
        return _PretrainedFactory(cls, network, frames_per_step, frozen)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        frames : Tensor of shape (B, T, n_features)
            Padded songs, standardised; the padding may hold any value.
        lengths : Tensor of shape (B,)
            Number of real frames of each song, at least 1.

        Returns
        -------
        z : Tensor of shape (B, n_outputs)
            Features of each song.
        """
        outputs, places = by_groups(
            self._forward, frames, lengths, frames_per_step=self.frames_per_step
        )
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)[places]

    def _forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the features of songs that are computed together."""
        steps = max_pool_padded(frames, lengths, self.frames_per_step)
        output: AttentionOutput = self.attention(*steps)
        return output.logits


@dataclass
class _PretrainedFactory(Generic[Tower]):
    """Factory of towers that start from a trained network; unlike a closure it can be pickled."""

    tower: type[Tower]
    network: AttentionBiLSTM
    frames_per_step: int
    frozen: bool

    def __call__(self, n_features: int, n_outputs: int) -> Tower:
        network = copy.deepcopy(self.network)
        if n_features != network.n_features:
            raise ValueError(
                f"the pretrained tower takes frames of {network.n_features} features; got "
                f"{n_features}."
            )
        network.requires_grad_(not self.frozen)
        network.head, network.per_step = nn.Linear(network.head.in_features, n_outputs), False
        # The smallest network, which is replaced at once.
        tower = self.tower(1, 1, frames_per_step=self.frames_per_step, hidden_size=1)
        tower.attention = network
        return tower


def max_pool_padded(frames: Tensor, lengths: Tensor, frames_per_step: int) -> tuple[Tensor, Tensor]:
    """Return the steps of padded songs (B, S, d), zero on padding, and their number per song."""
    # A step that is longer than the songs would be filled up.
    frames_per_step = min(frames_per_step, frames.shape[1])
    time = torch.arange(frames.shape[1], device=frames.device)
    padding = time >= lengths[:, None]
    # Minus infinity loses against every real frame of a step.
    frames = frames.masked_fill(padding[..., None], -torch.inf)
    frames = functional.pad(frames, (0, 0, 0, -frames.shape[1] % frames_per_step), value=-torch.inf)
    steps = frames.unflatten(1, (-1, frames_per_step)).amax(dim=2)
    counts = -(-lengths // frames_per_step)
    padding = torch.arange(steps.shape[1], device=frames.device) >= counts[:, None]
    return steps.masked_fill(padding[..., None], 0.0), counts

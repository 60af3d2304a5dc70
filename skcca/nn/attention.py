"""The emotion network: a bidirectional recurrence whose attention tells where a song's emotion is.

::

    u_t    = w^T tanh(W_f h^f_t + W_b h^b_t + beta)        (Eq. 6)
    theta  = softmax(u) over the real steps                (Eq. 7)
    logits = H sum_t theta_t [h^f_t, h^b_t] + b            (head="pooled")

with the states h of `cells`. Told at each step [1]_, z_t = H [h^f_t, h^b_t] + b (head="per_step"),
what is averaged are probabilities, so that a step of no attention has no say however sure it is::

    p = sum_t theta_t softmax(z_t),    logits = log p               (one class a song)
    p = sum_t theta_t sigmoid(z_t),    logits = log p - log(1 - p)  (tags)

Guarantees: a padded step never changes the score of a real one, attention is zero on padding and
sums to one over the real steps, and inference holds a bounded number of padded steps in memory
however many songs there are.

.. [1] Y.-S. Huang, S.-Y. Chou, Y.-H. Yang, "Music thumbnailing via neural attention modeling of
   music emotion", APSIPA ASC 2017. :doi:`10.1109/APSIPA.2017.8282049`
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skcca.nn.networks import check_size

__all__ = ["AttentionTower", "BiLSTM", "BiPeepholeLSTM", "bi_recurrence"]

# Padded steps in one inference batch: 100 to 200 MB with 128 features and 128 units.
_STEPS_AT_ONCE = 16_384


class Emotion(NamedTuple):
    """What the network says of a batch of B songs padded to S steps."""

    scores: torch.Tensor  # (B, S): u_t of Eq. 6, minus infinity on padding
    attention: torch.Tensor  # (B, S): theta of Eq. 7, zero on padding
    pooled: torch.Tensor  # (B, 2 * hidden_size): states averaged by attention
    logits: torch.Tensor  # (B, n_outputs)


class AttentionBiLSTM(nn.Module):
    """Classify sequences by attention over the states of a bidirectional LSTM (Eqs. 6 and 7).

    Parameters
    ----------
    n_features : int
        Width of a step.
    n_outputs : int
        Number of classes or tags.
    hidden_size : int, default=128
        Units of each direction, and of the hidden layer of Eq. 6.
    cell : {"lstm", "peephole"}, default="lstm"
        The usual LSTM, or the paper's, whose gates also see the memory (Eqs. 1 to 5).
    dropout : float, default=0.0
        Share of what the classifier sees that is dropped while training.
    peepholes : {"diagonal", "full"}, default="diagonal"
        With ``cell="peephole"``, whether a gate sees the memory of its own unit or of all.
    head : {"pooled", "per_step"}, default="pooled"
        Whether the classifier sees the states averaged by attention, or sees each step, and its
        probabilities are averaged.
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
    >>> said = network(torch.zeros(2, 5, 4), lengths=torch.tensor([5, 2]))
    >>> said.attention.shape, said.logits.shape
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
        sizes = {"n_features": n_features, "n_outputs": n_outputs, "hidden_size": hidden_size}
        for name, size in sizes.items():
            check_size(size, name)
        if head not in ("pooled", "per_step"):
            raise ValueError(f"`head` must be 'pooled' or 'per_step'; got {head!r}.")
        self.n_features, self.position = n_features, position
        self.per_step, self.multilabel = head == "per_step", multilabel
        self.recurrence = bi_recurrence(cell, n_features, hidden_size, peepholes=peepholes)
        self.mix = nn.Linear(2 * hidden_size, hidden_size)  # [W_f, W_b] and beta
        self.weight = nn.Linear(hidden_size, 1, bias=False)  # w; softmax would cancel a bias
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden_size, n_outputs)  # H and b
        # Begin with a short memory and uneven attention.
        self.recurrence.set_forget_bias(-3.0)
        nn.init.normal_(self.weight.weight, std=4 / hidden_size**0.5)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> Emotion:
        """Return scores, attention, pooled features and logits.

        Parameters
        ----------
        steps : Tensor of shape (B, S, n_features)
            Padded songs; the padding may hold any finite value.
        lengths : Tensor of shape (B,)
            Number of real steps of each song, at least 1.

        Returns
        -------
        emotion : Emotion
            Scores and attention (B, S), pooled states (B, 2 hidden_size), logits (B, n_outputs).
        """
        if self.position:
            steps = steps + position_code(steps.shape[1], self.n_features).to(steps)
        ahead, behind = self._states_in_pieces(steps, lengths, self._piece(steps.shape[1]))
        scores = self.weight(torch.tanh_(_of_both(self.mix, ahead, behind))).squeeze(-1)
        time = torch.arange(steps.shape[1], device=steps.device)
        scores = scores.masked_fill(time >= lengths[:, None], -torch.inf)
        attention = torch.softmax(scores, dim=1)
        pooled = torch.cat([attention[:, None] @ h for h in (ahead, behind)], dim=2)[:, 0]
        if not self.per_step:
            return Emotion(scores, attention, pooled, self.head(self.dropout(pooled)))
        told = _of_both(self.head, self.dropout(ahead), self.dropout(behind))  # (B, S, n_outputs)
        log_attention = torch.log_softmax(scores, dim=1)[..., None]
        if self.multilabel:
            yes, no = (
                torch.logsumexp(log_attention + functional.logsigmoid(sign * told), dim=1)
                for sign in (1, -1)
            )
            return Emotion(scores, attention, pooled, yes - no)
        log_p = torch.logsumexp(log_attention + torch.log_softmax(told, dim=2), dim=1)
        return Emotion(scores, attention, pooled, log_p)

    def states(
        self, steps: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states h^f and h^b, in time order.

        Parameters
        ----------
        steps : Tensor of shape (B, S, n_features)
            Padded songs; the padding may hold any finite value.
        lengths : Tensor of shape (B,)
            Number of real steps of each song, at least 1.

        Returns
        -------
        ahead, behind : Tensors of shape (B, S, hidden_size)
            States that have seen the steps before, and those after.
        """
        n_songs, n_steps, n_features = steps.shape
        time = torch.arange(n_steps, device=steps.device)[:, None]
        song = torch.arange(n_songs, device=steps.device)
        # Reverses the real steps of each sequence; the modulo sends padding to padding.
        mirror = (lengths - 1 - time) % n_steps
        # In memory states lie step by step, so mirrored steps do too: layers need not copy them.
        places = (song * n_steps + mirror).flatten()
        mirrored = steps.flatten(0, 1).index_select(0, places).view(n_steps, n_songs, n_features)
        ahead, behind = self.recurrence(steps, mirrored.transpose(0, 1))
        places = (mirror * n_songs + song).flatten()
        behind = behind.transpose(0, 1).flatten(0, 1).index_select(0, places)
        return ahead, behind.view(n_steps, n_songs, -1).transpose(0, 1)

    def _states_in_pieces(
        self, steps: torch.Tensor, lengths: torch.Tensor, piece: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states where each piece of so many steps is a sequence of its own."""
        n_songs, n_steps, n_features = steps.shape
        if piece == n_steps:
            return self.states(steps, lengths)
        starts = torch.arange(0, n_steps, piece, device=steps.device)
        pieces = functional.pad(steps, (0, 0, 0, -n_steps % piece)).reshape(-1, piece, n_features)
        real = (lengths[:, None] - starts).clamp(0, piece).flatten()
        ahead, behind = (
            h.reshape(n_songs, len(starts) * piece, -1)[:, :n_steps]
            for h in self.states(pieces, real)
        )
        return ahead, behind

    def _piece(self, n_steps: int) -> int:
        """Return after how many steps memory is cut: in training at random, in use never.

        Every other batch is cut into pieces of 2 steps or more, so that not every state can know
        what happens far away, and attention must find it.
        """
        if not self.training:
            return n_steps
        return min(int(torch.randint(2, 2 * n_steps + 1, ())), n_steps)


def _of_both(layer: nn.Linear, ahead: torch.Tensor, behind: torch.Tensor) -> torch.Tensor:
    """Return ``layer(cat([ahead, behind], dim=2))`` of states (B, S, hidden_size), uncopied."""
    by_ahead, by_behind = layer.weight.chunk(2, dim=1)
    ahead, behind = ahead.transpose(0, 1), behind.transpose(0, 1)  # as they lie in memory
    mixed = functional.linear(ahead, by_ahead, layer.bias).flatten(0, 1)
    mixed = torch.addmm(mixed, behind.flatten(0, 1), by_behind.T)
    return mixed.view(*ahead.shape[:2], -1).transpose(0, 1)


def position_code(n_steps: int, n_features: int) -> torch.Tensor:
    """Return waves of lengths from 2 pi up to 20,000 pi steps, (n_steps, n_features).

    ::

        P_{t,2j} = sin(t r^j),    P_{t,2j+1} = cos(t r^j),    r = 10000^(-2 / n_features)

    Positions count from the start of a song, so that its length is of no consequence.
    """
    place = torch.arange(n_features)
    rate = 10_000.0 ** (-(place - place % 2) / n_features)
    angle = torch.arange(n_steps)[:, None] * rate
    return torch.where(place % 2 == 0, torch.sin(angle), torch.cos(angle))


def pad_batch(
    songs: Sequence[np.ndarray], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the songs padded with zeros, float32 of shape (B, S, d), and their lengths (B,)."""
    lengths = np.array([len(song) for song in songs])
    padded = np.zeros((len(songs), lengths.max(), songs[0].shape[1]), dtype=np.float32)
    for row, song in zip(padded, songs, strict=True):
        row[: len(song)] = song
    return torch.from_numpy(padded).to(device), torch.from_numpy(lengths).to(device)


class SongBatches:
    """Training batches, shuffled anew by each call.

    Songs of similar length share a batch (they are sorted within pools of ``16 * batch_size``
    shuffled songs), which saves most of the padding and still makes other batches in each epoch.

    Parameters
    ----------
    songs : sequence of ndarray of shape (S_i, d)
        Steps of each song.
    targets : ndarray of shape (n,) or (n, n_outputs)
        Class codes (int64), or distributions or indicators (float32).
    batch_size : int
        Songs a batch.
    rng : numpy.random.Generator
        Shuffles.
    device : torch.device
        Where the batches are put.
    """

    def __init__(
        self,
        songs: Sequence[np.ndarray],
        targets: np.ndarray,
        batch_size: int,
        rng: np.random.Generator,
        device: torch.device,
    ):
        self.songs, self.targets, self.batch_size = songs, targets, batch_size
        self.rng, self.device = rng, device
        self._lengths = np.array([len(song) for song in songs])

    def __call__(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield (padded steps, lengths, targets) until every song was seen once."""
        order = self.rng.permutation(len(self.songs))
        pool = 16 * self.batch_size
        batches = []
        for start in range(0, len(order), pool):
            songs = order[start : start + pool]
            songs = songs[np.argsort(self._lengths[songs], kind="stable")]
            batches += np.split(songs, range(self.batch_size, len(songs), self.batch_size))
        for index in self.rng.permutation(len(batches)):
            batch = batches[index]
            steps, lengths = pad_batch([self.songs[i] for i in batch], self.device)
            yield steps, lengths, torch.from_numpy(self.targets[batch]).to(self.device)


def emotion_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    multilabel: bool,
    class_weight: torch.Tensor | np.ndarray | None = None,
) -> torch.Tensor:
    """Return the mean loss of a batch.

    Softmax cross-entropy, -sum_ic w_c q_ic log p_ic / sum_ic w_c q_ic, of class codes (rows q_i
    with a single 1) or of tag distributions; sigmoid cross-entropy for indicators, a mean with
    weights w_c over all entries.

    Parameters
    ----------
    logits : Tensor of shape (B, n_outputs)
        What the network says.
    targets : Tensor of shape (B,) or (B, n_outputs)
        Class codes (int64), distributions or indicators.
    multilabel : bool
        Whether rows are indicators.
    class_weight : Tensor or ndarray of shape (n_outputs,), default=None
        The w_c, not negative; None for ones. A batch of weight 0 has loss 0.
    """
    if class_weight is None:
        if multilabel:
            return functional.binary_cross_entropy_with_logits(logits, targets)
        return functional.cross_entropy(logits, targets)
    weight = torch.as_tensor(class_weight).to(logits)
    if multilabel:
        loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        weight = weight.expand_as(loss)
    else:
        if targets.ndim == 1:
            targets = functional.one_hot(targets, logits.shape[1])
        loss = -torch.log_softmax(logits, dim=1)
        weight = weight * targets
    return (weight * loss).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


class SongEmotions(NamedTuple):
    """What the network says of n songs, as float32 arrays on the host."""

    scores: list[np.ndarray]  # (S_i,) of each song
    attention: list[np.ndarray]  # (S_i,) of each song
    pooled: np.ndarray  # (n, 2 * hidden_size)
    logits: np.ndarray  # (n, n_outputs)


def inference_batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of songs that are padded together, the longest first."""
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        n_songs = max(1, _STEPS_AT_ONCE // lengths[order[0]])
        yield order[:n_songs]
        order = order[n_songs:]


@torch.inference_mode()
def infer(
    network: AttentionBiLSTM, songs: Sequence[np.ndarray], device: torch.device
) -> SongEmotions:
    """Apply the network, which stays where it is, to songs of any length."""
    network = copy.deepcopy(network).to(device).eval()
    lengths = np.array([len(song) for song in songs])
    scores: list[np.ndarray] = [np.empty(0)] * len(songs)
    attention = list(scores)
    pooled = np.empty((len(songs), network.head.in_features), dtype=np.float32)
    logits = np.empty((len(songs), network.head.out_features), dtype=np.float32)
    for batch in inference_batches(lengths):
        said = network(*pad_batch([songs[i] for i in batch], device))
        u, theta = said.scores.cpu().numpy(), said.attention.cpu().numpy()
        for i, u_song, theta_song in zip(batch, u, theta, strict=True):
            scores[i], attention[i] = u_song[: lengths[i]], theta_song[: lengths[i]]
        pooled[batch], logits[batch] = said.pooled.cpu().numpy(), said.logits.cpu().numpy()
    return SongEmotions(scores, attention, pooled, logits)


# MERGED: nn.cells
# """Recurrences over songs in both directions of time.
#
# Each takes the steps in time order and the mirrored steps, and returns the states of either pass
# in
# the order that it was given. The usual LSTM has no W_c; with it, these are Eqs. 1 to 5 of [1]_::
#
#     i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + W_ci c_{t-1} + b_i)    (Eq. 1, there printed s_t)
#     f_t = sigmoid(W_xf x_t + W_hf h_{t-1} + W_cf c_{t-1} + b_f)    (Eq. 2)
#     c_t = f_t c_{t-1} + i_t tanh(W_xc x_t + W_hc h_{t-1} + b_c)    (Eq. 3)
#     o_t = sigmoid(W_xo x_t + W_ho h_{t-1} + W_co c_t + b_o)        (Eq. 4)
#     h_t = o_t tanh(c_t)                                            (Eq. 5)
#
# from h_0 = c_0 = 0, with weights of its own for each direction.
#
# .. [1] D. Zeng, Y. Yu, K. Oyama, "Audio-Visual Embedding for Cross-Modal Music Video Retrieval
#    through Supervised Deep CCA", IEEE ISM 2018. :doi:`10.1109/ISM.2018.00-21`
# """

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


# MERGED: nn.attention_tower
# """The attention model as a tower of a two-view network: ragged songs in, features out."""


class AttentionTower(nn.Module):
    """Embed songs by attention over the states of a bidirectional recurrence.

    Frames are pooled into steps by maxima, as `ChunkSelector` does, and what comes out is ::

        z = H sum_t theta_t [h^f_t, h^b_t] + b,    theta = softmax(u) over the real steps

    Give it to an estimator as ``x_network=functools.partial(AttentionTower, hidden_size=64)``, and
    attention is learned from the correlation with the other view; or as
    ``x_network=selector.tower()``, and it starts where a `ChunkSelector` has ended.

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
        self,
        n_features: int,
        n_outputs: int,
        *,
        frames_per_step: int = 3,
        **attention: Any,
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
            Is copied; its output layer is replaced.
        frames_per_step : int, default=3
            What it was trained with.
        frozen : bool, default=False
            Whether the output layer alone is trained.

        Returns
        -------
        build : callable
            ``build(n_features, n_outputs)`` returns a tower.
        """
        return _Pretrained(cls, network, frames_per_step, frozen)  # a class: it can be pickled

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
        z: Tensor = self.attention(*max_pooled(frames, lengths, self.frames_per_step)).logits
        return z


class _Pretrained:
    def __init__(self, tower: Any, network: AttentionBiLSTM, frames_per_step: int, frozen: bool):
        self.tower, self.network = tower, network
        self.frames_per_step, self.frozen = frames_per_step, frozen

    def __call__(self, n_features: int, n_outputs: int) -> Any:
        network = copy.deepcopy(self.network)
        if n_features != network.n_features:
            raise ValueError(
                f"the pretrained tower takes frames of {network.n_features} features; got "
                f"{n_features}."
            )
        network.requires_grad_(not self.frozen)
        network.head, network.per_step = nn.Linear(network.head.in_features, n_outputs), False
        built = self.tower(1, 1, frames_per_step=self.frames_per_step, hidden_size=1)
        built.attention = network
        return built


def max_pooled(frames: Tensor, lengths: Tensor, frames_per_step: int) -> tuple[Tensor, Tensor]:
    """Return maxima over the real frames of each step (B, S, d), zero on padding, and lengths."""
    time = torch.arange(frames.shape[1], device=frames.device)
    padding = (time >= lengths[:, None])[..., None]
    frames = frames.masked_fill(padding, -torch.inf)
    frames = functional.pad(frames, (0, 0, 0, -frames.shape[1] % frames_per_step), value=-torch.inf)
    steps = frames.unflatten(1, (-1, frames_per_step)).amax(dim=2)
    counts = -(-lengths // frames_per_step)
    beyond = torch.arange(steps.shape[1], device=frames.device) >= counts[:, None]
    return steps.masked_fill(beyond[..., None], 0.0), counts

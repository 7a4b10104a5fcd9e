"""What training minimises: a reconstruction loss plus penalties, each a named term.

Row and cell weights are applied here and nowhere else. Randomness is drawn in `prepare`
and nowhere else, so that `forward` is a pure function of the parameters and the batch.
Knows no variant's formula.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import nn

from skae._random import normal
from skae.objectives.batch import Batch, Network, Pass, pre_code
from skae.objectives.corruption import Corruption
from skae.objectives.penalties.base import Penalty
from skae.objectives.penalties.revival import Revival, Watched
from skae.objectives.penalties.target import LinearHead
from skae.objectives.reconstruction import Reconstruction

_CHUNK = 8192


class Objective(nn.Module):
    """Reconstruction plus penalties.

    Parameters
    ----------
    reconstruction : Reconstruction
        The loss by cell.
    penalties : dict of str to Penalty, optional
        What is added, by the name of its term.
    corruption : Corruption, optional
        What the encoder is shown in place of rows.
    emphasis : float in [0, 1], optional
        Weight of the cells whose input is not their target; the others weigh one minus that
        (Vincent et al. 2010). None weights all rows equally.

    Attributes
    ----------
    revival : Revival or None
        Watches each training pass and may change the network after the step, as `Resample` does.
    penalizes_regressions : bool
        Whether held-out rows charge an epoch for sizes of an ordered code that are worse than at the start.
    reweighs : bool
        Whether parts of the loss are weighed anew in the course of training.
    averages_cells : bool
        Whether the reconstruction term is the mean loss of the cells of whole codes.
    judged_sizes : list of int
        Sizes of an ordered code that `evaluate` measures beside the whole one; none without an order.
    """

    penalizes_regressions = False
    reweighs = False
    averages_cells = True
    judged_sizes: Sequence[int] = ()

    def __init__(
        self,
        reconstruction: Reconstruction,
        penalties: dict[str, Penalty] | None = None,
        corruption: Corruption | None = None,
        emphasis: float | None = None,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.penalties = nn.ModuleDict()
        for name, penalty in (penalties or {}).items():
            self.add_penalty(name, penalty)
        self.corruption = corruption
        self.emphasis = emphasis
        self.revival: Revival | None = None
        # Deviation of what is added to cells that the encoder sees in training; held-out rows are left alone.
        self.input_noise = 0.0
        # Whether any row holds NaN; such cells count nowhere.
        self.has_gaps = False
        # How far training is, in [0, 1]: steps write it, the warm-up of penalties reads it.
        self.progress = 1.0
        self.warms_up = True

    def add_penalty(self, name: str, penalty: Penalty) -> None:
        """Add a penalty; its term is known by the name.

        Raises
        ------
        TypeError
            If it is no `Penalty`, whose attributes say what it can do.
        """
        if not isinstance(penalty, Penalty):
            raise TypeError(
                f"The penalty {name!r} is a {type(penalty).__name__}. Derive it from "
                "skae.objectives.penalties.Penalty."
            )
        self.penalties[name] = penalty

    def named_penalties(self) -> Iterator[tuple[str, Penalty]]:
        """Go over the penalties, with their names."""
        yield from cast(dict[str, Penalty], self.penalties).items()

    @property
    def head(self) -> LinearHead | None:
        """The linear model of a target on the codes; None where there is no target."""
        return cast(LinearHead, self.penalties["target"]) if "target" in self.penalties else None

    def start_head(self, network: Network, rows: Batch) -> None:
        """Let the linear model of a target begin as the best one on the codes of a network.

        Its loss is put into units of the reconstruction, so that a weight means the same for every loss of
        cells: what that falls by as a share of the variance is explained, from the constant to the start.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows : Batch
            Training rows, and what the encoder sees of them.
        """
        if self.head is None:
            return
        with torch.no_grad():
            code = torch.cat([network.encode(part) for part in rows.inputs.split(_CHUNK)])
            few = slice(_CHUNK)
            target = self.reconstruction.target(rows.target[few])
            ends = [
                (self._row_losses(output, target, None), self._missed(output, target))
                for output in (network.decode(torch.zeros_like(code[few])), network.decode(code[few]))
            ]
        (constant, missed), (loss, left) = ((float(each.mean()) for each in end) for end in ends)
        share = (missed - left) / missed if missed > 0 else 0.0
        is_known = share > 1e-3 and constant > loss and not self.reconstruction.is_squared_error
        self.head.start(code, rows, (constant - loss) / share if is_known else 1.0)

    @property
    def n_sizes(self) -> int:
        """Number of sizes of the code that are measured; 0 for codes whose components have no order."""
        return 0

    def start(self, network: Network, rows: torch.Tensor, seen: torch.Tensor) -> None:
        """Take what is needed of the network before the first step; nothing here.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows, seen : tensor of shape (n_rows, n_features)
            Training rows and what the encoder sees of them.
        """

    def move_centre(self, shift: torch.Tensor) -> None:
        """Take rows that lie about another centre, (n_features,) in units of the centred and scaled rows.

        What is in units of the data, the zeros and ones of a category for example, must be found again.
        """
        self.reconstruction.move_centre(shift)
        if self.corruption is not None:
            self.corruption.move_centre(shift)

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows that are shifted and multiplied by a factor from now on, as the scaled rows of a stream.

        Only what is in units of the data is changed; outputs and targets have to be centred and scaled.

        Parameters
        ----------
        shift : tensor of shape (n_features,)
            In units of the centred and scaled rows.
        factor : float
        """
        reconstruction = self.reconstruction
        reconstruction.centre.copy_(reconstruction.centre + shift * reconstruction.scale)
        reconstruction.scale /= factor
        if self.corruption is not None:
            self.corruption.move_frame(shift, factor)

    @property
    def adapts(self) -> bool:
        """Whether there is any part that may take something of the training rows."""
        return bool(self.penalties) or self.revival is not None or self.corruption is not None

    @property
    def freedom(self) -> Literal["maps", "rotations", "none"]:
        """By which linear maps of the codes, that the decoder undoes, nothing is changed that is wanted."""
        found = {penalty.freedom for _, penalty in self.named_penalties() if penalty.coefficient}
        return "none" if "none" in found else "rotations" if "rotations" in found else "maps"

    def move_codes(self, matrix: torch.Tensor, shift: torch.Tensor) -> None:
        """Take codes that are ``(code - shift) @ matrix`` from now on, and that the decoder moves back.

        Parameters
        ----------
        matrix : tensor of shape (n_components, n_components)
            One that `freedom` allows.
        shift : tensor of shape (n_components,)
        """
        for _, penalty in self.named_penalties():
            penalty.move_codes(matrix, shift)

    @property
    def is_squared_error(self) -> bool:
        """Whether the mean squared error of cells is all that is minimised, but for what is in `by_hand`."""
        return (
            self.averages_cells
            and self.reconstruction.is_squared_error
            and all(penalty.is_by_hand for _, penalty in self.named_penalties())
            and self.revival is None
        )

    @property
    def divides(self) -> bool:
        """Whether terms and gradients of a batch are the means of those of parts of its rows."""
        plain = type(self) is Objective and self.averages_cells and self.revival is None
        return plain and all(penalty.divides for _, penalty in self.named_penalties())

    @property
    def by_hand(self) -> dict[str, float]:
        """Weights of the penalties that `DenseGradient` knows, by their names."""
        return {name: penalty.coefficient for name, penalty in self.named_penalties() if penalty.is_by_hand}

    @property
    def changes_rows(self) -> bool:
        """Whether `prepare` corrupts rows, fills their gaps or weighs their cells; noise aside."""
        return self.corruption is not None or self.emphasis is not None or self.has_gaps

    def adapt(self, rows: torch.Tensor) -> None:
        """Let the parts take what they need of the training rows (n, n_features), once."""
        for _, penalty in self.named_penalties():
            penalty.adapt(rows)
        if self.revival is not None:
            self.revival.adapt(rows)
        if self.corruption is not None:
            centre = self.reconstruction.centre.to(rows)
            self.corruption.adapt(rows, -centre / self.reconstruction.scale)

    def corrupt(
        self, rows: torch.Tensor, generator: torch.Generator, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return corrupted rows for the encoder, in place of rows (n, n_features) of weights (n, 1)."""
        if self.corruption is None:
            return rows
        noisy = self.corruption(rows, generator, weight)
        if self.makes_gaps:
            return noisy
        # Gaps stay where they are, whatever the noise moves.
        return torch.where(rows.isnan() | noisy.isnan(), rows, noisy) if self.has_gaps else noisy

    @property
    def makes_gaps(self) -> bool:
        """Whether the corruption hides cells, so that the encoder sees gaps."""
        return self.corruption is not None and self.corruption.makes_gaps

    def _emphasis(self, inputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
        """Return the weight of each cell (n, n_features) by whether the encoder sees it as it is."""
        if self.emphasis is None:
            return None
        return torch.where(inputs != target, self.emphasis, 1 - self.emphasis).to(target)

    def prepare(self, rows: Batch, network: Network, generator: torch.Generator) -> Batch:
        """Draw all that is random about a training step and set the target's units.

        Parameters
        ----------
        rows : Batch
            Rows as they are stored: centred and scaled, inputs and target alike.
        network : Autoencoder
            Its bottleneck may draw.
        generator : torch.Generator
            The stream called "noise".

        Returns
        -------
        batch : Batch
            What `forward` takes.
        """
        inputs = self.corrupt(rows.inputs, generator, rows.weight)
        weight = rows.weight
        emphasis = self._emphasis(inputs, rows.target)
        if emphasis is not None:
            weight = emphasis if weight is None else weight * emphasis
        if self.input_noise:
            noise = normal(inputs.shape, generator, inputs.dtype)
            inputs = torch.add(inputs, noise, alpha=self.input_noise)
        draws: dict[str, torch.Tensor | None] = {}
        if network.bottleneck.draws_codes:
            draws["code"] = network.bottleneck.draw(len(inputs), generator)
        for name, penalty in self.named_penalties():
            draws[_seat(name)] = penalty.draw(inputs, generator)
        target = self.reconstruction.target(rows.target)
        if self.has_gaps:
            observed = (~target.isnan()).to(target)
            weight = observed if weight is None else weight * observed
            target = target.nan_to_num()
        coefficients = {name: self._coefficient(penalty) for name, penalty in self.named_penalties()}
        # What is done about gaps depends on the rows at hand, and is no part of what is differentiated.
        filled, there = network.filled(inputs)
        if there is None:
            return Batch(inputs, target, weight, draws, coefficients, labels=rows.labels)
        return Batch(inputs, target, weight, draws, coefficients, filled, there, rows.labels)

    def forward(self, network: Network, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the named terms, whose sum is minimised, as the first part of `watched`."""
        return self.watched(network, batch)[0]

    def watched(self, network: Network, batch: Batch) -> tuple[dict[str, torch.Tensor], Watched]:
        """Return the named terms of a training pass, and what is noted of it.

        Parameters
        ----------
        network : Autoencoder
        batch : Batch
            From `prepare`.

        Returns
        -------
        terms : dict of str to scalar tensor
            "reconstruction" first, then one a penalty, coefficients included.
        watched : sequence of tensor
            What `renew` takes after the step.
        """
        pre = pre_code(network, batch)
        code = network.bottleneck(pre, batch.draws.get("code"))
        output, cells = self._decoded(network, code, batch)
        passed = Pass(network, batch, pre, code, output)
        terms = {"reconstruction": weighted_mean(cells, batch.weight), **self._penalised(passed)}
        return terms, () if self.revival is None else self.revival.watch(passed)

    def _decoded(
        self, network: Network, code: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output that penalties see and the loss of each cell, both (n, n_features)."""
        output = network.decode(code)
        return output, self.reconstruction.cells(output, batch.target)

    def _penalised(self, passed: Pass) -> dict[str, torch.Tensor]:
        """Return the term of each penalty."""
        terms = {}
        for name, penalty in self.named_penalties():
            coefficient = passed.batch.coefficients.get(name, penalty.coefficient)
            values = penalty(passed._replace(draw=passed.batch.draws.get(_seat(name))))
            terms[name] = coefficient * weighted_mean(values, passed.batch.weight)
        return terms

    def _coefficient(self, penalty: Penalty) -> float:
        """Return what a penalty is multiplied by at this point of training."""
        if self.warms_up and penalty.judges and penalty.warm_up:
            return penalty.coefficient * min(1.0, self.progress / penalty.warm_up)
        return penalty.coefficient

    def missed_by_size(self, network: Network, rows: Batch) -> torch.Tensor:
        """Sum the squared errors of rows when only the first components are there, (n_sizes,)."""
        return torch.zeros(self.n_sizes, dtype=torch.float64)

    def counters(self) -> dict[str, float]:
        """Return the numbers beside parameters and buffers that change in training."""
        n_seen = 0 if self.revival is None else self.revival.n_seen
        return {"progress": self.progress, "n_seen": n_seen}

    def load_counters(self, counters: Mapping[str, float]) -> None:
        """Load numbers from `counters`."""
        self.progress = counters["progress"]
        if self.revival is not None:
            self.revival.n_seen = int(counters["n_seen"])

    def renew(self, network: Network, watched: Watched) -> None:
        """Bring back, after a step, what training has lost, by what was noted of its pass."""
        if self.revival is not None:
            self.revival.renew(network, self.progress, watched)

    @torch.no_grad()
    def evaluate(self, network: Network, rows: Batch) -> "Errors":
        """Measure reconstruction as in use, without corruption and noise, and penalties that judge.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows : Batch
            As for `prepare`, gaps filled or not.

        Returns
        -------
        errors : Errors
        """
        target = self.reconstruction.target(rows.target)
        pre = pre_code(network, rows)
        code = network.bottleneck.read(pre)
        output = network.decode(code)
        loss = self._judged(network, pre, output, target, self._emphasis(rows.inputs, rows.target))
        loss = loss + self._judged_penalties(network, rows, pre, code, output)
        return Errors(loss, self._missed(output, target), told=self._told(network, rows, pre))

    def _judged_penalties(
        self, network: Network, rows: Batch, pre: torch.Tensor, code: torch.Tensor, output: torch.Tensor
    ) -> torch.Tensor | float:
        """Add up the penalties that judge, one value a row (n,) or a scalar."""
        passed = Pass(network, rows, pre, code, output)
        return sum(
            penalty.coefficient * penalty(passed) for _, penalty in self.named_penalties() if penalty.judges
        )

    def _told(self, network: Network, rows: Batch, pre: torch.Tensor) -> torch.Tensor | None:
        """Return the loss of the target of each row, (n,); None where there is none."""
        if rows.labels is None or self.head is None:
            return None
        return self.head.losses(network.bottleneck.read(pre), rows.labels)

    def _missed(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Sum the squared errors of each row, (n,)."""
        squares = self.reconstruction.squares(output, target)
        return (squares.nan_to_num() if self.has_gaps else squares).sum(1)

    def _judged(
        self,
        network: Network,
        pre: torch.Tensor,
        output: torch.Tensor,
        target: torch.Tensor,
        emphasis: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the loss of rows (n,) that chooses epochs: of codes with the same noise every time."""
        noisy = self._noisy(network, pre)
        return self._row_losses(output if noisy is None else network.decode(noisy), target, emphasis)

    def _noisy(self, network: Network, pre: torch.Tensor) -> torch.Tensor | None:
        """Return codes (n, n_components) with noise that is the same every time; None where there is none."""
        noise = network.bottleneck.draw(len(pre), torch.Generator(pre.device).manual_seed(0))
        return None if noise is None else network.bottleneck(pre, noise)

    def _row_losses(
        self, output: torch.Tensor, target: torch.Tensor, emphasis: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean loss of the cells of each row that are there, (n,)."""
        cells = self.reconstruction.cells(output, target)
        if emphasis is None:
            return cells.nanmean(1).nan_to_num() if self.has_gaps else cells.mean(1)
        weight = emphasis * ~cells.isnan()
        total = weight.sum(1).clamp_min(torch.finfo(cells.dtype).tiny)
        return (cells.nan_to_num() * weight).sum(1) / total


def _seat(name: str) -> str:
    """Return the name that a penalty's draw goes by in a batch, which no other seat has."""
    return f"penalties.{name}"


class Errors(NamedTuple):
    """Errors of rows, each of shape (n,)."""

    loss: torch.Tensor  # mean loss over the cells of a row, and penalties that judge
    squared: torch.Tensor  # sum of squared errors over the cells, in squared units of the scaled rows
    by_size: torch.Tensor | None = None  # (n, n_sizes) the same when only the first components are there
    told: torch.Tensor | None = None  # loss of a target that codes are to tell, over what a constant leaves


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Average over rows (n,) or cells (n, n_features), by weights of rows or of cells.

    Parameters
    ----------
    values : tensor of shape (), (n,) or (n, n_features)
        A scalar is its own mean.
    weight : tensor of shape (n, 1) or (n, n_features), optional
        Not negative. The mean over nothing is zero.

    Returns
    -------
    mean : scalar tensor
    """
    if weight is None or values.ndim == 0:
        return values.mean()
    if values.ndim == 1:
        # A row weighs as much as its observed cells do on average.
        weight = weight.mean(1)
    total = weight.expand_as(values).sum()
    return (values * weight).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)

"""One update of all members of a stack from one batch each."""

from collections.abc import Sequence

from skae.objectives.batch import Batch
from skae.training.stack import Differentiated, Pair, Stack
from skae.training.stacked_adam import StackedAdam
from skae.training.steps import StepSettings, Terms, adam_betas


class StackedStep:
    """One step of Adam for each member of a stack, along the gradient of its own objective.

    Parameters
    ----------
    pairs : sequence of Pair
        Networks and objectives of one structure.
    settings : sequence of StepSettings
        Rate, decay and the like of each.
    """

    def __init__(self, pairs: Sequence[Pair], settings: Sequence[StepSettings]) -> None:
        self.settings = list(settings)
        self.schedules = [each.schedule for each in settings]
        self.rates = [each.rate for each in settings]
        self.stack = Stack(pairs)
        self.gradient = Differentiated(self.stack)
        self.optimizer = StackedAdam(
            self.stack.values,
            self.stack.gradients,
            self.stack.n_decaying,
            [each.weight_decay for each in settings],
            [each.gradient_clip for each in settings],
            adam_betas(pairs[0].objective.reweighs),
        )

    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update each member once; return the terms of the loss before, (n_members,) each."""
        prepared, rates = [], []
        for index, pair in enumerate(self.stack.pairs):
            pair.objective.progress = progress[index]
            prepared.append(pair.objective.prepare(batches[index], pair.network, self.settings[index].noise))
            rates.append(self.rates[index] * self.schedules[index].factor(progress[index]))
        terms = self.gradient(prepared)
        self.optimizer.step(rates)
        for pair in self.stack.pairs:
            pair.objective.renew(pair.network)
        return terms

    def slow_down(self, model: int, factor: float) -> None:
        """Forget the moments of a model, whose weights went back to an earlier epoch, and lower its rate."""
        self.rates[model] *= factor
        self.optimizer.reset(model)

    def are_finite(self) -> list[bool]:
        """Return whether all parameters of each member are finite."""
        found: list[bool] = self.stack.values.sum(1).isfinite().tolist()
        return found

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models."""
        pairs = [self.stack.pairs[model] for model in models]
        self.stack.release()
        self.stack = Stack(pairs)
        self.gradient = Differentiated(self.stack)
        self.optimizer.keep(models, self.stack.values, self.stack.gradients)
        for name in ("settings", "schedules", "rates"):
            setattr(self, name, [getattr(self, name)[model] for model in models])

    def close(self) -> None:
        """Part the members."""
        self.stack.release()

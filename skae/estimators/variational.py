"""The variational autoencoder: a distribution of codes for each row, and rows that can be drawn."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import Tags, metadata_routing

from skae._containers import as_passed
from skae._random import Streams, normal
from skae._typing import RandomState
from skae.data.blockwise import by_blocks
from skae.estimators._checks import Interval, StrOptions, check_count, check_draws, check_is_fitted
from skae.estimators._declaration import Elsewhere
from skae.estimators.base import BaseAutoencoder
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck, Gaussian
from skae.networks.pca_start import fit_affine_decoder, set_probabilistic_path
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import Objective, Reconstruction
from skae.objectives.importance import ImportanceWeighted, codes_given, evidence_bound, weighted_bound
from skae.objectives.likelihood import KINDS, LIKELIHOODS, Likelihood, check_cells
from skae.objectives.penalties import Divergence
from skae.tables.cells import as_dense, fill
from skae.tables.positions import group_numbers, text_per_column
from skae.tables.reading import flat
from skae.training.batches import Rows, average
from skae.training.fitted import Fitted
from skae.training.tensors import Frame

# Variance of the posterior means above which a component is active (Burda et al. 2016).
_ACTIVE_ABOVE = 0.01
# Draws that the evidence lower bound averages, beside as many of opposite sign, and candidates for a code.
_N_PAIRS, _N_CANDIDATES = 8, 20


class VariationalAutoencoderTransformer(BaseAutoencoder):
    """Learn the distribution of rows, to draw new ones and to compute how likely given ones are.

    Each row has a normal distribution of codes. All of them together are kept near the standard normal, so
    that codes drawn from that decode to rows like those of the fit. With a linear network this is
    probabilistic PCA, which is where the fit starts. Read more in the guide, :doc:`/guide/variational`.

    Parameters
    ----------
    loss : {"squared_error"}, default="squared_error"
        Not used, present for consistency: `likelihood` takes its place.
    likelihood : {"gaussian", "bernoulli", "poisson", "categorical"}, sequence or dict, default="gaussian"
        Distribution of cells given the code: one for all columns, a sequence with one for each column, or a
        dict by column (name or position; "gaussian" for columns not named). "bernoulli" needs values in [0,
        1], "poisson" values of at least 0, "categorical" groups of columns (see `column_groups`) of which
        one is 1 and the others are 0.
    column_groups : sequence of sequences of str or int, default=None
        Which "categorical" columns belong together, by name or position; each must be in a group.
    variance : {"learned", "per_feature"} or float, default="learned"
        Variance of gaussian columns about the output of the decoder: one learnt number, one for each
        column, or a fixed number in squared units of X.
    objective : {"elbo", "iwae"}, default="elbo"
        What is maximised: the evidence lower bound, or the tighter importance-weighted bound (Burda et al.
        2016) with `n_importance` draws.
    beta : float, default=1.0
        Weight of the divergence of codes from the standard normal, at least 0: more than 1 trades
        reconstruction for simpler codes (Higgins et al. 2017). "iwae" needs 1.
    kl_warm_up : float, default=0.1
        Share of the training over which `beta` rises from zero, in [0, 1].
    free_bits : float, default=0.0
        Nats of each component that are not penalised, at least 0, against components that end unused
        (Kingma et al. 2016). "iwae" needs 0.
    n_importance : int, default=5
        Number of draws for each row and step of "iwae", at least 1.

    Attributes
    ----------
    kl_per_component_ : ndarray of shape (n_components,)
        Divergence of the codes from the standard normal, in nats, mean over the training rows: the
        information of each component about a row.
    active_components_ : ndarray of int
        Components whose mean has a variance above 0.01 over the training rows.
    noise_variance_ : ndarray of shape (n_features,)
        Variance of gaussian columns about the output of the decoder, in squared units of X; NaN for others.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    Warns
    -----
    ConvergenceWarning
        If most components are inactive after the fit.

    See Also
    --------
    AdversarialAutoencoderTransformer : Any prior that can be drawn from, no likelihood.

    Notes
    -----
    Components that say little about a row are given up, so codes may explain less than PCA (`score`),
    without a warning. The epoch is chosen by the bound on held-out rows, with the same noise every time.

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-encoding variational Bayes. ICLR.
    .. [2] Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance weighted autoencoders. ICLR.
    .. [3] Tipping, M. E. and Bishop, C. M. (1999). Probabilistic principal component analysis. Journal of the
       Royal Statistical Society B 61, 611-622.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import VariationalAutoencoderTransformer
    >>> X = StandardScaler().fit_transform(load_iris().data)
    >>> model = VariationalAutoencoderTransformer(2, max_iter=50, random_state=0).fit(X)
    >>> Z, Z_std = model.transform(X, return_std=True)
    >>> Z.shape, Z_std.shape
    ((150, 2), (150, 2))
    >>> model.sample(5, random_state=0).shape
    (5, 4)
    >>> bool(model.score_samples(X).mean() > model.score_samples(X + 3).mean())
    True
    """

    likelihood: (
        Literal["gaussian", "bernoulli", "poisson", "categorical"] | Sequence[str] | Mapping[Any, str]
    ) = "gaussian"
    column_groups: Sequence[Sequence[Any]] | None = None
    variance: Literal["learned", "per_feature"] | float = "learned"
    objective: Literal["elbo", "iwae"] = "elbo"
    beta: float = 1.0
    kl_warm_up: float = 0.1
    free_bits: float = 0.0
    n_importance: int = 5

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "loss": [StrOptions({"squared_error"})],
        "likelihood": [StrOptions(set(KINDS)), "array-like", dict],
        "column_groups": ["array-like", None],
        "variance": [StrOptions({"learned", "per_feature"}), Interval(Real, 0, None, closed="neither")],
        "objective": [StrOptions({"elbo", "iwae"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "n_importance": [Interval(Integral, 1, None, closed="left")],
    }
    _rivals_pca: ClassVar[bool] = False
    noise_variance_ = Elsewhere("fit sets it")
    # return_std is for callers, not for a Pipeline to route.
    __metadata_request__transform: ClassVar[dict[str, str]] = {"return_std": metadata_routing.UNUSED}
    # A tenth of the others': decay makes decoders small, and codes larger than the prior is.
    _weight_decays: ClassVar[dict[str, float]] = {"adam": 0.01}

    # -------------------------------------------------------------- read-outs

    @by_blocks
    def transform(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Map rows to the means of their codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, in the units and with the columns of `fit`.
        return_std : bool, default=False
            Whether to return the standard deviations of the codes as well.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Means, in float32 for float32 rows and else in float64.
        Z_std : ndarray of shape (n_samples, n_components)
            Standard deviations; only if `return_std`.
        """
        check_is_fitted(self, "network_")
        rows = self._validated(X)
        Z = as_passed(self._encode(rows), X)
        return (Z, as_passed(self._codec.apply(rows, _deviations), X)) if return_std else Z

    def sample(self, n_samples: int = 1, random_state: RandomState = None, noise: bool = True) -> np.ndarray:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows every time.
        noise : bool, default=True
            If True, sample cells from the likelihood; if False, return their means given the code.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the units of the data, as float64.
        """
        check_is_fitted(self, "network_")
        check_draws(n_samples, "n_samples", self.n_features_in_)
        generator = Streams(random_state).torch("noise")
        codes = normal((n_samples, self.n_components_), generator, torch.float64)
        reconstruction = _likelihood_of(self.objective_)
        draw = (lambda mean: reconstruction.sample(mean, generator)) if noise else None
        return self._columns.as_given(self._codec.decode(codes.numpy(), draw))

    def sample_posterior(
        self, X: ArrayLike, n_samples: int = 1, random_state: RandomState = None
    ) -> np.ndarray:
        """Draw codes of given rows, which `inverse_transform` decodes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        n_samples : int, default=1
            Number of codes for each row.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same codes every time.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_rows, n_components)
            Codes.
        """
        check_is_fitted(self, "network_")
        rows = self._validated(X)
        check_draws(n_samples, "n_samples", len(rows) * self.n_components_)
        mean, deviation = self._codes(rows), self._codec.apply(rows, _deviations)
        noise = normal((n_samples, *mean.shape), Streams(random_state).torch("noise")).numpy()
        return as_passed(mean + deviation * noise.astype(mean.dtype), X)

    def sample_missing(self, X: Any, n_samples: int = 1, random_state: RandomState = None) -> list[Any]:
        """Draw missing values, given the observed ones.

        Codes are drawn from the encoder's distribution given the observed cells, and one is chosen by its
        weight, the likelihood of those cells over the encoder's density (sampling importance resampling).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows with missing values.
        n_samples : int, default=1
            Number of tables to draw.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same draws every time.

        Returns
        -------
        tables : list of ndarray or DataFrame of shape (n_rows, n_features)
            Copies of X with missing values filled; observed cells stay as they are.
        """
        check_is_fitted(self, "network_")
        check_count(n_samples, "n_samples")
        table = as_dense(flat(self._columns, X))
        if table is None:
            raise TypeError("A sparse table has no gaps to draw: its empty cells are zeros. Pass dense rows.")
        inside = self._validated(X)
        table = self._columns.arranged(table)
        reconstruction = _likelihood_of(self.objective_)
        generator = Streams(random_state).torch("noise")

        def codes(network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            noise = normal((_N_CANDIDATES * len(rows), self.n_components_), generator)
            return codes_given(network, reconstruction, rows, noise, generator)

        tables = []
        for _ in range(n_samples):
            Z = self._codec.apply(inside, codes)
            drawn = self._codec.decode(Z, lambda mean: reconstruction.sample(mean, generator))
            tables.append(as_passed(fill(table, self._columns.as_read(drawn)), X))
        return tables

    @by_blocks
    def score_samples(self, X: ArrayLike, n_importance: int = 1) -> np.ndarray:
        """Return a lower bound on the log-likelihood of each row, in nats: the lower, the more abnormal.

        Its noise is the same for all rows and on every call. For columns that are not discrete, the
        likelihood is a density in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        n_importance : int, default=1
            Number of draws of the importance-weighted bound, which is tighter with more; 1 is the evidence
            lower bound.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Bounds, in nats, as float64.
        """
        check_is_fitted(self, "network_")
        check_draws(n_importance, "n_importance", self.n_components_)
        rows, likelihood, bound = self._validated(X), _likelihood_of(self.objective_), weighted_bound
        n_draws = _N_PAIRS if n_importance == 1 else n_importance
        draws = normal((n_draws, self.n_components_), torch.Generator().manual_seed(0))
        if n_importance == 1:
            draws, bound = torch.cat([draws, -draws]), evidence_bound
        bounds = self._codec.apply(rows, lambda network, part: bound(network, likelihood, part, draws))
        return as_passed(bounds.astype(np.float64) - likelihood.log_volume(), X)

    # ------------------------------------------------------------------ seats

    def _bottleneck(self) -> Bottleneck:
        return Gaussian(self._size, self.n_importance if self.objective == "iwae" else 1)

    def _reconstruction(self, link: str, frame: Frame) -> Reconstruction:
        fixed = None if isinstance(self.variance, str) else self.variance / frame.scale**2
        is_free, centre = self.variance == "per_feature", torch.tensor(frame.centre)
        return Likelihood(*self._kinds(), link, fixed, is_free, centre, frame.scale)

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        if self.objective == "iwae":
            return ImportanceWeighted(reconstruction, dict(objective.named_penalties()))
        objective.add_penalty("divergence", Divergence(self.beta, self.free_bits, self.kl_warm_up))
        return objective

    def _start(self, network: Autoencoder, objective: Objective, axes: PrincipalAxes, rows: Rows) -> None:
        likelihood = _likelihood_of(objective)
        unexplained = axes.unexplained(Rows(rows.seen.square(), weight=rows.weight).mean(), self._size)
        likelihood.start(unexplained)
        # Each direction as if its noise were the mean over columns: probabilistic PCA has one variance.
        noise = likelihood.noise().detach() if self._starts_as_pca() else unexplained
        set_probabilistic_path(network, axes, max(self.beta * float(noise.mean()), 1e-3))
        if not self._starts_as_pca():
            fit_affine_decoder(network, rows.target, likelihood, rows.seen, rows.weight)

    def _starts_as_pca(self) -> bool:
        return super()._starts_as_pca() and set(self._kinds()[0]) == {"gaussian"}

    def _kinds(self) -> tuple[list[str], list[int]]:
        """Return the kind and the number of the group of each column."""
        if self._is_mixed():
            if self.likelihood == "gaussian" and self.column_groups is None:
                return [LIKELIHOODS[kind] for kind in self._columns.kinds], self._columns.owners.tolist()
            raise ValueError(
                "Columns of several kinds have likelihoods by column_types; leave column_groups=None and "
                "likelihood='gaussian', which is that of numeric columns. "
                f"Got likelihood={self.likelihood!r} and column_groups={self.column_groups!r}."
            )
        names, n_features = getattr(self, "feature_names_in_", None), self._n_columns()
        kinds = text_per_column(self.likelihood, names, n_features, "likelihood", KINDS, "gaussian")
        return kinds, group_numbers(self.column_groups, names, n_features, "column_groups").tolist()

    def _check(self, X: np.ndarray) -> str:
        if self.objective == "iwae" and (self._is_ordered() or self.beta != 1 or self.free_bits):
            raise ValueError(
                "objective='iwae' needs beta=1 and free_bits=0, as its bound has no divergence of its own to "
                "weigh, and ordered=False with an int for n_components; use those, or objective='elbo'. Got "
                f"beta={self.beta}, free_bits={self.free_bits} and ordered={self._is_ordered()}."
            )
        return super()._check(X)

    def _check_cells(self, X: np.ndarray) -> str:
        check_cells(X, *self._kinds())
        return super()._check_cells(X)

    def _fitted_attributes(self, fitted: Fitted, frame: Frame) -> dict[str, Any]:
        attributes = super()._fitted_attributes(fitted, frame)
        network, likelihood = attributes["network_"], attributes["objective_"].reconstruction
        is_gaussian = np.array(likelihood.kinds) == "gaussian"
        noise = likelihood.noise().detach().double().numpy()
        attributes["noise_variance_"] = np.where(is_gaussian, noise * frame.scale**2, np.nan)
        if fitted.rows is not None:
            posterior = network.bottleneck.posterior
            moments = average(fitted.rows, lambda part: posterior(network.pre_code(part)).moments())
            attributes["kl_per_component_"], means, squares = np.split(moments.numpy(), 3)
            attributes["active_components_"] = np.flatnonzero(squares - means**2 > _ACTIVE_ABOVE)
        return attributes

    def _keep(self, n_components: int) -> None:
        divergences, active = (vars(self)[name] for name in ("kl_per_component_", "active_components_"))
        active = active[active < n_components]
        vars(self).update(kl_per_component_=divergences[:n_components], active_components_=active)

    def _complaints(self) -> list[str]:
        n_active = len(vars(self)["active_components_"])
        few = (
            f"Only {n_active} of {self.n_components_} components are active: the others say nothing of any "
            "row. Use fewer components, a lower beta, free_bits, or a longer kl_warm_up."
        )
        return [few] if n_active < self.n_components_ / 2 else []

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        kind = KINDS.get(self.likelihood) if isinstance(self.likelihood, str) else None
        tags.input_tags.positive_only = kind is not None and kind.lowest >= 0
        return tags


def _likelihood_of(objective: Objective) -> Likelihood:
    return cast(Likelihood, objective.reconstruction)


def _deviations(network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
    return (cast(Gaussian, network.bottleneck).posterior(network.pre_code(rows)).log_variance / 2).exp()

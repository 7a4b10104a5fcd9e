"""The sparse autoencoder: a dictionary, with a bottleneck or a penalty that makes codes sparse."""

import dataclasses
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from skae._sparse_coding import refit_codes, search_codes
from skae.estimators._checks import Interval, StrOptions, check_count, check_is_fitted
from skae.estimators._declaration import Elsewhere
from skae.estimators.base import BaseAutoencoder
from skae.networks.architecture import Architecture
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import BatchTopK, Bottleneck, Gated, JumpReLU, Logistic, Rectified, TopK
from skae.networks.dictionary import Dictionary, atoms_of
from skae.objectives import Objective, Reconstruction, penalties
from skae.objectives.penalties import Penalty
from skae.training.batches import average
from skae.training.fitted import Fitted
from skae.training.plan import Steps
from skae.training.tensors import Frame


class _Kind(NamedTuple):
    """What a penalty by name stands for."""

    bottleneck: Callable[["SparseAutoencoderTransformer"], Bottleneck]
    penalties: Callable[["SparseAutoencoderTransformer"], dict[str, Penalty]] = lambda estimator: {}
    on_above: float = 0.0  # a code above this is active
    revives: bool = True  # whether codes are exactly zero, so that a component can be dead
    needs_atoms: bool = False  # whether the decoder must be a dictionary


_KINDS = {
    "topk": _Kind(lambda e: TopK(e._n_active())),
    "batch_topk": _Kind(lambda e: BatchTopK(e._n_active())),
    # A code below alpha / 2 typical rows is worth less than the L1 penalty on it; the same for a count.
    "jumprelu": _Kind(
        lambda e: JumpReLU(e._size, e._n_active()), lambda e: {"count": penalties.ActiveCount(e.alpha**2 / 4)}
    ),
    "gated": _Kind(
        lambda e: Gated(e._size),
        lambda e: {"gates": penalties.GateL1(e.alpha), "gate_fit": penalties.GateFit()},
        needs_atoms=True,
    ),
    "l1": _Kind(lambda e: Rectified(), lambda e: {"l1": penalties.ActivityL1(e.alpha)}),
    "l2": _Kind(lambda e: Rectified(), lambda e: {"l2": penalties.ActivityL2(e.alpha)}, revives=False),
    "kl": _Kind(
        lambda e: Logistic(),
        lambda e: {"kl": penalties.ActivityKL(e.alpha, e.sparsity_target)},
        on_above=0.5,
        revives=False,
    ),
}


class SparseAutoencoderTransformer(BaseAutoencoder):
    """Learn a dictionary, and codes of which few are active in each row.

    Each row is reconstructed as a sum of few atoms out of many, often more than there are columns.
    Atoms can be looked at, and a code says which of them a row is made of. With another `network`, the
    decoder is deep as well, and has no atoms. Read more in the guide, :doc:`/guide/sparse`.

    Parameters
    ----------
    n_components : int or None, default=64
        Number of atoms, at least 1; usually more than the columns have dimensions. None is the smaller of
        the numbers of rows and columns. No share of the variance: what a dictionary explains depends on how
        many atoms a row may use.
    hidden_layer_sizes : tuple of int or int, default=()
        Number of units of each hidden layer of the encoder, where `network` is None. The decoder is one
        linear layer, the dictionary.
    network : Architecture or pair of torch.nn.Module, default=None
        The architecture. None is a `Dictionary`, described by `hidden_layer_sizes`, `activation`, `dropout`
        and `batch_norm`. With any other, a specification from `skae.networks` or the user's own
        `(encoder, decoder)`, there is no `components_`, no search of codes by `inference`, no `debias`, no
        `revival`, and every `penalty` but "gated".
    linear_path : bool, default=False
        Whether a linear map runs beside the encoder and beside the decoder; not for a dictionary, whose
        atoms would then not be all that rows are made of. As codes are sparse, the start explains less than
        PCA, and nothing is promised against it.
    tied_weights : bool, default=False
        Only False where `network` is None: the encoder of a dictionary starts as the transpose of its atoms.
        Set it in the `network`, as in ``Dense((128, 64), tied_weights=True)``.
    learning_rate_init : float or "auto", default="auto"
        The rate that the schedule scales; for "one_cycle" its peak. "auto" is 0.1 over the root of
        `n_components`, but not above 0.01, for "adam", 0.003 for "rmsprop" and 0.1 for "sgd".
    max_iter : int or "auto", default="auto"
        Epochs at most. "auto" is the number that makes 1,000 steps, between 10 and 300; 300 for "lbfgs".
    penalty : {"topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl"}, default="topk"
        What makes codes sparse. "topk" keeps the `n_active` largest of a row (Makhzani and Frey 2013),
        "batch_topk" that many on average, by a threshold that is learnt (Bussmann et al. 2024).
        "jumprelu" keeps codes above a threshold that each component learns, and penalises their number
        (Rajamanoharan et al. 2024b). "gated" decides by a penalised gate whether a code is active,
        and separately how large it is (Rajamanoharan et al. 2024a).
        "l1" and "l2" penalise the size of codes, "kl" the divergence of how often they are active
        from `sparsity_target`.
    alpha : float, default=0.1
        Weight of the penalties other than "topk" and "batch_topk", at least 0, reached after a tenth of the
        training. Sizes are relative to a typical row, so that it means the same for any number of
        columns, components and rows of a batch. With "l1", "gated" and "jumprelu", codes smaller than about
        ``alpha / 2`` typical rows do not pay.
    n_active : int or "auto", default="auto"
        Active codes of a row for "topk" and "batch_topk", and for ``inference="omp"``. "auto" is an
        eighth of `n_components`. For "topk" it may be changed after the fit: classifiers are often better
        with more codes than were active in training (Makhzani and Frey 2013). Also where the thresholds of
        "jumprelu" start.
    sparsity_target : float, default=0.05
        Share of rows for which a code should be active, in (0, 1), for "kl".
    revival : {"resample", "auxiliary"} or None, default="resample"
        Revival of components that no row has used for an epoch, with an identity output and a penalty
        other than "l2" and "kl". "resample" starts them again at residuals of rows
        (after Bricken et al. 2023); "auxiliary" adds a loss for them (AuxK, Gao et al. 2024),
        which takes more time and leaves more of them dead. `partial_fit` does not resample. With a `network`
        that is no dictionary, "resample" does nothing, and "auxiliary" is refused.
    inference : {"encoder", "omp", "lasso"}, default="encoder"
        How `transform` computes codes: by the encoder, in one pass; or by scikit-learn's `sparse_encode` on
        the learnt dictionary, by orthogonal matching pursuit of `n_active` atoms or by the lasso with
        `alpha`, which takes longer and fits better. These codes may be negative. Needs an identity output,
        as `debias` does.
    debias : bool, default=False
        Whether `transform` refits the sizes of the active codes by least squares: "l1" makes them too small.
    sparse_output : bool, default=False
        Whether `transform` returns a CSR matrix. `inverse_transform` takes both.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The atoms, in the units of X: a row is reconstructed as its codes times these, plus a constant
        (before the link, for losses that have one). Only where the decoder is a dictionary.
    n_active_ : float
        Mean number of active codes of the training rows. For "kl" a code is active above 0.5.
    activation_frequency_ : ndarray of shape (n_components,)
        Share of the training rows for which each component is active.
    dead_components_ : ndarray of int
        Components that are active for none of the training rows.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    sklearn.decomposition.MiniBatchDictionaryLearning : A dictionary without an encoder.

    Notes
    -----
    The recipe follows Gao et al. (2024): encoder and decoder start tied, atoms have norm one, rows are
    centred by their geometric median. Atoms start at rows. Other networks start at random.
    `pca_score_` is that of a PCA with as many components as a row has active codes ("topk",
    "batch_topk"), else of one with `n_components`.

    References
    ----------
    .. [1] Gao, L. et al. (2024). Scaling and evaluating sparse autoencoders. arXiv:2406.04093.
    .. [2] Makhzani, A. and Frey, B. (2013). k-Sparse autoencoders. arXiv:1312.5663.
    .. [3] Bussmann, B., Leask, P. and Nanda, N. (2024). BatchTopK sparse autoencoders. arXiv:2412.06410.
    .. [4] Rajamanoharan, S. et al. (2024a). Improving dictionary learning with gated sparse autoencoders.
       arXiv:2404.16014.
    .. [5] Rajamanoharan, S. et al. (2024b). Jumping ahead: improving reconstruction fidelity with JumpReLU
       sparse autoencoders. arXiv:2407.14435.
    .. [6] Bricken, T. et al. (2023). Towards monosemanticity. Transformer Circuits Thread.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoderTransformer
    >>> X = load_digits().data
    >>> model = SparseAutoencoderTransformer(100, n_active=8, random_state=0).fit(X)
    >>> int((model.transform(X) > 0).sum(axis=1).max())
    8
    >>> model.components_.shape
    (100, 64)

    A deep one, of which each code is on for about a tenth of the rows:

    >>> from skae.networks import Dense
    >>> deep = SparseAutoencoderTransformer(32, network=Dense((64,)), penalty="kl", sparsity_target=0.1)
    >>> deep.set_params(max_iter=20, random_state=0).fit(X).transform(X).shape
    (1797, 32)
    >>> hasattr(deep, "components_")
    False
    """

    n_components: int | float | Literal["elbow"] | None = dataclasses.field(default=64, kw_only=False)
    hidden_layer_sizes: tuple[int, ...] | int | Literal["auto"] = ()
    linear_path: bool = False
    penalty: Literal["topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl"] = "topk"
    alpha: float = 0.1
    n_active: int | Literal["auto"] = "auto"
    sparsity_target: float = 0.05
    revival: Literal["resample", "auxiliary"] | None = "resample"
    inference: Literal["encoder", "omp", "lasso"] = "encoder"
    debias: bool = False
    sparse_output: bool = False

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [StrOptions(set(_KINDS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "n_active": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
        "revival": [StrOptions({"resample", "auxiliary"}), None],
        "inference": [StrOptions({"encoder", "omp", "lasso"})],
        "debias": ["boolean"],
        "sparse_output": ["boolean"],
    }
    _rivals_pca: ClassVar[bool] = False
    components_ = Elsewhere(
        "fit sets it where the decoder is a dictionary, with network=None or a Dictionary. The decoders of "
        "other networks have no atoms: decoder_ maps codes to rows, and LatentTraversalDisplay of "
        "skae.inspection shows what each component does"
    )
    _n_steps: ClassVar[Steps] = Steps(folds=1000, few=1000, many=1000)

    def top_activating(self, X: ArrayLike, component: int, n: int = 10) -> np.ndarray:
        """Return the rows that activate a component most.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        component : int
            Number of the component.
        n : int, default=10
            Maximum number of rows; rows for which it is not active are left out.

        Returns
        -------
        rows : ndarray of int
            Positions in X, the most active first.
        """
        check_is_fitted(self, "network_")
        component = check_count(component, "component", 0, self.n_components_ - 1)
        n = check_count(n, "n")
        codes = self._codes(self._validated(X))[:, component]
        order = np.argsort(-codes, kind="stable")[:n]
        return order[codes[order] > _KINDS[self.penalty].on_above]

    # ------------------------------------------------------------------ seats

    def _bottleneck(self) -> Bottleneck:
        return _KINDS[self.penalty].bottleneck(self)

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        kind = _KINDS[self.penalty]
        for name, penalty in kind.penalties(self).items():
            objective.add_penalty(name, penalty)
        # Behind a link, or a decoder of several layers, what is left over is not a sum of atoms.
        if kind.revives and reconstruction.is_centred and self._specification().has_atoms:
            if self.revival == "resample":
                objective.revival = penalties.Resample(self._size)
            elif self.revival == "auxiliary":
                # Half as many as there are columns speak for the dead, as in the paper.
                n_auxiliary = max(1, min(self._n_columns() // 2, self._size))
                objective.add_penalty("auxiliary", penalties.AuxK(self._size, n_auxiliary))
        return objective

    def _specification(self, n_rows: int | None = None) -> Architecture:
        if self.network is not None:
            return super()._specification(n_rows)
        return Dictionary(
            self._layer_sizes(n_rows),
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        )

    def _check(self, X: np.ndarray) -> str:
        link = super()._check(X)
        architecture = self._specification()
        if architecture.has_atoms:
            self._check_dictionary()
            self._check_sums(not self._searches_codes or (link == "identity" and not self._is_mixed()))
        else:
            self._check_deep(type(architecture).__name__)
        return link

    def _check_dictionary(self) -> None:
        """Refuse what would make atoms something else than what rows are sums of."""
        if self.linear_path:
            raise ValueError(
                "linear_path=True would write a part of each row beside the atoms of a dictionary. Use "
                "linear_path=False, or another network, e.g. network=Dense((128, 64))."
            )
        if self.network is None and self.tied_weights:
            raise ValueError(
                "tied_weights=True is not for a dictionary, whose encoder only starts as the transpose of "
                "its atoms. Use tied_weights=False, or network=Dense((128, 64), tied_weights=True)."
            )

    def _check_sums(self, is_centred: bool) -> None:
        """Refuse to search codes where rows are no sums of atoms."""
        if not is_centred:
            raise ValueError(
                "inference='omp' and 'lasso' and debias=True solve for sums of atoms, which a fit with "
                f"loss={self.loss!r} and output_activation={self.output_activation!r} passes through a link "
                "here. Use inference='encoder' with debias=False, or numbers and an identity output."
            )

    def _check_deep(self, network: str) -> None:
        """Refuse what needs a dictionary, for a network that is none."""
        kinds = [name for name, kind in _KINDS.items() if not kind.needs_atoms]
        for setting, needs, remedy in (
            (f"penalty={self.penalty!r}", _KINDS[self.penalty].needs_atoms, f"one of {kinds}"),
            ("revival='auxiliary'", self.revival == "auxiliary", "revival=None"),
            (f"inference={self.inference!r}", self.inference != "encoder", "inference='encoder'"),
            ("debias=True", self.debias, "debias=False"),
        ):
            if needs:
                raise ValueError(
                    f"{setting} needs the atoms of a dictionary, and network is {network}. Use {remedy}, or "
                    "network=None."
                )

    def _starts_as_pca(self) -> bool:
        # Codes are cut, so that a linear path gives back less than PCA.
        return False

    def _n_active(self) -> int:
        if self.n_active == "auto":
            return max(1, self._size // 8)
        return min(self.n_active, self._size)

    def _learning_rates(self) -> dict[str, float]:
        # The more atoms, the less often each is used. On MNIST, 3,136 of them: at 0.005 a quarter ends
        # dead without revival, at 0.002 a tenth, and more is explained.
        return {"adam": min(0.01, 0.1 / self._size**0.5)}

    def _n_pca_components(self) -> int:
        return self._n_active() if self.penalty in ("topk", "batch_topk") else self._size

    # -------------------------------------------------------------- read-outs

    def _fitted_attributes(self, fitted: Fitted, frame: Frame) -> dict[str, Any]:
        attributes = super()._fitted_attributes(fitted, frame)
        atoms = atoms_of(attributes["network_"].decoder)
        if atoms is not None:
            attributes["components_"] = frame.scale * atoms.weight.numpy().T.astype(np.float64)
        if fitted.rows is not None:
            above = _KINDS[self.penalty].on_above
            frequency = average(fitted.rows, lambda rows: attributes["network_"].encode(rows) > above).numpy()
            attributes["activation_frequency_"] = frequency
            attributes |= _counts(frequency)
        return attributes

    def _keep(self, n_components: int) -> None:
        fitted = vars(self)
        if atoms_of(self.network_.decoder) is not None:
            fitted["components_"] = fitted["components_"][:n_components]
        frequency = fitted["activation_frequency_"][:n_components]
        fitted.update({"activation_frequency_": frequency} | _counts(frequency))

    def _codes(self, X: np.ndarray) -> np.ndarray:
        if self.inference == "encoder":
            codes = super()._codes(X)
        else:
            found = search_codes(*self._about_offset(X), self.inference, self._n_active(), self.alpha)
            codes = found.astype(X.dtype, copy=False)
        return refit_codes(*self._about_offset(X), codes) if self.debias else codes

    def _codes_in(self, network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        if self.penalty == "topk" and self.n_active != "auto":
            # As wanted now, which may be more than training kept.
            return TopK(self.n_active).read(network.pre_code(rows))[:, : self.n_components_]
        return super()._codes_in(network, rows)

    def _encode(self, X: np.ndarray) -> Any:
        return csr_matrix(super()._encode(X)) if self.sparse_output else super()._encode(X)

    @property
    def _searches_codes(self) -> bool:
        return self.inference != "encoder" or self.debias

    def _about_offset(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows minus the offset of the decoder, and the atoms as rows."""
        self._check_sums(self.objective_.reconstruction.is_centred)
        atoms = atoms_of(self.network_.decoder)
        if atoms is None:
            raise ValueError(
                "inference='omp' and 'lasso' and debias=True solve for sums of atoms, and the network of "
                f"this {type(self).__name__} has none. Use inference='encoder' with debias=False, or fit "
                "with network=None."
            )
        filled = self._codec.apply(X, lambda network, rows: network.complete(rows))
        rows = filled.astype(np.float64) - atoms.offset.numpy()
        return rows, atoms.weight.numpy().T[: self.n_components_].astype(np.float64)


def _counts(frequency: np.ndarray) -> dict[str, Any]:
    """Return the attributes that follow from how often each component is active, by name."""
    return {"n_active_": float(frequency.sum()), "dead_components_": np.flatnonzero(frequency == 0)}

"""Distances of codes from those of training: in standard deviations, from the nearest of a few clusters.

Clusters share one covariance, so that none can grow tight around a few rows. Knows no estimator.
"""

from typing import NamedTuple, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus

_MOST_CLUSTERS = 4
# Rows that clusters are looked for among, at most and, for each cluster, at least.
_MOST_ROWS = 2000
_LEAST_ROWS = 10
# A smaller part of the rows is no cluster of usual ones: outliers may flock together, too.
_LEAST_SHARE = 0.1
_N_STARTS = 3
_N_ROUNDS = 50
_LEAST_VARIANCE = 1e-6


class Clusters(NamedTuple):
    """A mixture of normal distributions with one covariance."""

    centres: np.ndarray  # (n_clusters, n_components)
    precision: np.ndarray  # (n_components, n_components)
    penalties: np.ndarray  # (n_clusters,) added to squared distances: 0 for the largest cluster

    def distances(self, codes: np.ndarray) -> np.ndarray:
        """Return squared distances of codes (n, n_components) from the nearest centre, (n,)."""
        off = [codes - centre for centre in self.centres]
        # By products of matrices: einsum of three takes ten times as long for 16 components.
        squares = [((part @ self.precision) * part).sum(axis=1) for part in off]
        return np.min(np.stack(squares) + self.penalties[:, None], axis=0)


class Density(NamedTuple):
    """All codes as one cluster and, where there are several, as these."""

    whole: Clusters
    parts: Clusters | None

    @classmethod
    def of(cls, codes: np.ndarray, weight: np.ndarray | None, random: np.random.RandomState | None) -> Self:
        """Return the density of codes (n, n_components), with the number of clusters chosen by the data.

        Parameters
        ----------
        codes : ndarray of shape (n, n_components)
        weight : ndarray of shape (n,) or None
            Weights of rows.
        random : RandomState or None
            Source of the initial clusters; None looks for none.
        """
        centre = codes.mean(axis=0) if weight is None else np.average(codes, axis=0, weights=weight)
        covariance = np.atleast_2d(np.cov(codes.T, bias=True, aweights=weight))
        least = 1e-6 * max(float(np.trace(covariance)) / len(centre), 1e-12)
        precision = np.linalg.pinv(covariance + least * np.eye(len(centre)))
        whole = Clusters(centre[None], precision, np.zeros(1))
        if random is None:
            return cls(whole, None)
        deviations = np.sqrt(np.diag(covariance) + least)
        rows = slice(None, _MOST_ROWS)
        scaled = ((codes - centre) / deviations)[rows].astype(np.float64)
        found = _clusters(scaled, np.ones(len(scaled)) if weight is None else weight[rows], random)
        if found is None:
            return cls(whole, None)
        shares, centres, covariance = found
        precision = np.linalg.inv(covariance) / np.outer(deviations, deviations)
        return cls(
            whole, Clusters(centres * deviations + centre, precision, -2 * np.log(shares / shares.max()))
        )

    def distances(self, codes: np.ndarray, as_whole: bool = False) -> np.ndarray:
        """Return squared distances of codes (n, n_components), (n,); `as_whole` ignores clusters."""
        from_whole = self.whole.distances(codes)
        if as_whole or self.parts is None:
            return from_whole
        # Both, since what lies far from all is odd even where a small cluster is near.
        return (from_whole + self.parts.distances(codes)) / 2


Mixture = tuple[np.ndarray, np.ndarray, np.ndarray]


def _clusters(rows: np.ndarray, weight: np.ndarray, random: np.random.RandomState) -> Mixture | None:
    """Return shares, centres and covariance of the clusters that rows fall into, None if into one.

    One cluster more is taken as long as that lowers the Bayesian information criterion.
    """
    n_components = rows.shape[1]
    covariance = np.atleast_2d(np.cov(rows.T, bias=True, aweights=weight))
    one = (np.ones(1), np.average(rows, axis=0, weights=weight)[None], covariance)
    best, found = _likelihood(rows, weight, *one), None
    # A further centre and its share; a free parameter costs half the logarithm of the number of rows.
    price = 0.5 * np.log(max(weight.sum(), 2)) * (n_components + 1)
    for n_clusters in range(2, _MOST_CLUSTERS + 1):
        if len(rows) < n_clusters * max(_LEAST_ROWS, n_components):
            break
        fits = [_fit(rows, weight, n_clusters, random) for _ in range(_N_STARTS)]
        fits = [fit for fit in fits if fit[0].min() >= _LEAST_SHARE]
        if not fits:
            break
        gains = [_likelihood(rows, weight, *fit) - price * (n_clusters - 1) for fit in fits]
        chosen = int(np.argmax(gains))
        if not gains[chosen] > best:
            break
        best, found = gains[chosen], fits[chosen]
    return found


def _fit(rows: np.ndarray, weight: np.ndarray, n_clusters: int, random: np.random.RandomState) -> Mixture:
    """Return shares, centres and covariance, found by expectation maximisation."""
    centres, _ = kmeans_plusplus(rows, n_clusters, sample_weight=weight, random_state=random)
    shares = np.full(n_clusters, 1 / n_clusters)
    mean = np.average(rows, axis=0, weights=weight)
    total = (rows.T * weight) @ rows / weight.sum()
    # Half the spread at first: clusters that are there lie closer together than the rows.
    covariance = (total - np.outer(mean, mean)) / 4 + _LEAST_VARIANCE * np.eye(rows.shape[1])
    for _ in range(_N_ROUNDS):
        # Log densities, but for what all clusters have in common at a row.
        slopes = np.linalg.solve(covariance, centres.T).T
        logs = slopes @ rows.T + (np.log(shares) - 0.5 * (slopes * centres).sum(axis=1))[:, None]
        # By hand: scipy's function takes ten times as long for so few numbers.
        parts = np.exp(logs - logs.max(axis=0))
        parts *= weight / parts.sum(axis=0)
        counts = parts.sum(axis=1) + np.finfo(float).tiny
        before, shares = shares, counts / counts.sum()
        centres = parts @ rows / counts[:, None]
        covariance = total - (centres.T * shares) @ centres + _LEAST_VARIANCE * np.eye(rows.shape[1])
        if np.abs(shares - before).max() < 1e-4:
            break
    return shares, centres, covariance


def _log_densities(
    rows: np.ndarray, shares: np.ndarray, centres: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """Return log densities of the clusters at rows, (n_clusters, n), up to a constant."""
    factor = np.linalg.cholesky(covariance)
    inverse = np.linalg.inv(factor)
    white, middles = rows @ inverse.T, centres @ inverse.T
    squares = np.square(middles).sum(axis=1)[:, None] - 2 * middles @ white.T + np.square(white).sum(axis=1)
    return np.log(shares)[:, None] - 0.5 * squares - np.log(np.diag(factor)).sum()


def _likelihood(rows: np.ndarray, weight: np.ndarray, *mixture: np.ndarray) -> float:
    shares, centres, covariance = mixture
    covariance = covariance + _LEAST_VARIANCE * np.eye(rows.shape[1])
    return float(weight @ logsumexp(_log_densities(rows, shares, centres, covariance), axis=0))

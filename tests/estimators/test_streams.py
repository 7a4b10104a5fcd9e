"""Fits and read-outs of rows that are read in blocks, beside those of the same rows in memory."""

import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import skae
from skae import AutoencoderTransformer
from skae.data import ArrayRows, RowSource
from skae.data import sources as module
from skae.metrics import variance_explained
from skae.networks.principal_axes import principal_axes
from skae.training import courses, streamed

FEW = 2**16  # bytes in memory: of these rows, a sixth are mixed at a time


@pytest.fixture(scope="module")
def X():
    random = np.random.default_rng(0)
    hidden = random.standard_normal((6000, 2)) @ random.standard_normal((2, 8))
    noise = 0.1 * random.standard_normal(hidden.shape)
    return ((np.tanh(hidden) + noise) * np.arange(1, 9) + 100).astype(np.float32)


def model(**settings):
    return AutoencoderTransformer(2, **{"max_iter": 3, "random_state": 0, **settings})


@pytest.fixture(scope="module")
def fitted(X):
    return model().fit(ArrayRows(X, max_bytes=FEW))


def test_centre_scale_and_start_are_those_of_the_rows_in_memory(X, fitted):
    in_memory = model().fit(X)
    np.testing.assert_allclose(fitted.mean_, in_memory.mean_, rtol=1e-12)
    assert fitted.scale_ == pytest.approx(in_memory.scale_, rel=1e-9)
    assert fitted.n_samples_ == in_memory.n_samples_ == len(X)
    assert (fitted.n_iter_, fitted.n_features_in_) == (3, 8)


def test_the_start_is_the_pca_of_all_rows_that_are_trained_on(X, monkeypatch):
    fittings = []

    def noted(fitting, reports):
        fittings.append(fitting)
        return courses.fit(fitting, reports)

    monkeypatch.setattr("skae.estimators._learning.fit", noted)
    model(max_iter=1).fit(ArrayRows(X, max_bytes=FEW))
    blocks, axes = fittings[0].stream.blocks, fittings[0].stream.axes
    rows = np.concatenate([rows for b in range(len(blocks.lengths)) for rows, _ in blocks.pieces(b)])
    # Half of the sample is held out.
    assert len(rows) == len(X) - 500
    expected = principal_axes(torch.from_numpy(rows), 2, torch.Generator())
    torch.testing.assert_close(axes.axes, expected.axes, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(axes.deviations, expected.deviations, rtol=1e-6, atol=1e-9)


def test_a_network_in_memory_and_one_of_blocks_explain_as_much(X, fitted):
    assert fitted.score(X) == pytest.approx(model().fit(X).score(X), abs=0.01)
    assert fitted.validation_score_ > fitted.pca_score_


def test_sorted_rows_are_learnt_like_shuffled_ones(X, fitted):
    order = np.argsort(X[:, 3])
    assert model().fit(ArrayRows(X[order], max_bytes=FEW)).score(X) == pytest.approx(
        fitted.score(X), abs=0.01
    )


def test_the_same_random_state_gives_the_same_numbers(X, fitted):
    again = model().fit(ArrayRows(X, max_bytes=FEW))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_held_out_rows_are_never_trained_on(X, monkeypatch):
    seen, held = [], []

    class Seen(streamed.Streamed):
        def epoch(self, generator):
            for batch in super().epoch(generator):
                seen.append(batch.target.clone())
                yield batch

    class Held(courses.HeldOut):
        def __init__(self, network, objective, rows, *arguments, **settings):
            held.append(rows.clone())
            super().__init__(network, objective, rows, *arguments, **settings)

    monkeypatch.setattr("skae.training.fits.Streamed", Seen)
    monkeypatch.setattr(courses, "HeldOut", Held)
    model(max_iter=2).fit(ArrayRows(X, max_bytes=FEW))
    rows = {tuple(row) for row in torch.cat(seen).tolist()}
    out = {tuple(row) for row in held[0].tolist()}
    assert len(out) == 500
    assert not rows & out
    assert len(rows) == len(X) - len(out)


def test_few_rows_are_read_into_memory_and_learnt_like_them(X):
    small = ArrayRows(X[:900])
    np.testing.assert_array_equal(model().fit(small).transform(X), model().fit(X[:900]).transform(X))


def test_large_memory_maps_are_read_in_blocks_by_themselves(X, fitted, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(module, "LARGE", X.nbytes)
    monkeypatch.setattr(RowSource, "is_small", False)
    begun = []
    monkeypatch.setattr("skae.training.fits.Streamed", lambda *a: begun.append(a) or streamed.Streamed(*a))
    model(max_iter=1).fit(mapped)
    assert len(begun) == 1
    np.testing.assert_allclose(fitted.transform(mapped), fitted.transform(X), atol=1e-5)


@pytest.mark.parametrize(
    "method", ["transform", "reconstruct", "reconstruction_error", "score", "score_samples"]
)
def test_read_outs_of_blocks_are_those_of_the_rows(X, fitted, method):
    found = getattr(fitted, method)(ArrayRows(X, max_bytes=FEW))
    np.testing.assert_allclose(found, getattr(fitted, method)(X), rtol=1e-4, atol=1e-4)


def test_codes_come_back_block_by_block(X, fitted):
    codes = fitted.transform(X)
    found = fitted.inverse_transform(ArrayRows(codes, max_bytes=FEW))
    np.testing.assert_allclose(found, fitted.inverse_transform(codes), rtol=1e-5)


def test_weights_count_in_fit_and_score(X):
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    rows = ArrayRows(X, max_bytes=FEW)
    in_memory = model().fit(X, sample_weight=weight)
    found = model().fit(rows, sample_weight=weight)
    np.testing.assert_allclose(found.mean_, in_memory.mean_, rtol=1e-9)
    assert found.scale_ == pytest.approx(in_memory.scale_, rel=1e-9)
    assert found.n_samples_ == np.count_nonzero(weight)
    assert found.score(rows, sample_weight=weight) == pytest.approx(found.score(X, sample_weight=weight))
    assert found.score(X, sample_weight=weight) == pytest.approx(
        in_memory.score(X, sample_weight=weight), abs=0.01
    )


def test_gaps_are_learnt_around(X):
    gappy = X.copy()
    gappy[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
    rows, in_memory = ArrayRows(gappy, max_bytes=FEW), model(max_iter=1).fit(gappy)
    found = model(max_iter=1).fit(rows)
    np.testing.assert_allclose(found.mean_, in_memory.mean_, rtol=1e-9)
    assert found.score(rows) == pytest.approx(found.score(gappy), rel=1e-5)
    assert found.score(gappy) == pytest.approx(in_memory.score(gappy), abs=0.01)


def test_a_gap_outside_of_the_sample_is_learnt_around(X):
    gappy = X.copy()
    gappy[1234, 5] = np.nan
    assert np.isfinite(model(max_iter=1).fit(ArrayRows(gappy, max_bytes=FEW)).loss_curve_).all()


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_numbers_are_scaled_inside(X, scaling):
    in_memory = model(scaling=scaling, max_iter=1).fit(X.astype(float))
    found = model(scaling=scaling, max_iter=1).fit(ArrayRows(X.astype(float), max_bytes=FEW))
    # Ranks are those of a sample, means and deviations those of all rows.
    rtol = 1e-9 if scaling == "standard" else 0.02
    np.testing.assert_allclose(found.mean_, in_memory.mean_, rtol=rtol)
    if scaling == "standard":
        assert found.scale_ == pytest.approx(1.0, rel=1e-9)
    assert found.score(X) == pytest.approx(in_memory.score(X), abs=0.02)


VARIANTS = [getattr(skae, name) for name in skae.__all__ if name.endswith("Transformer")]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_learns_from_blocks(X, variant):
    rows = ArrayRows(X, max_bytes=FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = variant(3, max_iter=2, random_state=0).fit(rows)
    np.testing.assert_allclose(found.transform(rows), found.transform(X), rtol=1e-3, atol=1e-3)


def test_standard_deviations_of_codes_come_with_them(X):
    found = skae.VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(X[:1000])
    codes, deviations = found.transform(ArrayRows(X, max_bytes=FEW), return_std=True)
    assert codes.shape == deviations.shape == (len(X), 2)


def test_likelihoods_of_rows_are_those_of_the_rows_in_memory(X):
    found = skae.VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(X[:1000])
    scores = found.score_samples(ArrayRows(X, max_bytes=FEW))
    np.testing.assert_allclose(scores, found.score_samples(X), rtol=1e-6)


@pytest.mark.parametrize("method", ["partial_fit", "variance_explained"])
def test_what_takes_no_sources_says_what_to_pass(X, fitted, method):
    rows = ArrayRows(X, max_bytes=FEW)
    call = fitted.partial_fit if method == "partial_fit" else partial(variance_explained, fitted)
    with pytest.raises(TypeError, match=r"load\(\) returns; partial_fit takes what read\(\) yields"):
        call(rows)


def test_partial_fit_takes_the_pieces_of_a_source(X):
    found = model()
    for piece in ArrayRows(X, max_bytes=FEW).read():
        found.partial_fit(piece)
    assert found.n_samples_ == len(X)


@pytest.mark.parametrize("library", ["h5py", "zarr"])
def test_arrays_of_files_are_read_by_whole_chunks(tmp_path, X, library):
    package = pytest.importorskip(library)
    if library == "h5py":
        file = package.File(tmp_path / "x.h5", "w")
        array = file.create_dataset("X", data=X, chunks=(500, 8))
    else:
        array = package.create_array(tmp_path / "x.zarr", data=X, chunks=(500, 8))
    rows = ArrayRows(array, max_bytes=FEW)
    assert set(rows.lengths) == {500}
    found = model().fit(rows)
    in_memory = model().fit(ArrayRows(X, max_bytes=FEW))
    assert found.score(rows) == pytest.approx(in_memory.score(X), abs=0.01)
    np.testing.assert_allclose(found.mean_, in_memory.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.transform(rows), found.transform(X), rtol=1e-3, atol=1e-3)


def test_components_are_sought_and_ordered(X):
    found = model(max_iter=2).set_params(n_components=0.9).fit(ArrayRows(X, max_bytes=FEW))
    assert found.n_components_ < 8
    assert found.cumulative_explained_variance_[-1] > 0.9


def test_a_fit_goes_on_from_another_one(X):
    warm = model(max_iter=1, warm_start=True).fit(X)
    before = warm.score(X)
    assert warm.fit(ArrayRows(X, max_bytes=FEW)).score(X) > before - 0.005


def test_without_held_out_rows_all_are_trained_on(X):
    found = model(early_stopping=False, max_iter=2).fit(ArrayRows(X, max_bytes=FEW))
    assert found.validation_score_ is None
    assert len(found.loss_curve_) == 2


@pytest.mark.parametrize(
    ("settings", "fit_params", "match"),
    [
        ({"solver": "lbfgs"}, {}, "all rows at once"),
        ({"n_init": 2}, {}, "n_init=1"),
        ({"checkpoint": "x.ckpt"}, {}, "checkpoint=None"),
        ({}, {"sample_weight": np.ones(7)}, "6000"),
        ({"loss": "binary_crossentropy"}, {}, r"values in \[0, 1\]"),
    ],
)
def test_what_needs_rows_in_memory_is_refused(X, settings, fit_params, match):
    with pytest.raises(ValueError, match=match):
        model(**settings).fit(ArrayRows(X, max_bytes=FEW), **fit_params)


def test_clean_rows_are_refused(X):
    with pytest.raises(ValueError, match="clean"):
        skae.DenoisingAutoencoderTransformer(2).fit(ArrayRows(X, max_bytes=FEW), clean=X)


class Breaking(ArrayRows):
    """Rows that cannot be read any more after some blocks."""

    def __init__(self, X, n_blocks):
        super().__init__(X, max_bytes=FEW)
        self.left = n_blocks

    def pieces(self, block, n_rows):
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        yield from super().pieces(block, n_rows)


@pytest.mark.parametrize("n_blocks", [0, 3, 150, 250], ids=["first", "pass", "epoch", "later"])
def test_a_fit_whose_rows_cannot_be_read_leaves_the_estimator_as_it_was(X, n_blocks):
    found = model(max_iter=1).fit(X)
    before = dict(vars(found))
    with pytest.raises(ValueError, match=r"Block \d+ of Breaking .*the disk is gone"):
        found.set_params(max_iter=3).fit(Breaking(X, n_blocks))
    assert vars(found) == before | {"max_iter": 3}


@pytest.mark.parametrize(("value", "match"), [(np.inf, "infinity"), (1e200, "1e.100")])
def test_infinite_values_are_refused_by_their_block(X, value, match):
    wrong = X.astype(float)
    wrong[-1, 0] = value if match else 1e200
    with pytest.raises(
        ValueError, match=rf"Block \d+ of ArrayRows \(rows \d+ to 5999\).*{match or '1e.100'}"
    ):
        model().fit(ArrayRows(wrong, max_bytes=FEW))


def test_a_large_offset_costs_no_digits():
    random = np.random.default_rng(0)
    X = random.standard_normal((5000, 4)) + 1e7
    found = model(max_iter=1).fit(ArrayRows(X, max_bytes=FEW))
    np.testing.assert_allclose(found.mean_ - 1e7, X.mean(axis=0) - 1e7, atol=1e-7)
    assert found.scale_ == pytest.approx(np.sqrt(((X - X.mean(axis=0)) ** 2).mean()), rel=1e-9)


def test_columns_of_several_kinds_are_learnt_from_all_rows(tmp_path, X):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    from skae.data import ParquetRows

    table = pd.DataFrame(X, columns=list("abcdefgh"))
    table["kind"] = np.where(X[:, 0] > 100, "high", "low")
    # Far from the first rows, and not in the sample.
    table.loc[5990, "kind"] = "rare"
    table.loc[::7, "a"] = np.nan
    table["weight"] = np.linspace(0, 2, len(X))
    table.to_parquet(tmp_path / "x.parquet", row_group_size=1700)
    columns = list(table)[:-1]
    rows, X = ParquetRows(tmp_path, columns=columns, max_bytes=2**17), table[columns]
    in_memory = model(max_iter=1).fit(X, sample_weight=table["weight"])
    found = model(max_iter=1).fit(rows, sample_weight="weight")
    assert found.n_samples_ == 5999
    assert list(found.feature_names_in_) == columns
    assert found._columns.kinds == in_memory._columns.kinds
    for name in ("mean_", "scale_"):
        ours, theirs = getattr(found._columns.scaler, name), getattr(in_memory._columns.scaler, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    score = in_memory.score(X, sample_weight=table["weight"])
    assert found.score(X, sample_weight=table["weight"]) == pytest.approx(score, abs=0.02)
    assert found.score(rows, sample_weight="weight") == pytest.approx(
        found.score(X, sample_weight=table["weight"]), rel=1e-5
    )
    back = found.inverse_transform(found.transform(rows))
    pd.testing.assert_series_equal(back.dtypes, X.dtypes)


SCRIPT = """
import resource, sys
import numpy as np
from skae import AutoencoderTransformer

X = np.lib.format.open_memmap(sys.argv[1], mode="r")
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
from skae.data import ArrayRows
rows = ArrayRows(X, max_bytes=2**25)
AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X[:3000])
before = peak()
model = AutoencoderTransformer(2, max_iter=1, random_state=0, hidden_layer_sizes=8).fit(rows)
model.score(rows)
model.transform(rows)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts in kilobytes")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    shape = (3_000_000, 32)  # 384 MB
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, shape)
    random = np.random.default_rng(0)
    for start in range(0, len(file), 100_000):
        file[start : start + 100_000] = random.standard_normal((100_000, 32), dtype=np.float32)
    file.flush()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    # 32 MiB of rows, 8 of the sample, as much again on their way, and codes of 24 MB.
    assert float(done.stdout) < 150

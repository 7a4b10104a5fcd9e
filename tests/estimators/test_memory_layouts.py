"""Arrays of every order, stride and byte order give what their plain copies give, and stay as they are."""

import numpy as np
import pytest
from sklearn.base import clone

import skae

BRIEF = {"max_iter": 1, "early_stopping": False, "random_state": 0}
MODELS = [
    skae.AutoencoderTransformer(3, **BRIEF),
    skae.AutoencoderTransformer(3, ordered=True, **BRIEF),
    skae.DenoisingAutoencoderTransformer(3, features="all", **BRIEF),
    skae.VariationalAutoencoderTransformer(3, **BRIEF),
    skae.BinaryAutoencoderTransformer(3, **BRIEF),
    skae.SparseAutoencoderTransformer(8, inference="omp", **BRIEF),
]


def _read_only(table):
    table = table.copy()
    table.flags.writeable = False
    return table


def _unaligned(table):
    packed = np.zeros(len(table), dtype=[("gap", "i1"), ("cells", table.dtype, table.shape[1])])
    packed["cells"] = table
    return packed["cells"]


LAYOUTS = {
    "rows reversed": lambda table: table[::-1],
    "columns reversed": lambda table: table[:, ::-1],
    "both reversed": lambda table: table[::-1, ::-1],
    "one row reversed": lambda table: table[:1][::-1],
    "every second row, from the end": lambda table: table.repeat(2, axis=0)[::-2],
    "columns first": np.asfortranarray,
    "read-only": _read_only,
    "read-only and reversed": lambda table: _read_only(table)[::-1],
    "other byte order": lambda table: table.astype(table.dtype.newbyteorder()),
    "one row for all": lambda table: np.broadcast_to(table[:1], table.shape),
    "one column for all": lambda table: np.broadcast_to(table[:, :1], table.shape),
    "unaligned": _unaligned,
}


@pytest.fixture(scope="module")
def table():
    return np.random.default_rng(0).normal(size=(40, 6))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_layout_is_taken(table, model, layout):
    given = LAYOUTS[layout](table)
    plain = np.array(given, dtype=np.float64, order="C")
    model = clone(model).fit(table)
    np.testing.assert_allclose(model.transform(given), model.transform(plain), rtol=1e-9, atol=1e-12)
    codes = np.asarray(model.transform(table))
    given = LAYOUTS[layout](codes)
    plain = np.array(given, dtype=np.float64, order="C")
    back, expected = model.inverse_transform(given), model.inverse_transform(plain)
    np.testing.assert_allclose(back, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "one row" not in name])
def test_every_layout_can_be_fitted_and_weighed(table, layout):
    given = LAYOUTS[layout](table)
    weight = np.abs(given[:, 0]) + 0.1
    plain = np.array(given, dtype=np.float64, order="C")
    models = [
        skae.AutoencoderTransformer(2, **BRIEF).fit(X, sample_weight=w)
        for X, w in ((given, weight), (plain, weight.astype(np.float64).copy()))
    ]
    np.testing.assert_allclose(models[0].transform(table), models[1].transform(table), rtol=1e-6, atol=1e-9)


def test_functions_of_users_may_give_reversed_arrays(table):
    corrupted = skae.DenoisingAutoencoderTransformer(2, corruption=lambda X, random: X[::-1, ::-1], **BRIEF)
    assert np.isfinite(corrupted.fit_transform(table)).all()
    drawn = skae.AdversarialAutoencoderTransformer(
        2, prior=lambda n, k, random: random.normal(size=(n, k)).astype("f4")[::-1], **BRIEF
    )
    assert np.isfinite(drawn.fit(table).sample(3, random_state=0)).all()

"""What fits and read-outs hold beside the table of the user, in megabytes of resident memory."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak"),
]

SCRIPT = """
import sys, warnings
import numpy as np
from skae import AutoencoderTransformer

warnings.simplefilter("ignore")
random, case = np.random.default_rng(0), sys.argv[1]
settings = dict(max_iter=1, random_state=0)

def megabytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024

def extra(use):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forgets the peak so far
    before = megabytes("VmRSS")
    use()
    return megabytes("VmHWM") - before

if case == "transform":
    X = random.standard_normal((2_000_000, 20), dtype=np.float32)
    model = AutoencoderTransformer(4, **settings).fit(X[:3000])
    model.transform(X[:10])
    print(extra(lambda: model.transform(X)))
else:
    X = random.standard_normal((500_000, 100))
    AutoencoderTransformer(8, **settings).fit(X[:2000])
    weight = None
    if case == "weights":
        weight = random.uniform(0.1, 1, len(X))
    if case == "gaps":
        X[random.integers(0, len(X), 100_000), random.integers(0, 100, 100_000)] = np.nan
    print(extra(lambda: AutoencoderTransformer(8, **settings).fit(X, sample_weight=weight)))
"""


@pytest.mark.parametrize(
    ("case", "most"), [("transform", 150), ("plain", 300), ("gaps", 500), ("weights", 500)]
)
def test_extra_memory_is_bounded(case, most):
    done = subprocess.run([sys.executable, "-c", SCRIPT, case], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= most

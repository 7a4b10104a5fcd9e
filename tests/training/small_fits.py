"""Forty rows, the plan of three epochs on them, and the parts of a small network."""

import torch

from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import LOSSES, Objective, Reconstruction
from skae.training.fits import Parts
from skae.training.plan import Plan

ROWS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ROWS = (ROWS - ROWS.mean(0)) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2])
PLAN = Plan(
    n_pca_components=2,
    init="pca",
    n_init=1,
    starts_at_pca=True,
    stays_at_start=False,
    held_out="none",
    n_training=40,
    solver="adam",
    batch_size=40,
    n_epochs=3,
    n_pretraining_epochs=0,
    schedule="constant",
    learning_rate=0.01,
    constant_rate=0.001,
    weight_decay=0.0,
    warm_up=0.25,
    second_moment=0.999,
    input_noise=0.0,
    gradient_clip=None,
    patience=None,
    tol=0.0,
)
BLUEPRINT = Blueprint(Dense((4,)), Bottleneck, 2)


def squared():
    return Reconstruction(LOSSES["squared_error"].cell, "identity")


def plain():
    return Objective(squared())


def parts(objective=plain, blueprint=BLUEPRINT, previous=None, after_pca=lambda *seen: None):
    return Parts(blueprint, objective, after_pca, previous)

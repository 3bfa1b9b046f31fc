"""The N-th call of each kind fails on a job's whole path through the daemon, for N as far as it goes: the daemon lives on,
whoever asked is told, the next job works, and nothing stays open. Of memory every so many-th; all of them in the soak."""

import failing

SETS = "any"
MEMORY_STEP = 61


def sweep(kind, step=1):
    for job in failing.JOBS:
        failing.sweep(kind, job, step)


def test_descriptors():
    sweep("descriptors")


def test_sending():
    sweep("sending")


def test_receiving():
    sweep("receiving")


def test_space():
    sweep("space")


def test_watching():
    sweep("watching")


def test_processes():
    sweep("processes")


def test_writing():
    sweep("writing")


def test_memory():
    sweep("memory", MEMORY_STEP)

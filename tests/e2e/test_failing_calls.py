"""The N-th call of each kind fails on a job's whole path through the daemon (its start, input, output, end and record, the
list and the logs), for N as far as it goes: the daemon lives on, whoever asked is told, the next job is whole, nothing stays
open and nobody is left. Of memory every so many-th; all of them in the soak."""

import failing
from harness import every_set

SETS = "any"
MEMORY_STEP = 61


def sweep(kind, *jobs, step=1):
    for job in jobs or failing.JOBS:
        failing.sweep(kind, job, step)


@every_set
def test_descriptors():
    sweep("descriptors", failing.plain, failing.large, failing.archived, failing.remembered)


@every_set
def test_descriptors_of_input_and_terminals():
    sweep("descriptors", failing.streamed, failing.terminal, failing.followed)


@every_set
def test_processes():
    sweep("processes")


def test_sending():
    sweep("sending")


def test_receiving():
    sweep("receiving")


def test_space():
    sweep("space")


def test_watching():
    sweep("watching")


def test_writing():
    sweep("writing", failing.plain)


def test_writing_of_input():
    sweep("writing", failing.streamed)


def test_writing_much():
    sweep("writing", failing.large)


def test_syncing():
    sweep("syncing", failing.plain)


def test_the_database():
    sweep("database", failing.plain)


def test_the_database_that_is_read():
    sweep("database", failing.archived)


def test_memory():
    sweep("memory", failing.plain, failing.large, failing.streamed, step=MEMORY_STEP)


def test_memory_of_what_is_looked_at():
    sweep("memory", failing.terminal, failing.followed, step=MEMORY_STEP)
    sweep("memory", failing.archived, step=MEMORY_STEP // 10)

"""What the tests of the history share."""

import procs
from harness import Daemon


def again(directory, **more):
    """Another daemon in the directory of one that is gone."""
    return Daemon(directory=directory, **more)


def at_rest(client):
    procs.eventually(lambda: client.call("daemon.stats")["history"]["safe"], "the store comes to rest")

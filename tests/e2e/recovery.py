"""What the tests of a worker's death share."""

import os


def gate(daemon, name="gate"):
    """A fifo, and a job's words that wait until it is written to."""
    path = os.path.join(daemon.directory, name)
    os.mkfifo(path)
    return path


def open_gate(path, line="go"):
    with open(path, "w", encoding="utf-8") as file:
        file.write(line + "\n")

"""A terminal to try things in: a tmux server of its own, whose screen is read back."""

import os
import shutil
import subprocess

import procs
from harness import SUPCTL, Skip

PROMPT = "ready$ "
# A program that waits for the signal itself: a shell's trap runs only between its commands.
SIZE_ONCE_RESIZED = """import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
print("ready", flush=True)
signal.sigwait([signal.SIGWINCH])
print(*reversed(os.get_terminal_size()))
"""


class Terminal:
    """A shell at a terminal of 90 columns and 24 rows, with supctl in its PATH, for a daemon."""

    def __init__(self, daemon):
        if not shutil.which("tmux"):
            raise Skip("needs tmux")
        self.words = ["tmux", "-S", os.path.join(daemon.directory, "tmux"), "-f", "/dev/null"]
        self.environment = dict(os.environ, SUPD_SOCKET=daemon.socket, LC_ALL="C.UTF-8", TERM="xterm",
                                PATH=os.path.dirname(SUPCTL) + ":" + os.environ["PATH"], PS1=PROMPT, SHELL="/bin/sh")
        self.environment.pop("TMUX", None)

    def tmux(self, *words):
        done = subprocess.run([*self.words, *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout

    def __enter__(self):
        self.tmux("new-session", "-d", "-x", "90", "-y", "24", "bash --norc --noprofile")
        self.server = int(self.tmux("display-message", "-p", "#{pid}"))
        self.line("")
        self.prompts()
        return self

    def __exit__(self, *failure):
        if failure[1]:
            print(self.screen())
        subprocess.run([*self.words, "kill-server"], env=self.environment, capture_output=True, check=False)
        procs.wait_gone(self.server)

    def screen(self):
        """What is on the screen, its lines joined."""
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def line(self, text):
        self.tmux("send-keys", "-l", text)
        self.keys("Enter")

    def shows(self, text):
        return procs.eventually(lambda: text in self.screen(), f"{text!r} on the screen:\n{self.screen()}")

    def hides(self, text):
        procs.eventually(lambda: text not in self.screen(), f"{text!r} gone from the screen")

    def prompts(self):
        """The shell waits for a line: what is typed earlier is another program's."""
        procs.eventually(lambda: self.screen().rstrip().endswith("\n" + PROMPT.strip()), "the prompt, last")

    def resize(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def check_cooked(self, mark):
        """The shell's terminal edits lines and echoes, as it did before."""
        self.prompts()
        self.line(f"stty -a | tr ' ' '\\n' | grep -cx -e icanon -e echo -e isig; echo {mark}$((1+1))")
        self.shows(f"3\n{mark}2")

# SPDX-License-Identifier: Apache-2.0
"""Runs `sinter` and what it compiled, and counts what was as expected. Standard library only."""
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit code {self.code}\n  stdout: {self.out[:300]!r}\n  stderr: {self.err[:1500]!r}"


class Tests:
    """Cases by name; a case that fails prints what it found. `folder` is theirs, and goes at the end."""

    def __init__(self, sinter):
        self.sinter = str(pathlib.Path(sinter).resolve())
        self.place = tempfile.TemporaryDirectory(prefix="sinter-test-")
        self.folder = pathlib.Path(self.place.name)
        self.passed = self.failed = 0

    def path(self, name):
        return str(self.folder / name)

    def run(self, *arguments, program=None, stdin=b"", limits=(), user=None, streams=(0, 1, 2), timeout=600, env=None,
            stdout=subprocess.PIPE):
        """`limits`: (resource, bytes); `streams`: the standard descriptors that are open."""
        def prepare():
            for which, amount in limits:
                resource.setrlimit(which, (amount, amount))
            for descriptor in {0, 1, 2} - set(streams):
                os.close(descriptor)
            if user:
                os.setgid(user)
                os.setuid(user)
        command = [program or self.sinter, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout,
                              preexec_fn=prepare, env={**os.environ, **(env or {})})
        return Outcome(done.returncode, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace"))

    def check(self, name, correct, found=""):
        if correct:
            self.passed += 1
        else:
            self.failed += 1
            print(f"== {name}\n  {found}", flush=True)
        return correct

    def expect(self, name, outcome, code, *parts):
        """The exit code, and texts that standard error must hold. A failure is one message without a crash report."""
        right = outcome.code == code and all(part in outcome.err for part in parts)
        right = right and "Stack dump" not in outcome.err and (code != 1 or "error: " in outcome.err)
        return self.check(name, right, f"expected exit code {code} and {parts}, found {outcome}")

    def entries(self, folder=None):
        return sorted(p.name for p in pathlib.Path(folder or self.folder).iterdir())

    def interrupt(self, name, arguments, number, delays, output, whole):
        """Sends signal `number` after each of `delays` seconds: `output` must not be there afterwards, or hold the
        bytes `whole`: a signal can come when all is written and the process has not ended yet."""
        for delay in delays:
            child = subprocess.Popen([self.sinter, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(delay)
            child.send_signal(number)
            err = child.communicate(timeout=120)[1].decode(errors="replace")
            left = self.entries(output.parent)
            found = output.read_bytes() if output.exists() else None
            output.unlink(missing_ok=True)
            if child.returncode == 0:   # it was done before
                self.check(f"{name} after {delay} s, too late", found == whole, f"expected all of the output, found {left}")
                break
            right = child.returncode == -number and (not left or left == [output.name] and found == whole)
            self.check(f"{name} after {delay} s", right, f"expected the end by signal {number} and nothing or all of the "
                       f"output left, found {child.returncode}, {left} {err[:500]}")

    def finish(self):
        self.place.cleanup()
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def makeModel(output, *arguments):
    """utils/make-tiny-model; gives the path of the model."""
    subprocess.run([sys.executable, ROOT / "utils/make-tiny-model", *arguments, "-o", output], check=True)
    return str(output)

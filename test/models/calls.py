# SPDX-License-Identifier: Apache-2.0
"""What tests of whole models share: programs that must succeed. Standard library only."""
import pathlib
import subprocess


def call(command, error=SystemExit, stderr=subprocess.PIPE, **options):
    """Standard output of a program that ends with exit code 0, as text; else `error` with its last words."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace", timeout=900,
                          **options)
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise error(f"{pathlib.Path(command[0]).name} {command[1]}: exit code {done.returncode}: {' | '.join(tail)}")
    return done.stdout

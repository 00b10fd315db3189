"""`python -m compress` and the console command: errors of ours are one line and exit 1, a missed budget exits 3."""

from __future__ import annotations

import errno
import os
import sys

BETTER_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_TOP_PAD_": "67108864",
}
TRAINS = {"finetune", "distill", "prune", "qat", "run"}


def main() -> None:
    """Run the command line and leave with its exit code."""
    _keep_large_blocks()
    _keep_to_the_quota()
    import click

    from compress.cli import compress
    from compress.errors import NO_SPACE, BudgetNotMet, CompressError

    try:
        sys.exit(compress.main(prog_name="compress", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BudgetNotMet as verdict:
        click.echo(f"Budget not met: {verdict}", err=True)
        sys.exit(3)
    except CompressError as error:
        if "--debug" in sys.argv:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped. What is finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime" or "--debug" in sys.argv:
            raise
        hint = "pip install 'compress-transformers[cpu]' (or [gpu], never both)"
        click.echo(f"Error: ONNX Runtime is not installed. Install it: {hint}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in {*NO_SPACE, errno.EACCES, errno.EROFS, errno.EPERM} or "--debug" in sys.argv:
            raise
        what = f"{error.strerror}: {error.filename or 'while writing'}"
        click.echo(f"Error: A file cannot be written ({what}). Free some space or choose another place.", err=True)
        sys.exit(1)


def _keep_large_blocks() -> None:
    """Start the process again with an allocator that keeps large blocks, where a command trains on Linux.

    glibc gives the large tensors of each training step back to the system and faults them in again in the next; it
    reads these variables only when a process starts.
    """
    if not sys.platform.startswith("linux") or not TRAINS.intersection(sys.argv[1:]) or "MALLOC_TOP_PAD_" in os.environ:
        return
    if {"-h", "--help", "--dry-run"}.intersection(sys.argv):
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **BETTER_MALLOC})


def _keep_to_the_quota() -> None:
    """No more threads of torch and numpy than the container's quota pays for: they count the processors in sight.

    They read this variable when they are imported.
    """
    from compress.measure.cores import affinity, available_cores

    if "OMP_NUM_THREADS" not in os.environ and available_cores() < affinity():
        os.environ["OMP_NUM_THREADS"] = str(available_cores())


if __name__ == "__main__":
    main()

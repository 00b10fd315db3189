"""`python -m compress` and the console command: errors are one line and exit 1, a missed budget exits 3.

Nothing but what Python itself has loaded is imported before `main`: by then the current folder is no place to import from.
"""

import os
import sys

BETTER_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_TOP_PAD_": "67108864",
}
TRAINS = {"finetune", "distill", "prune", "qat", "run"}
STOPPED = "Stopped. Finished work is kept; the same command continues."


def main() -> None:
    """Run the command line and leave with its exit code."""
    _import_nothing_from_the_current_folder()
    from compress.core.stopping import Stopped, raise_at_signals

    try:
        _keep_large_blocks()
        raise_at_signals()
        _keep_to_the_quota()
        _run()
    except KeyboardInterrupt as stop:
        _leave_at_once(stop.exit_code if isinstance(stop, Stopped) else 130)


def _run() -> None:
    import click

    from compress.cli import compress
    from compress.cli.commands import hint
    from compress.core.errors import BudgetNotMet, CompressError
    from compress.core.printable import message, shortened

    try:
        if "_COMPRESS_COMPLETE" in os.environ:
            compress.main(prog_name="compress")
        with compress.make_context("compress", sys.argv[1:]) as context:
            compress.invoke(context)
        sys.stdout.flush()
        sys.exit(0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        # What Click writes before it takes room as well. It declares the message to be final.
        error.message = shortened(message(error.message), 400) + hint(error)  # type: ignore[misc]  # Click types it as final
        error.show()
        sys.exit(error.exit_code)
    except BudgetNotMet as verdict:
        click.echo(f"Budget not met: {verdict}", err=True)
        sys.exit(3)
    except CompressError as error:
        if "--debug" in sys.argv:
            raise
        _fail(_in_words(error))
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        if "--debug" in sys.argv:
            raise
        try:
            _fail(_in_words(error))
        except MemoryError:
            os.write(2, b"Error: compress ran out of memory. Use a machine with more of it.\n")
            os._exit(1)


def _in_words(error: BaseException) -> str:
    """The message for an error."""
    import errno

    from compress.core.disk import why_full, written
    from compress.core.errors import CompressError
    from compress.core.out_of_memory import OutOfMemory, is_out_of_memory, message

    if isinstance(error, OutOfMemory):
        return str(error)
    if is_out_of_memory(error):
        return message(f"`compress {next((one for one in sys.argv[1:] if not one.startswith('-')), '')}`")
    if isinstance(error, CompressError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return (
            "ONNX Runtime is not installed. Install it: pip install 'compress-transformers[cpu]' (or [gpu], never both)"
        )
    reason = why_full(error)
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
        reason = error.strerror
    if reason is not None:
        what = f"{reason}: {written(error) or 'while writing'}"
        return f"A file cannot be written ({what}). Free some space or choose another place."
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"The path is too long for this system: {error.filename}. Choose a shorter one."
    return (
        f"compress hit an unexpected error ({type(error).__name__}: {str(error)[:2000]}). "
        "Run the command again with --debug, and report the output."
    )


def _fail(text: str) -> None:
    """One line on stderr, exit code 1."""
    import click

    from compress.core.printable import message

    click.echo(f"Error: {message(text)}", err=True)
    sys.exit(1)


def _leave_at_once(code: int) -> None:
    """Say that the command was stopped, and leave without waiting for libraries to be taken down.

    All cleanup is done by now: the interruption passed through every block that cleans up.
    """
    try:
        print(STOPPED, file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:
        pass  # the terminal is gone, as SIGHUP says
    os._exit(code)


def _import_nothing_from_the_current_folder() -> None:
    """`python -m` puts the current folder before all others, and an empty part of PYTHONPATH means it too.

    A `random.py` of the user's would be run in place of Python's. A folder that PYTHONPATH names stays.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not loaded yet
    except OSError:
        return  # the folder was removed: nothing can be imported from it
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    by_module = "-m" in sys.orig_argv and not sys.flags.safe_path and sys.path[:1] in ([here], [""])
    if by_module:
        del sys.path[0]
    if len(parts) > 1 and "" in parts and here not in map(os.path.abspath, filter(None, parts)) and here in sys.path:
        sys.path.remove(here)


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
    from compress.core.cores import affinity, available_cores

    if "OMP_NUM_THREADS" not in os.environ and available_cores() < affinity():
        os.environ["OMP_NUM_THREADS"] = str(available_cores())


if __name__ == "__main__":
    main()

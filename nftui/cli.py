"""The command line: arguments in, exit status out; one small function a command, each importing what it needs.

Results go to stdout, progress and diagnostics to stderr. A mistake is one line: exit status 2 for usage, 1 for anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nftui.arguments import parsed
from nftui.errors import FilterError, NftuiError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words of the command line; None for the process's own.
    Returns:
        The exit status: 0, 1 for a failure, 2 for a mistake in the arguments.
    """
    own = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command, options = "", argparse.Namespace()
    try:
        command, options = parsed(arguments)
        if not own:
            return _run(command, options)
        # Not for those that end while they are parsed, such as --version.
        from nftui.allocators import keep_little
        from nftui.interrupts import Interrupts

        keep_little(os.environ)
        if command in OPENING:
            _drop_rights()
        with Interrupts():
            return _run(command, options)
    except UsageError as error:
        return _fail(str(error), 2)
    except FilterError as error:
        return _fail(error.picture() if error.text else str(error), 2)
    except NftuiError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        if command == "import":
            return _fail("interrupted; the same command goes on where it stopped", 130)
        if (out := getattr(options, "out", None)) is not None:
            return _fail(f"interrupted; {out} was not written", 130)
        return 130
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}", 1)


def _run(command: str, options: argparse.Namespace) -> int:
    status = COMMANDS[command](options)
    if hasattr(options, "naming"):
        options.naming.close()
    return status


def _fail(text: str, status: int) -> int:
    from nftui.printable import printable

    first, *more = text.split("\n")
    print(f"nftui: {printable(first, 2000)}", *(printable(line, 2000) for line in more), sep="\n", file=sys.stderr)
    return status


def _dashboard(options: argparse.Namespace) -> int:
    from nftui import dashboard

    config = getattr(options, "config", None)
    return dashboard.run(
        _data(options),
        _config(options),
        collect=not options.no_collect,
        listen=options.listen,
        interfaces=options.interface,
        config_path=config,
        with_parent=options.with_parent,
    )


def _serve(options: argparse.Namespace) -> int:
    try:
        from nftui import serving
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("aiohttp", "textual_serve"):
            raise
        raise UsageError("`nftui serve` wants a web server: pip install 'nftui[web]'") from None

    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port {options.port}: a port is a number from 0 to 65535")
    return serving.run(
        _data(options),
        _config(options),
        collect=not options.no_collect,
        bind=options.bind,
        port=options.port,
        listen=options.listen,
        config_path=getattr(options, "config", None),
    )


def _demo(options: argparse.Namespace) -> int:
    from nftui import dashboard

    data = getattr(options, "data", None)
    return dashboard.demo(data, _config(options), network=options.network, seed=options.seed, screen=not options.no_screen)


def _demo_exporters(options: argparse.Namespace) -> int:
    from nftui import demo

    host, _, port = options.to.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise UsageError(f"--to {options.to}: write HOST:PORT, a port from 1 to 65535")
    return demo.run_process(host, int(port), options.network, options.seed, options.minutes, options.with_parent)


def _collect(options: argparse.Namespace) -> int:
    from nftui import collecting

    return collecting.collect(
        _data(options),
        _config(options),
        options.listen,
        options.interval,
        interfaces=options.interface,
        processes=options.processes,
        check=options.check,
        with_parent=options.with_parent,
        given=hasattr(options, "data"),
        read=lambda: _config(options),
    )


def _import(options: argparse.Namespace) -> int:
    from nftui import importing

    packets = {"flows": False, "packets": True}.get(options.kind)
    return importing.import_files(
        _data(options), _config(options), options.paths, options.output, packets=packets, again=options.again
    )


def _probe(options: argparse.Namespace) -> int:
    from nftui import probing

    return probing.probe(_data(options), _config(options), options, given=hasattr(options, "data"), read=lambda: _config(options))


def _protocols(options: argparse.Namespace) -> int:
    from nftui import protocols

    return protocols.show(options.output)


def _status(options: argparse.Namespace) -> int:
    from nftui import account

    return account.status(_data(options), options.output)


def _doctor(options: argparse.Namespace) -> int:
    from nftui import doctor

    return doctor.run(getattr(options, "data", None), getattr(options, "config", None), options.output)


def _flows(options: argparse.Namespace) -> int:
    from nftui import asking
    from nftui.output import output

    with output(options.output, options.out):
        return asking.flows(_data(options), options, given=_given(options))


def _top(options: argparse.Namespace) -> int:
    from nftui import statistics
    from nftui.output import output

    with output(options.output, options.out):
        return statistics.top(_data(options), options, given=_given(options))


def _pairs(options: argparse.Namespace) -> int:
    from nftui import statistics
    from nftui.output import output

    with output(options.output, options.out):
        return statistics.pairs(_data(options), options, given=_given(options))


def _series(options: argparse.Namespace) -> int:
    from nftui import series
    from nftui.output import output

    with output(options.output, options.out):
        return series.series(_data(options), options, given=_given(options))


def _summary(options: argparse.Namespace) -> int:
    from nftui import asking
    from nftui.output import output

    with output(options.output, options.out):
        return asking.summary(_data(options), options, given=_given(options))


def _replay(options: argparse.Namespace) -> int:
    from nftui import sending

    return sending.replay(_data(options), options, given=_given(options))


def _relay(options: argparse.Namespace) -> int:
    from nftui import sending

    return sending.relay(_data(options), options)


def _given(options: argparse.Namespace) -> bool:
    """Return whether it was said what to ask, so that a question without a range is for all of it."""
    return hasattr(options, "data") or bool(options.read)


def _filters_list(options: argparse.Namespace) -> int:
    from nftui import filters

    return filters.show_list(_filters_directory(options), options.output)


def _filters_show(options: argparse.Namespace) -> int:
    from nftui import filters

    return filters.show(_filters_directory(options), options.name, options.output)


def _filters_save(options: argparse.Namespace) -> int:
    from nftui import filters

    return filters.save(_filters_directory(options), options)


def _filters_delete(options: argparse.Namespace) -> int:
    from nftui import filters

    return filters.delete(_filters_directory(options), options.names)


def _config_show(options: argparse.Namespace) -> int:
    from nftui import configuring

    return configuring.show(getattr(options, "config", None), options.output)


def _config_get(options: argparse.Namespace) -> int:
    from nftui import configuring

    return configuring.get(getattr(options, "config", None), options.key, options.output)


def _config_set(options: argparse.Namespace) -> int:
    from nftui import configuring

    return configuring.set_value(getattr(options, "config", None), options.key, options.value)


def _config_path(options: argparse.Namespace) -> int:
    from nftui import configuring

    return configuring.show_path(getattr(options, "config", None), options.output)


def _filters_directory(options: argparse.Namespace) -> Path:
    from nftui import config

    return config.filters_directory(getattr(options, "config", None))


def _config(options: argparse.Namespace) -> Config:
    from nftui import config

    return config.load(getattr(options, "config", None))


def _data(options: argparse.Namespace) -> Path:
    from nftui import config

    named: Path | None = getattr(options, "data", None)
    if named is not None:
        return named
    path = _config(options).store.path
    return Path(path).expanduser() if path else config.default_data()


def _drop_rights() -> None:
    """Take what opens sockets out of force before anything is loaded that has threads: they keep what they had when they began."""
    from nftui.capture.probe import rights

    rights.drop()


OPENING = ("collect", "probe")
"""Commands that put rights in force just while they open something."""
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "dashboard": _dashboard,
    "serve": _serve,
    "demo": _demo,
    "demo-exporters": _demo_exporters,
    "collect": _collect,
    "import": _import,
    "probe": _probe,
    "protocols": _protocols,
    "status": _status,
    "doctor": _doctor,
    "flows": _flows,
    "series": _series,
    "summary": _summary,
    "top": _top,
    "pairs": _pairs,
    "replay": _replay,
    "relay": _relay,
    "filters list": _filters_list,
    "filters show": _filters_show,
    "filters save": _filters_save,
    "filters delete": _filters_delete,
    "config show": _config_show,
    "config get": _config_get,
    "config set": _config_set,
    "config path": _config_path,
}
"""What runs each command, by the name that `arguments.parsed` gives it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nftui.config import Config

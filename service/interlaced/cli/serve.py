"""The verbs that run a server or act on one: `dev`, `serve`, `reload`, `chaos`, `version`."""

import contextlib
import gc
import json
import platform
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any

import typer

from interlaced import __version__
from interlaced.cli.files import check_ca, check_certificate, read_keys
from interlaced.cli.output import Exit, Style, fail, print_json, say, show, suggest
from interlaced.settings import Ingress, Settings, SettingsError

__all__ = ["VERBS", "chaos", "dev", "post_action", "register", "reload", "serve", "version"]

VERBS = ("dev", "serve", "reload", "chaos", "version")
"""What `register` adds."""

_ADMIN = "http://127.0.0.1:7072"

ConfigOption = Annotated[
    list[Path], typer.Option("--config", "-c", help="A manifest, or a directory of them.")
]
AdminOption = Annotated[
    str, typer.Option(help="The admin listener of the server.", envvar="INTERLACE_ADMIN")
]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="The gRPC port; 0 takes a free one.")
]
AdminPortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="The admin port; 0 takes a free one.")
]
PortsFileOption = Annotated[
    Path | None, typer.Option(help="Write the bound addresses to this file, as JSON.")
]
LogOption = Annotated[
    str, typer.Option(help="auto, json or console; auto is console on a terminal.")
]
LevelOption = Annotated[str, typer.Option(help="debug, info, warning or error.")]

SecretsOption = Annotated[
    Path | None, typer.Option(help="Where ${secret:path#key} looks.", envvar="INTERLACE_SECRETS")
]
DrainOption = Annotated[
    float, typer.Option(min=0, max=3600, help="The most seconds that a shutdown takes.")
]
ClientCaOption = Annotated[
    Path | None, typer.Option(help="Callers must show a certificate of this CA, PEM.")
]
StreamsOption = Annotated[
    int, typer.Option(min=1, help="How many RPCs one connection may have open; more wait.")
]
HungOption = Annotated[
    float, typer.Option(min=3, max=3600, help="With --workers: replace one silent for so long.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=256, help="How many processes share the port and the limits.")
]

_LEVELS = ("debug", "info", "warning", "error")


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    verbs: tuple[Callable[..., None], ...] = (dev, serve, reload, chaos, version)
    for name, verb in zip(VERBS, verbs, strict=True):
        app.command(name)(verb)


def dev(
    *,
    port: PortOption = 7070,
    admin_port: AdminPortOption = 7072,
    config: ConfigOption = [],  # noqa: B006  # typer copies it
    ports_file: PortsFileOption = None,
    log_format: LogOption = "auto",
    log_level: LevelOption = "warning",
) -> None:
    """Run the server with fake upstreams.

    It needs no account, network, container or file. Nothing is kept.

    Example: interlace dev, then in another terminal: interlace call shop.ListProducts
    """
    from interlaced.dev.run import DevOptions, run_dev

    _configure_log(log_format, log_level)
    _run(run_dev, DevOptions(port, admin_port, tuple(config), ports_file))


def serve(
    *,
    config: ConfigOption,
    host: Annotated[str, typer.Option(help="Where gRPC listens.")] = "127.0.0.1",
    port: PortOption = 7070,
    admin_port: AdminPortOption = 7072,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key, PEM.")] = None,
    tls_client_ca: ClientCaOption = None,
    api_keys: Annotated[
        Path | None, typer.Option(help="Callers must show one of the keys in this file.")
    ] = None,
    cursor_keys: Annotated[
        Path | None, typer.Option(help="Keys of cursors, one a line, the signing one first.")
    ] = None,
    secrets: SecretsOption = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="No TLS beyond loopback.")] = False,
    reflection: Annotated[bool, typer.Option(help="Serve reflection on the gRPC port.")] = False,
    drain: DrainOption = 20.0,
    max_streams: StreamsOption = 1000,
    workers: WorkersOption = 1,
    hung_after: HungOption = 15.0,
    ports_file: PortsFileOption = None,
    log_format: LogOption = "auto",
    log_level: LevelOption = "info",
) -> None:
    """Serve the connectors of your manifests.

    Example: interlace serve --config ./connectors
    """
    with _uncollected():
        style = _configure_log(log_format, log_level)
    check_certificate(tls_cert, tls_key, code=Exit.CONFIG_INVALID)
    check_ca(tls_client_ca, code=Exit.CONFIG_INVALID)
    ingress = Ingress(
        host=host,
        port=port,
        certificate=tls_cert,
        private_key=tls_key,
        client_ca=tls_client_ca,
        api_keys=read_keys(api_keys, code=Exit.CONFIG_INVALID),
        is_insecure=insecure,
        max_streams=max_streams,
    )
    settings = Settings(
        config=tuple(config),
        ingress=ingress,
        admin_port=admin_port,
        has_reflection=reflection,
        cursor_keys=read_keys(cursor_keys, code=Exit.CONFIG_INVALID),
        secrets_folder=secrets,
        drain_limit=drain,
    )
    if workers == 1:
        with _uncollected():
            from interlaced.process import serve_forever

            _run(serve_forever, settings, ports_file)
    else:
        _supervise(settings, workers, hung_after, ports_file, (style, log_level))


def reload(
    *, admin: AdminOption = _ADMIN, output: Annotated[Style, typer.Option("--format")] = Style.TEXT
) -> None:
    """Make a server read its manifests again.

    If one is wrong, nothing changes: its problems are shown and the exit code is 3.

    Example: interlace reload
    """
    answer = post_action(admin, "reload", {})
    if output is Style.JSON:
        print_json(answer)
    elif answer["result"] == "refused":
        for problem in answer["problems"]:
            say(problem)
    else:
        show(f"{answer['result']}: configuration {answer['config_hash']}")
    if answer["result"] == "refused":
        fail("the new configuration is refused; the old one goes on serving", Exit.CONFIG_INVALID)


def chaos(
    upstream: Annotated[
        str, typer.Argument(help="A fake upstream of `interlace dev`: shop, ticker.")
    ],
    *,
    rate: Annotated[str, typer.Option("--fail", help="Share of requests that fail: 60%.")] = "",
    status: Annotated[int, typer.Option(help="The status of the failing ones.")] = 0,
    retry_after: Annotated[str, typer.Option(help="Send Retry-After: 2s.")] = "",
    latency: Annotated[str, typer.Option(help="Wait before every answer: 300ms.")] = "",
    stall: Annotated[str, typer.Option(help="Send nothing for so long: 2s.")] = "",
    drop: Annotated[int, typer.Option(help="Drop so many messages of the ticker.")] = 0,
    reorder: Annotated[int, typer.Option(help="Reorder so many messages of the ticker.")] = 0,
    reset: Annotated[bool, typer.Option("--reset", help="Reset connections.")] = False,
    duplicate: Annotated[int, typer.Option(help="Send so many messages twice.")] = 0,
    disconnect: Annotated[bool, typer.Option("--disconnect", help="Cut the feed.")] = False,
    malformed: Annotated[bool, typer.Option("--malformed", help="Answer HTML for JSON.")] = False,
    truncated: Annotated[bool, typer.Option("--truncated", help="End bodies early.")] = False,
    duration: Annotated[str, typer.Option("--for", help="Heal by itself after: 10s.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Heal now.")] = False,
    admin: AdminOption = _ADMIN,
) -> None:
    """Make a fake upstream misbehave.

    Prints the faults in force, as JSON; with no option it only asks. It needs `interlace dev`.

    Example: interlace chaos shop --fail 60%
    """
    wish: dict[str, object] = {
        "fail": rate,
        "status": status,
        "retry_after": retry_after,
        "latency": latency,
        "stall": stall,
        "drop": drop,
        "reorder": reorder,
        "reset": reset,
        "duplicate": duplicate,
        "disconnect": disconnect,
        "malformed": malformed,
        "truncated": truncated,
        "for": duration,
        "clear": clear,
    }
    body = {"upstream": upstream} | {name: value for name, value in wish.items() if value}
    in_force = post_action(admin, "chaos", body)
    print_json(in_force)
    if upstream in in_force:
        suggest(f"interlace chaos {upstream} --clear")


def version(*, output: Annotated[Style, typer.Option("--format")] = Style.TEXT) -> None:
    """Print the versions of what matters."""
    from importlib.metadata import version as version_of

    versions = {"interlace": __version__, "python": platform.python_version()}
    versions |= {name: version_of(name) for name in ("grpcio", "protobuf", "aiohttp", "uvloop")}
    if output is Style.JSON:
        print_json(versions)
        return
    for name, number in versions.items():
        show(f"{name} {number}")


def post_action(admin: str, name: str, body: Mapping[str, object]) -> dict[str, Any]:
    """Posts to the admin listener and returns its answer, or ends the command."""
    if not admin.startswith(("http://", "https://")):
        fail(f"--admin {admin} is no address; expected one such as {_ADMIN}", Exit.USAGE)
    request = urllib.request.Request(  # noqa: S310  # the scheme is checked above
        f"{admin}/{name}", data=json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # as above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            told = _refusal(error)
        fail(told, Exit.USAGE if error.code == HTTPStatus.BAD_REQUEST else Exit.FAILURE)
    except (OSError, HTTPException):
        fail(f"nothing answers at {admin}; is the server running?", Exit.UNREACHABLE)


def _refusal(error: urllib.error.HTTPError) -> str:
    """What the admin listener said, for people."""
    if error.code == HTTPStatus.NOT_FOUND:
        return "this server has no such action; `chaos` needs `interlace dev`"
    try:
        told = json.load(error)
    except ValueError:
        return f"the server answered {error.code}"
    fields = [f"{name}: {text}" for name, text in told.get("fields", {}).items()]
    return "; ".join([str(told.get("error", "refused")).rstrip("."), *fields])


def _configure_log(wish: str, level: str) -> str:
    """Sets the log up and returns its style; `auto` is console on a terminal."""
    from interlaced.telemetry import log

    style = ("console" if sys.stderr.isatty() else "json") if wish == "auto" else wish
    if style not in ("json", "console"):
        fail(f"--log-format {wish}: expected auto, json or console", Exit.USAGE)
    if level not in _LEVELS:
        fail(f"--log-level {level}: expected one of {', '.join(_LEVELS)}", Exit.USAGE)
    log.configure(style=style, level=level)
    return style


def _supervise(
    settings: Settings,
    workers: int,
    hung_after: float,
    ports_file: Path | None,
    log_to: tuple[str, str],
) -> None:
    """Serves with several workers that log in the style and from the level of `log_to`."""
    from interlaced.relay.broker_host import host_brokers
    from interlaced.workers.run import supervise
    from interlaced.workers.supervisor import Supervisor

    style, level = log_to
    group = Supervisor(
        settings,
        workers,
        log_style=style,
        log_level=level,
        hung_after=hung_after,
        host=host_brokers,
    )
    _run(supervise, group, ports_file)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Boots without garbage collections: what a boot makes stays, and looking through all of it
    again and again takes an eighth of a boot. Serving turns them on again (`settled_memory`)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(main: Any, *arguments: object) -> None:
    """Runs a coroutine function on uvloop and maps what may go wrong at the start."""
    import asyncio

    import uvloop

    from interlaced.manifest.problem import ManifestError, render
    from interlaced.rpc.server import BindError
    from interlaced.workers.orders import GroupError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(*arguments))
    except SettingsError as error:
        fail(str(error), Exit.CONFIG_INVALID)
    except BindError as error:
        fail(f"{error} (--port, --admin-port)")
    except GroupError as error:
        for line in error.report.lines:
            say(line)
        fail(str(error), Exit.CONFIG_INVALID if error.report.is_config else Exit.FAILURE)
    except ManifestError as error:
        for problem in error.problems:
            say(render(problem))
        fail(f"the configuration is invalid: {error}", Exit.CONFIG_INVALID)

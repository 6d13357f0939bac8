"""Puts the rooms together: the only file that knows every concrete class."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

from interlaced import __version__
from interlaced.admin.server import Action, AdminServer, AdminViews
from interlaced.core.clock import LoopClock, TimeLimit
from interlaced.core.cursor import CursorCodec
from interlaced.core.dispatch import Dispatch
from interlaced.core.feed import Hub
from interlaced.core.feed_settings import HubSettings
from interlaced.core.ports import Tools
from interlaced.core.share import share_count
from interlaced.manifest.build import Built, Generation, build
from interlaced.manifest.live import LiveConfiguration, Reload
from interlaced.manifest.load import load
from interlaced.manifest.manifests import Manifests
from interlaced.manifest.problem import render
from interlaced.relay.intake import RelayIntake
from interlaced.resilience.admission import Admission
from interlaced.rpc.callers import require_api_key
from interlaced.rpc.catalog import Catalog, ConnectorState, FeedInfo
from interlaced.rpc.descriptors import SERVICES
from interlaced.rpc.feed import Feeds
from interlaced.rpc.frames import encode_event
from interlaced.rpc.gateway import Gateway
from interlaced.rpc.guard import Guard
from interlaced.rpc.health import Health
from interlaced.rpc.reflection import Reflection
from interlaced.rpc.server import BindError, RpcServer, TlsFiles, spell_address
from interlaced.rpc.settings import RpcSettings
from interlaced.settings import Settings
from interlaced.telemetry.log import learn_secrets, log
from interlaced.telemetry.metrics import Metrics
from interlaced.telemetry.narrator import Narrator

__all__ = ["Addresses", "App"]

_HEALTH_INTERVAL = 0.5
_RECONNECT_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the listeners are bound."""

    grpc: str
    admin: str

    def write(self, path: Path) -> None:
        """Writes them as JSON, whole or not at all, for whoever started the process."""
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)


class App:
    """One serving process. `start` it once, `stop` it once.

    `environment` is what `${env:X}` sees; `actions` are added to the admin listener.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        actions: Mapping[str, Action] | None = None,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._clock = LoopClock()
        self._metrics = Metrics()
        observer = Narrator(self._metrics)
        random = Random(secrets.randbits(64))  # noqa: S311  # jitter, not secrets
        self._tools = Tools(self._clock, random, observer, shared=_shared(settings.seat.folder))
        # A share of nothing is refused by `Settings.check`, before anything is admitted.
        self._admission = Admission(max(1, share_count(settings.max_in_flight, settings.seat)))
        self._dispatch = Dispatch()
        self._hub = Hub(
            clock=self._clock,
            random=random,
            observer=observer,
            encode=encode_event,
            cursors=CursorCodec(_cursor_keys(settings)),
            settings=HubSettings(max_age=RpcSettings().max_connection_age),
        )
        if settings.seat.folder is not None:
            self._hub.relay(partial(RelayIntake, folder=settings.seat.folder, random=random))
        self._live = LiveConfiguration(
            read=self._read,
            build=self._build,
            serve=self._serve,
            clock=self._clock,
            drain=settings.max_deadline,
        )
        self._rpc, self._health = self._build_rpc()
        self._admin = self._build_admin(dict(actions or {}))
        self._watch: asyncio.Task[None] | None = None
        self._is_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether new calls are taken; upstreams have no say in it."""
        return self._is_ready

    async def start(self) -> Addresses:
        """Serves. Raises SettingsError, ManifestError or BindError, and leaves nothing open
        then."""
        settings = self._settings
        settings.check()
        try:
            await self._live.start()
            port = await self._rpc.start()
            admin_port = await self._start_admin()
        except BaseException:
            await self._end(0.0)
            raise
        loop = asyncio.get_running_loop()
        self._metrics.watch_tasks(lambda: len(asyncio.all_tasks(loop)))
        self._watch = asyncio.create_task(self._watch_health())
        self._is_ready = True
        addresses = Addresses(
            spell_address(settings.ingress.host, port),
            f"http://{spell_address(settings.admin_host, admin_port)}",
        )
        log.info("server.started", grpc=addresses.grpc, admin=addresses.admin, version=__version__)
        return addresses

    async def reload(self, _body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Reads the configuration again; what is wrong is in the answer, and the old one stays."""
        return await self._report(self._live.reload)

    async def prepare(self, _body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Says what a reload would do, and holds what it read for `commit`: the first step of a
        reload that several workers take together."""
        return _tell(await self._live.prepare())

    async def commit(self, _body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Serves what `prepare` holds."""
        return await self._report(self._live.commit)

    async def _report(self, change: Callable[[], Awaitable[Reload]]) -> dict[str, object]:
        """Counts a change of the configuration, and tells what it did."""
        try:
            report = await change()
        except Exception:
            self._metrics.reloaded("failed")
            raise
        self._metrics.reloaded(report.result.value)
        return _tell(report)

    async def stop(self, limit: float | None = None) -> None:
        """Ends within `limit` seconds: readiness off, intake refused, GoingAway with a cursor to
        every stream, what is in flight drained, the rest given back, then everything closed."""
        limit = self._settings.drain_limit if limit is None else limit
        log.info("server.draining", limit=limit)
        await self._end(limit)
        log.info("server.stopped")

    async def _start_admin(self) -> int:
        """Binds the admin listener; raises BindError."""
        host, port = self._settings.admin_host.strip("[]"), self._settings.admin_port
        try:
            return await self._admin.start(host, port)
        except OSError as error:
            raise BindError(f"cannot listen on {host}:{port}: is the port taken?") from error

    async def _end(self, limit: float) -> None:
        """Takes everything apart, in the order of `stop`."""
        now = self._clock.now()
        ends = now + limit
        self._is_ready = False
        self._rpc.begin_drain()
        # Half of the time belongs to streams, so that one stalled subscriber leaves some for calls.
        with contextlib.suppress(TimeoutError), TimeLimit(self._clock, (ends + now) / 2):
            await self._hub.drain(_RECONNECT_AFTER)
        await self._hub.close()
        await self._rpc.stop(max(0.0, ends - self._clock.now()))
        await self._live.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._admin.close()

    async def _read(self) -> Manifests:
        """Reads the manifests in a thread, so that the loop goes on."""
        environment = dict(self._environment)
        if self._settings.secrets_folder is not None:
            environment["INTERLACE_SECRETS"] = str(self._settings.secrets_folder)
        return await asyncio.to_thread(load, self._settings.config, env=environment)

    def _build(self, manifests: Manifests, previous: Generation | None) -> Generation:
        learn_secrets(manifests.secrets)
        for warning in manifests.warnings:
            log.warning("config.warning", code=str(warning.code), place=str(warning))
        return build(
            manifests,
            tools=self._tools,
            admission=self._admission,
            previous=previous,
            seat=self._settings.seat,
        )

    async def _serve(self, generation: Generation, live: LiveConfiguration) -> None:
        """Swaps a generation in."""
        self._dispatch.swap(live.routes(), live.sinks(), generation.built)
        await self._hub.swap(generation.feeds())
        config_hash = generation.catalog.config_hash
        self._metrics.serving(__version__, config_hash, tuple(generation.built))
        self._show_health()

    def _build_rpc(self) -> tuple[RpcServer, Health]:
        """Builds the gRPC face."""
        settings, ingress = self._settings, self._settings.ingress
        rpc_settings = RpcSettings(
            max_message=settings.max_message,
            default_deadline=settings.default_deadline,
            max_deadline=settings.max_deadline,
            reflection=settings.has_reflection,
            max_streams=ingress.max_streams,
            max_rpcs=max(1, share_count(RpcSettings().max_rpcs, settings.seat)),
        )
        keys = ingress.api_keys
        guard = Guard(
            clock=self._clock,
            observer=self._metrics.rpc,
            settings=rpc_settings,
            authenticate=require_api_key(keys) if keys else None,
        )
        gateway = Gateway(guard=guard, dispatch=self._dispatch, clock=self._clock)
        feeds = Feeds(guard=guard, hub=self._hub, dispatch=self._dispatch, clock=self._clock)
        catalog = Catalog(
            guard=guard,
            snapshot=lambda: self._live.generation.catalog,
            connector_state=self._connector_state,
            feed_info=self._feed_info,
        )
        names = [
            f"interlace.v1.{name}" for name in ("GatewayService", "FeedService", "CatalogService")
        ]
        health = Health(guard=guard, services=names)
        services = [gateway.service(), feeds.service(), catalog.service(), health.service()]
        if settings.has_reflection:
            services += Reflection(guard=guard, services=SERVICES).services()
        server = RpcServer(
            guard=guard,
            services=services,
            host=ingress.host,
            port=ingress.port,
            tls=_tls_files(settings),
            is_shared=not settings.seat.is_alone,
            on_drain=(health.enter_graceful_shutdown, gateway.sessions.drain),
        )
        return server, health

    def _build_admin(self, actions: dict[str, Action]) -> AdminServer:
        """Builds the admin listener."""
        if not self._settings.seat.is_alone:
            actions = {"prepare": self.prepare, "commit": self.commit, **actions}
        return AdminServer(
            AdminViews(
                metrics=self._metrics.render,
                is_ready=lambda: self._is_ready,
                status=self._status,
                actions={"reload": self.reload, **actions},
            )
        )

    def _status(self) -> dict[str, object]:
        """What GET /status shows."""
        generation = self._live.generation
        return {
            "version": __version__,
            "config_hash": generation.catalog.config_hash,
            "load_time": generation.catalog.load_time,
            "is_ready": self._is_ready,
            "connectors": {name: asdict(state) for name, state in self._connector_states().items()},
        }

    def _connector_states(self) -> dict[str, ConnectorState]:
        """How every connector is now."""
        built, feeds = self._live.generation.built, self._hub.states()
        stuck = {name.partition(".")[0] for name in feeds if not feeds[name].is_progressing}
        return {name: _state_of(one, is_stuck=name in stuck) for name, one in built.items()}

    def _connector_state(self, name: str) -> ConnectorState:
        return self._connector_states().get(name) or ConnectorState()

    def _feed_info(self, name: str) -> FeedInfo:
        state = self._hub.states().get(name)
        return FeedInfo() if state is None else FeedInfo(state.subscribers, state.state)

    def _show_health(self) -> None:
        """Tells the health service how every connector is."""
        states = self._connector_states()
        self._health.set_connectors({name: state.is_ok for name, state in states.items()})

    async def _watch_health(self) -> None:
        """Looks at the connectors twice a second, and at how late the loop is."""
        while True:
            due = self._clock.now() + _HEALTH_INTERVAL
            await self._clock.sleep(_HEALTH_INTERVAL)
            self._metrics.loop_lag(max(0.0, self._clock.now() - due))
            try:
                self._show_health()
            except Exception as error:  # noqa: BLE001  # a bug here must not end the watch
                log.error("health.bug", exc_info=error)


def _state_of(built: Built, *, is_stuck: bool) -> ConnectorState:
    """How a connector is: its breaker, then its feeds."""
    if built.guard.breaker_state == "open":
        return ConnectorState(is_ok=False, reason="the circuit breaker is open")
    if is_stuck:
        return ConnectorState(is_ok=False, reason="a feed makes no progress")
    return ConnectorState()


def _tell(report: Reload) -> dict[str, object]:
    """A change of the configuration, as the admin listener answers it."""
    return {
        "result": report.result.value,
        "config_hash": report.config_hash,
        "problems": [render(problem) for problem in report.problems],
    }


def _cursor_keys(settings: Settings) -> list[bytes]:
    """The keys of cursors; one for the life of the process where none is set."""
    keys = [key.reveal().encode() for key in settings.cursor_keys]
    return keys or [secrets.token_bytes(32)]


def _shared(folder: Path | None) -> Mapping[str, object]:
    """What connectors share: the embedded brokers of this process, or those of its group."""
    if folder is None:
        return {"brokers": {}}
    from interlaced.relay.broker_desk import desks  # noqa: PLC0415  # who serves alone need not load it

    return {"desks": desks(folder)}


def _tls_files(settings: Settings) -> TlsFiles | None:
    ingress = settings.ingress
    if ingress.certificate is None or ingress.private_key is None:
        return None
    return TlsFiles(ingress.certificate, ingress.private_key, ingress.client_ca)

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from interlaced.rpc.server import BindError
from interlaced.settings import SettingsError
from interlaced.workers.port import Port

HERE = "127.0.0.1"


def open_socket(*options: int) -> socket.socket:
    opened = socket.socket()
    for option in options:
        opened.setsockopt(socket.SOL_SOCKET, option, 1)
    return opened


def listen(port: int, *options: int) -> socket.socket:
    listener = open_socket(*options)
    try:
        listener.bind((HERE, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def listen_as_worker(port: int) -> socket.socket:
    return listen(port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


@pytest.fixture
def held() -> Iterator[Port]:
    with Port(HERE, 0) as port:
        yield port


def test_workers_share_the_port_and_get_every_connection(held: Port) -> None:
    with (
        closing(listen_as_worker(held.number)) as one,
        closing(listen_as_worker(held.number)) as two,
    ):
        accepted = 0
        for _ in range(32):
            with socket.create_connection((HERE, held.number), timeout=5):
                for listener in (one, two):
                    listener.setblocking(False)
                    try:
                        listener.accept()[0].close()
                    except BlockingIOError:
                        continue
                    accepted += 1
        assert accepted == 32


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,)])
def test_no_other_server_gets_in_with_or_without_a_worker(
    workers: int, options: tuple[int, ...], held: Port
) -> None:
    listeners = [listen_as_worker(held.number) for _ in range(workers)]
    with pytest.raises(OSError, match="in use"):
        listen(held.number, *options)
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("host", [HERE, "localhost", "0.0.0.0", "::"])
def test_no_other_group_gets_in_with_or_without_a_worker(
    workers: int, host: str, held: Port
) -> None:
    listeners = [listen_as_worker(held.number) for _ in range(workers)]
    with pytest.raises(BindError, match=r"cannot listen on .*: is the port taken\?"):
        Port(host, held.number).hold()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)])
def test_a_port_on_which_anybody_listens_is_refused(options: tuple[int, ...]) -> None:
    with (
        closing(listen(0, *options)) as other,
        pytest.raises(BindError, match="is the port taken"),
    ):
        Port(HERE, other.getsockname()[1]).hold()


def test_a_port_is_free_again_after_its_group_and_its_lingering_connections(held: Port) -> None:
    worker = listen_as_worker(held.number)
    with socket.create_connection((HERE, held.number), timeout=5):
        accepted, _ = worker.accept()
        accepted.close()  # who closes first lingers
    worker.close()
    held.release()
    held.release()
    with Port(HERE, held.number) as again:
        assert again.number == held.number


def test_a_unix_socket_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be shared"):
        Port("unix:/x", 0)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(BindError):
        Port("192.0.2.1", 0).hold()

from __future__ import annotations

from interlaced.workers.status import SeatStatus, merge_status


def seat(worker: int, **connectors: str) -> SeatStatus:
    status = {
        "config_hash": "h",
        "load_time": float(worker),
        "connectors": {
            name: {"is_ok": not reason, "reason": reason} for name, reason in connectors.items()
        },
    }
    return SeatStatus(worker=worker, pid=100 + worker, state="serving", restarts=0, status=status)


def test_a_connector_is_well_if_it_is_with_every_worker() -> None:
    seats = [
        seat(0, shop="", desk=""),
        seat(1, shop="open", desk=""),
        seat(2, shop="stuck", desk=""),
    ]
    told = merge_status(seats, is_ready=True)
    assert told["connectors"] == {
        "shop": {"is_ok": False, "reason": "worker 1: open"},
        "desk": {"is_ok": True, "reason": ""},
    }
    assert (told["config_hash"], told["load_time"], told["is_ready"]) == ("h", 0.0, True)


def test_a_bad_one_first_stays_bad() -> None:
    told = merge_status([seat(0, shop="open"), seat(1, shop="")], is_ready=True)
    assert told["connectors"] == {"shop": {"is_ok": False, "reason": "worker 0: open"}}


def test_a_seat_without_an_answer_is_shown_as_it_is() -> None:
    down = SeatStatus(worker=0, pid=None, state="down", restarts=3, status=None)
    told = merge_status([down], is_ready=False)
    assert told["workers"] == [
        {"worker": 0, "pid": None, "state": "down", "restarts": 3, "status": None}
    ]
    assert (told["connectors"], told["config_hash"]) == ({}, "")

"""Drivers of load generators that others wrote: `h2load` (C) and `ghz` (Go), where they are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from benchmarks.load.http2 import framed
from benchmarks.load.unary import Request
from interlace.v1 import gateway_service_pb2

__all__ = ["Outcome", "ToolError", "find", "read_ghz", "read_h2load", "run_ghz", "run_h2load"]

CONNECTIONS = 4
STREAMS = 8
_LIMIT = 300.0


class ToolError(RuntimeError):
    """The tool failed, or said what cannot be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool says: calls that ended, errors among them, and seconds.

    h2load sees HTTP alone, where a failed gRPC call is a success without data: `data` (bytes of
    answers) is for the caller to hold against what right answers have. ghz reads gRPC statuses.
    """

    calls: int
    errors: int
    seconds: float
    data: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def find(tool: str) -> str | None:
    """Return the path of a tool, or None."""
    return shutil.which(tool)


def run_h2load(address: str, request: Request, *, calls: int, folder: Path) -> Outcome:
    """Send `calls` calls on four connections, 8 under way on each. Raise ToolError."""
    body = folder / "call.grpc"
    body.write_bytes(framed(request.message))
    headers = ("content-type: application/grpc", "te: trailers")
    command = [
        *("h2load", "-n", str(calls), "-c", str(CONNECTIONS), "-m", str(STREAMS), "-d", str(body)),
        *(part for header in headers for part in ("-H", header)),
        f"http://{address}{request.path.decode()}",
    ]
    return read_h2load(_run(command))


def read_h2load(text: str) -> Outcome:
    """Read what h2load prints. Raise ToolError for anything else."""
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", text)
    counts = re.search(
        r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) time", text
    )
    data = re.search(r"\((\d+)\) data", text)
    if not (took and counts and data):
        raise ToolError(f"h2load said: {text[-300:]}")
    done, succeeded, failed, errored, late = map(int, counts.groups())
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[took[2]]
    errors = failed + errored + late + (done - succeeded if not failed else 0)
    return Outcome(succeeded, errors, float(took[1]) * unit, int(data[1]))


def run_ghz(address: str, request: Request, *, calls: int, folder: Path) -> Outcome:
    """Send `calls` calls on four connections, 32 under way in all. Raise ToolError."""
    body, protos = folder / "call.bin", folder / "api.protoset"
    body.write_bytes(request.message)
    protos.write_bytes(_protoset())
    command = [
        *("ghz", "--insecure", "--protoset", str(protos), "-B", str(body), "-O", "json"),
        *("--call", request.path.decode().removeprefix("/"), "-n", str(calls)),
        *("-c", str(CONNECTIONS * STREAMS), "--connections", str(CONNECTIONS), address),
    ]
    return read_ghz(json.loads(_run(command)))


def read_ghz(report: Mapping[str, Any]) -> Outcome:
    """Read ghz's JSON report; whatever is not OK is an error."""
    statuses: Mapping[str, int] = report.get("statusCodeDistribution") or {}
    count, good = int(report["count"]), int(statuses.get("OK", 0))
    slow = {int(one["percentage"]): one["latency"] / 1e6 for one in report["latencyDistribution"]}
    return Outcome(
        good,
        count - good,
        report["total"] / 1e9,
        p50_ms=slow.get(50, 0.0),
        p99_ms=slow.get(99, 0.0),
    )


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT)
    if done.returncode != 0:
        raise ToolError(f"{command[0]} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def _protoset() -> bytes:
    """The API's descriptors with all that they import, each behind what it needs."""
    found: dict[str, FileDescriptor] = {}

    def visit(file: FileDescriptor) -> None:
        for needed in file.dependencies:
            visit(needed)
        found.setdefault(file.name, file)

    visit(gateway_service_pb2.DESCRIPTOR)
    files = FileDescriptorSet()
    for file in found.values():
        files.file.add().ParseFromString(file.serialized_pb)
    encoded: bytes = files.SerializeToString()
    return encoded

"""Server reflection, version 1 and 1 alpha: what a client needs to call us without our protos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import grpc
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2 as pb

from interlaced.rpc.descriptors import Pool, serving_pool
from interlaced.rpc.guard import Guard, Scope

__all__ = ["Reflection"]

_METHOD = "ServerReflectionInfo"
_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

_Find: TypeAlias = Callable[[pb.ServerReflectionRequest], FileDescriptor]


class Reflection:
    """Serves both versions; their messages are the same on the wire.

    Of `services` it lists only those that it can describe with all their dependencies.
    """

    def __init__(self, *, guard: Guard, services: Iterable[str]) -> None:
        self._guard = guard
        self._pool = serving_pool()
        wanted = {*services, *_SERVICES}
        self.names = tuple(sorted(name for name in wanted if _is_service(self._pool, name)))
        self._finders: Mapping[str, _Find] = {
            "file_by_filename": self._by_filename,
            "file_containing_symbol": self._by_symbol,
            "file_containing_extension": self._by_extension,
        }

    def services(self) -> Sequence[grpc.GenericRpcHandler]:
        """Returns the handlers of both versions."""
        return tuple(
            self._guard.service(
                name,
                {
                    _METHOD: self._guard.bidi(
                        f"{name}/{_METHOD}", pb.ServerReflectionRequest, self.serve
                    )
                },
            )
            for name in _SERVICES
        )

    async def serve(self, scope: Scope[pb.ServerReflectionRequest]) -> None:
        """Answers one question after the other."""
        while (request := await scope.read()) is not None:
            response = self._answer(request)
            response.valid_host = request.host
            response.original_request.CopyFrom(request)
            await scope.write(response.SerializeToString())

    def _answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        which = request.WhichOneof("message_request") or ""
        if which == "list_services":
            services = [pb.ServiceResponse(name=name) for name in self.names]
            listing = pb.ListServiceResponse(service=services)
            return pb.ServerReflectionResponse(list_services_response=listing)
        try:
            if which == "all_extension_numbers_of_type":
                return self._extension_numbers(request.all_extension_numbers_of_type)
            find = self._finders.get(which)
            if find is None:
                return _error(grpc.StatusCode.INVALID_ARGUMENT, "the question is empty")
            return _files(find(request))
        except KeyError:
            return _error(grpc.StatusCode.NOT_FOUND, "there is no such symbol or file")

    def _by_filename(self, request: pb.ServerReflectionRequest) -> FileDescriptor:
        file: FileDescriptor = self._pool.FindFileByName(request.file_by_filename)
        return file

    def _by_symbol(self, request: pb.ServerReflectionRequest) -> FileDescriptor:
        symbol = request.file_containing_symbol
        file: FileDescriptor
        try:
            file = self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # The pool finds types and services by themselves, but methods only by this.
            file = self._pool.FindMethodByName(symbol).containing_service.file
        return file

    def _by_extension(self, request: pb.ServerReflectionRequest) -> FileDescriptor:
        wanted = request.file_containing_extension
        message = self._pool.FindMessageTypeByName(wanted.containing_type)
        extension = self._pool.FindExtensionByNumber(message, wanted.extension_number)
        file: FileDescriptor = extension.file
        return file

    def _extension_numbers(self, type_name: str) -> pb.ServerReflectionResponse:
        message = self._pool.FindMessageTypeByName(type_name)
        numbers = sorted(extension.number for extension in self._pool.FindAllExtensions(message))
        answer = pb.ExtensionNumberResponse(
            base_type_name=message.full_name, extension_number=numbers
        )
        return pb.ServerReflectionResponse(all_extension_numbers_response=answer)


def _is_service(pool: Pool, name: str) -> bool:
    try:
        pool.FindServiceByName(name)
    except KeyError:
        return False
    return True


def _files(file: FileDescriptor) -> pb.ServerReflectionResponse:
    """Returns a file and everything that it imports, so that no client needs a second look."""
    found: dict[str, bytes] = {}
    work = [file]
    while work:
        one = work.pop()
        if one.name not in found:
            found[one.name] = one.serialized_pb
            work.extend(one.dependencies)
    answer = pb.FileDescriptorResponse(file_descriptor_proto=found.values())
    return pb.ServerReflectionResponse(file_descriptor_response=answer)


def _error(code: grpc.StatusCode, message: str) -> pb.ServerReflectionResponse:
    number: int = code.value[0]
    error = pb.ErrorResponse(error_code=number, error_message=message)
    return pb.ServerReflectionResponse(error_response=error)

"""The gRPC face: only this room knows the stubs and grpc.aio servers."""

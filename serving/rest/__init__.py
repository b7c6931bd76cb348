"""The REST API: JSON over HTTP/1.1 to the same methods as gRPC."""

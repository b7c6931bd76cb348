"""The embedded model server: TensorFlow Serving's gRPC and REST interface for a laptop, a test and infra validation."""

from typing import Final

GRPC_EXPERIMENTS: Final = "-event_engine_listener,-event_engine_for_all_other_endpoints"
"""The value of the environment variable of this name that a server sets before it imports gRPC.

gRPC's event engine hands each read and write to threads of its own; the older poller does them in the thread that
polls, which is quicker with handlers in Python, as there are fewer thread switches for each request. A release of gRPC
that no longer knows these names logs so and goes on.
"""

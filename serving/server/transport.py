"""How gRPC's core reads and writes a server's sockets. Import it before `grpc`, which looks at its environment once.

gRPC's event engine hands each read and write to threads of its own; the poller before it does them in the thread that
polls, which with a handler in Python is quicker: fewer switches between threads for each request.
A release of gRPC that knows these names no more says so in the log and goes on. What the environment says comes first.
"""

import os

os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener,-event_engine_for_all_other_endpoints")

"""The embedded model server: TensorFlow Serving's gRPC and REST interface for a laptop, a test and infra validation."""

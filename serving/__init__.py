"""SavedModel to answers: the embedded model server and the client.

`serving.server` speaks TensorFlow Serving's gRPC interface; `serving.client` talks to either of them. Importing this
package imports neither TensorFlow nor TFX: the client needs none of them.
"""

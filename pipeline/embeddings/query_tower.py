"""The query tower of an exported model as a SavedModel of its own."""

from typing import Any, Final

SIGNATURE: Final = "embed_query"


def save_query_tower(loaded: Any, path: str) -> None:
    """Writes a SavedModel with the signature `embed_query`, also as `serving_default`.

    It holds what that function reads and nothing else: the Transform graph with the vocabularies of requests, the
    query tower's weights, and of items what histories read, their id and content vectors. The index, the items' texts,
    biases and attributes, neighbourhoods and ranking tasks stay behind.

    Args:
      loaded: The loaded SavedModel of the Trainer.
      path: A folder that does not exist.
    """
    import tensorflow as tf

    function = loaded.signatures[SIGNATURE]
    read = {id(tensor) for tensor in function.captured_inputs}
    module = tf.Module()
    # The variables and lookup tables behind the function's inputs: a SavedModel has to own what its functions read.
    module.resources = [owner for owner in tf.train.TrackableView(loaded).descendants() if id(_handle(owner)) in read]
    tf.saved_model.save(module, path, signatures={"serving_default": function, SIGNATURE: function})


def _handle(owner: Any) -> Any:
    """Returns the tensor by which functions read a lookup table or a variable; None of other objects."""
    return getattr(owner, "resource_handle", getattr(owner, "handle", None))

"""A worker that trains with the chief: it is told everything by it, and writes nothing."""

import tensorflow as tf

from config.fingerprint import TRAINER_CODE, code_fingerprint
from config.training import TrainingConfig
from trainer.arguments import RunArguments
from trainer.distributed.collectives import barrier, broadcast_from_chief, losses_explained
from trainer.distributed.strategies import make_strategy
from trainer.run import TrainingJob
from trainer.training.loop import TrainingResult


def train_with_chief() -> TrainingResult:
    """Waits for the chief, then trains to the end as the worker that `TF_CONFIG` names.

    Examples, transform graph and checkpoints are read where the chief reads them.

    Raises:
        RuntimeError: another worker has ended, or this one has other code than the chief.
    """
    with losses_explained():
        strategy = make_strategy(TrainingConfig(strategy="multi_worker"))
        arguments = _told(strategy)
        result = TrainingJob(arguments, strategy).train()
        barrier(strategy)  # after the export: where that fails, all workers are started again
        return result


def _told(strategy: tf.distribute.Strategy) -> RunArguments:
    arguments = RunArguments.from_json(broadcast_from_chief(strategy, str))
    own, chiefs = code_fingerprint(*TRAINER_CODE), arguments.custom_config["fingerprint"]
    if own != chiefs:
        raise RuntimeError(f"the code should be the chief's, whose digest is {chiefs}. Received: {own}")
    return arguments

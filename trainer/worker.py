"""A worker that trains with the chief, which sends it the arguments; it writes no files.

`python -m trainer.worker` is the program of a worker that the chief starts.
"""

import sys

import tensorflow as tf

from config.fingerprint import TRAINER_CODE, code_fingerprint
from config.training import TrainingConfig
from trainer.arguments import RunArguments
from trainer.distributed.collectives import barrier, broadcast_from_chief, losses_explained
from trainer.distributed.processes import LOST
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.strategies import make_strategy
from trainer.run import TrainingJob
from trainer.training.result import TrainingResult


def train_with_chief() -> TrainingResult:
    """Waits for the chief, then trains to the end as the worker that `TF_CONFIG` names.

    Examples, transform graph and checkpoints are read from the chief's paths.

    Raises:
        RuntimeError: Another worker has ended, or this worker's code differs from the chief's.
    """
    with losses_explained():
        strategy = make_strategy(TrainingConfig(strategy="multi_worker"))
        arguments = _receive_arguments(strategy)
        result = TrainingJob(arguments, strategy).train()
        barrier(strategy)  # after the export, so that a failed export restarts all workers
        return result


def _receive_arguments(strategy: tf.distribute.Strategy) -> RunArguments:
    arguments = RunArguments.from_json(broadcast_from_chief(strategy, str))
    own, chiefs = code_fingerprint(*TRAINER_CODE), arguments.custom_config["fingerprint"]
    if own != chiefs:
        raise RuntimeError(f"the code should be the chief's, whose digest is {chiefs}. Received: {own}")
    return arguments


def main() -> int:
    """Trains to the end; returns the exit code, `LOST` where another process has ended."""
    try:
        result = train_with_chief()
    except LostWorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        return LOST
    print(f"trained {result.epochs} epochs, {result.steps} steps, in {result.seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

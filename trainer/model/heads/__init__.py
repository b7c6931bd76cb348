"""The tasks beside retrieval: what each is trained with, its loss and its prediction. One module for each kind."""

from collections.abc import Mapping

from config.tasks import BinaryTask, LabelledTask, ListwiseTask, PairwiseTask
from trainer.data.batching import LabelStatistics
from trainer.model.heads.base import RankingHead
from trainer.model.heads.multiclass import ClassHead, class_heads
from trainer.model.heads.ordering import ListwiseHead, PairwiseHead
from trainer.model.heads.pointwise import BinaryHead, RegressionHead

__all__ = ["ClassHead", "RankingHead", "class_heads", "ranking_heads"]

_HEADS: dict[type[LabelledTask], type[RankingHead]] = {
    BinaryTask: BinaryHead,
    PairwiseTask: PairwiseHead,
    ListwiseTask: ListwiseHead,
}


def ranking_heads(
    tasks: Mapping[str, LabelledTask], item_count: int, statistics: Mapping[str, LabelStatistics]
) -> dict[str, RankingHead]:
    """One head for each ranking task."""
    return {
        name: _HEADS.get(type(task), RegressionHead)(name, task, item_count, statistics.get(name, LabelStatistics()))
        for name, task in tasks.items()
    }

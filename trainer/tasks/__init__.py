"""The tasks beside retrieval: what each is trained with, its loss and its prediction. One module for each kind."""

from collections.abc import Mapping

from pipeline.config.tasks import BinaryTask, LabelledTask, ListwiseTask, PairwiseTask
from trainer.tasks.binary import BinaryHead
from trainer.tasks.head import LabelStatistics, RankingHead
from trainer.tasks.listwise import ListwiseHead
from trainer.tasks.multiclass import ClassHead, class_heads
from trainer.tasks.pairwise import PairwiseHead
from trainer.tasks.regression import RegressionHead

__all__ = ["ClassHead", "LabelStatistics", "RankingHead", "class_heads", "ranking_heads"]

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

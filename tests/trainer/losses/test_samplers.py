import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import small_config
from trainer.data.catalogue import Catalogue
from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import AllItems, SampledNegatives
from trainer.losses.samplers import WHOLE_CATALOGUE, make_sampler


@pytest.mark.parametrize(("size", "kind"), [(WHOLE_CATALOGUE, AllItems), (WHOLE_CATALOGUE + 1, SampledNegatives)])
def test_by_default_only_a_large_catalogue_is_sampled(size, kind):
    ids = np.arange(size).astype(bytes).astype(object)
    catalogue = Catalogue(ids, np.ones(size, np.float32), {})
    sampler = make_sampler(small_config(), catalogue, Randomness(1, tf.Variable(0, dtype=tf.int64)))
    assert type(sampler) is kind
